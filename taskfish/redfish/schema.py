"""What DMTF's schemas say that the gateway must know: which type lives at a URI.

The facts in `schema.json` are derived from the CSDL bundle by
`tests/redfish/schema_data.py` (bundle 2025.4); nothing of the bundle itself is here.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

READ_METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class ResourceKind:
    """What the CSDL says of the resource at a URI.

    `methods` are those that change it, as its capabilities allow them.
    """

    type: str
    methods: tuple[str, ...]

    @property
    def allowed(self) -> tuple[str, ...]:
        """Every method, in the order of an Allow header.

        What may be updated may be replaced too: there is one capability for both.
        """
        replaced = "PATCH" in self.methods and "PUT" not in self.methods
        return READ_METHODS + self.methods + (("PUT",) if replaced else ())

    @property
    def member_type(self) -> str:
        """The type of a collection's members; the type itself elsewhere."""
        return self.type.removesuffix("Collection")


class Schema:
    """The derived facts, parsed once."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.url_properties: frozenset[str] = frozenset(facts["url_properties"])
        self.service_container: str = facts["service_container"]
        self.versions: dict[str, str] = facts["versions"]
        self.enumerations: dict[str, tuple[str, ...]] = {
            name: tuple(values) for name, values in facts["enumerations"].items()
        }
        self.removable_types: frozenset[str] = frozenset(
            name for name, *methods in facts["uris"].values() if "DELETE" in methods
        )
        self._tree: dict[str, Any] = {}
        for pattern, (name, *methods) in facts["uris"].items():
            node = self._tree
            for segment in _segments(pattern):
                key = "{}" if segment.startswith("{") else segment
                node = node.setdefault(key, {})
            node[""] = ResourceKind(name, tuple(methods))

    def kind_at(self, path: str) -> ResourceKind | None:
        """Return the kind of the resource at a path, None if the CSDL has none.

        A settings resource (`…/Settings`) has the type of what it sets.
        """
        segments = _segments(path)
        if segments[-1:] == ["Settings"]:
            active = self._find(segments[:-1])
            return ResourceKind(active.type, ("PATCH", "PUT")) if active else None
        return self._find(segments)

    def allowed_at(self, path: str) -> tuple[str, ...] | None:
        """Return the methods of the resource or action at a path, in the order of an
        Allow header; None if the CSDL has none.
        """
        if "/Actions/" in path:
            return ("POST",)
        kind = self.kind_at(path)
        return kind.allowed if kind else None

    def odata_type(self, name: str) -> str:
        """Return `#Name.vX_Y_Z.Name` of the newest version that we know."""
        version = self.versions[name]
        return f"#{name}.{version}.{name}" if version else f"#{name}.{name}"

    def _find(self, segments: list[str]) -> ResourceKind | None:
        node = self._tree
        for segment in segments:
            node = node.get(segment) or node.get("{}") or {}
        kind = node.get("")
        return kind if isinstance(kind, ResourceKind) else None


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


SCHEMA = Schema(
    json.loads(files("taskfish.redfish").joinpath("schema.json").read_text("utf-8"))
)
