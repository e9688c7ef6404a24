"""One resource, two names: the source's URIs and the gateway's (contracts.md 1).

A source's `/redfish/v1/Systems/1` is `/redfish/v1/Systems/{source}.1` northbound.
Only link values are touched, found by walking the JSON; no text is ever replaced.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.schema import SCHEMA

ROOT = "/redfish/v1"
PREFIXED_COLLECTIONS = tuple(f"{ROOT}/{name}" for name in COLLECTIONS)
SHARED_RESOURCES = frozenset({*PREFIXED_COLLECTIONS, ROOT, f"{ROOT}/UpdateService"})
ACCOUNTS = f"{ROOT}/AccountService"
REMOTE_ACCOUNTS = re.compile(
    rf"{ROOT}/Managers/(?P<member>[^/#?]+)/RemoteAccountService(?P<rest>(?:[/#?].*)?)"
)
_MEMBER = re.compile(
    rf"(?P<collection>{'|'.join(PREFIXED_COLLECTIONS)})/(?P<member>[^/#?]+)(?P<rest>.*)",
    re.DOTALL,
)
_LINK_KEYS = frozenset(
    {"@odata.id", "target", "@Redfish.ActionInfo", "Location", "Link"}
)
_AMBIGUOUS = re.compile(
    r"//|\\|%2f|%5c|%2e|/\.\.?(?:[/;?#]|$)|[^\x21-\x7e]", re.IGNORECASE
)
"""What could be read as another path than the one that was translated."""
_DROPPED = object()

Translate = Callable[[str], str | None]


@dataclass(frozen=True)
class LinkMap:
    """Both directions for one source.

    `manager` is the source's own Id of the Manager under which its AccountService
    appears northbound; without one, links to accounts map nowhere.
    """

    source: str
    manager: str | None = None

    def north_uri(self, uri: str) -> str | None:
        """Return the gateway's URI of a source's, None if it has none there."""
        if _AMBIGUOUS.search(uri):
            return None
        path, slash = (uri[:-1], "") if uri.endswith("/") else (uri, "")
        if path in SHARED_RESOURCES:
            return path + slash
        if self.manager and _is_below(path, ACCOUNTS):
            manager = f"{ROOT}/Managers/{self.source}.{self.manager}"
            return f"{manager}/RemoteAccountService{path.removeprefix(ACCOUNTS)}"
        match = _MEMBER.fullmatch(path)
        if match is None:
            return None
        return f"{match['collection']}/{self.source}.{match['member']}{match['rest']}"

    def south_uri(self, uri: str) -> str | None:
        """Return the source's URI of a gateway's, None if it is not this source's."""
        accounts = REMOTE_ACCOUNTS.fullmatch(uri)
        if accounts and accounts["member"] == f"{self.source}.{self.manager}":
            return ACCOUNTS + accounts["rest"]
        if uri in SHARED_RESOURCES or uri.startswith(f"{ROOT}/UpdateService/Actions/"):
            return uri
        match = _MEMBER.fullmatch(uri)
        if match is None:
            return None
        source, _, member = match["member"].partition(".")
        if source != self.source or not member:
            return None
        return f"{match['collection']}/{member}{match['rest']}"

    def north(self, body: JsonValue) -> JsonValue:
        """Return a source's body with the gateway's links; dead links are dropped.

        What leads on within the service must be below it; a property that holds a URL
        may name another host, but no other path of ours.
        """
        return walk_links(body, self.north_uri, self._north_url)

    def south(self, body: JsonValue) -> JsonValue:
        """Return a caller's body with this source's links; others stay as they are."""
        return walk_links(body, lambda uri: self.south_uri(uri) or uri)

    def _north_url(self, url: str) -> str | None:
        return self.north_uri(url) if url.startswith("/") else url


def is_ambiguous(uri: str) -> bool:
    """Say whether a URI could be read as another than it seems."""
    return _AMBIGUOUS.search(uri) is not None


def walk_links(
    body: JsonValue, translate: Translate, translate_url: Translate | None = None
) -> JsonValue:
    """Return a body with its link values translated; those that become None go.

    `translate_url` is for the properties that hold any URL, if they are different.
    """
    mapped = _Walk(translate, translate_url or translate).value(body)
    return None if mapped is _DROPPED else mapped  # type: ignore[return-value]


def _is_below(uri: str, root: str) -> bool:
    return uri == root or uri.startswith((f"{root}/", f"{root}#", f"{root}?"))


@dataclass(frozen=True)
class _Walk:
    """How the two kinds of links below a value are translated."""

    link: Translate
    url: Translate

    def value(self, value: JsonValue) -> object:
        """Translate the link values below `value`; what maps nowhere is _DROPPED."""
        if isinstance(value, list):
            return _kept(self.value(item) for item in value)
        if not isinstance(value, dict):
            return value
        mapped: dict[str, object] = {}
        for key, item in value.items():
            translate = self._translation_of(key)
            new = self._links(item, translate) if translate else self.value(item)
            if new is not _DROPPED:
                mapped[key] = new
        if value and not mapped:
            return _DROPPED
        _count_again(value, mapped)
        return mapped

    def _translation_of(self, key: str) -> Translate | None:
        if key in _LINK_KEYS or key.endswith("@odata.nextLink"):
            return self.link
        return self.url if key in SCHEMA.url_properties else None

    def _links(self, value: JsonValue, translate: Translate) -> object:
        if isinstance(value, str):
            mapped = translate(value)
            return _DROPPED if mapped is None else mapped
        if isinstance(value, list):
            return _kept(self._links(item, translate) for item in value)
        return self.value(value)


def _kept(values: Iterable[object]) -> list[object]:
    return [value for value in values if value is not _DROPPED]


def _count_again(before: dict[str, JsonValue], after: dict[str, object]) -> None:
    """Correct `Members@odata.count` and its like where members were dropped."""
    for key, items in before.items():
        count = before.get(f"{key}@odata.count")
        kept = after.get(key)
        if (
            isinstance(items, list)
            and isinstance(kept, list)
            and isinstance(count, int)
        ):
            after[f"{key}@odata.count"] = count - (len(items) - len(kept))


def member_of(uri: str) -> tuple[str, str] | None:
    """Return the source that a gateway's URI belongs to, and the URI of its member:
    `rack7` and `/redfish/v1/Systems/rack7.1`; None for what is no source's.
    """
    match = _MEMBER.fullmatch(uri)
    if match is None:
        return None
    source, dot, _ = match["member"].partition(".")
    return (source, f"{match['collection']}/{match['member']}") if dot else None
