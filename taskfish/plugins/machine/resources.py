"""Redfish resources as an emulated machine shows them, and how changes reach them."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body, refused
from taskfish.plugins.machine.jobs import Work
from taskfish.redfish.messages import base_message
from taskfish.redfish.schema import SCHEMA

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/1"
CHASSIS = f"{ROOT}/Chassis/1"
MANAGER = f"{ROOT}/Managers/1"
HEALTHY: Body = {"State": "Enabled", "Health": "OK"}

Render = Callable[[], Body]
Handler = Callable[[Body], Work]


@dataclass
class Tree:
    """What there is to read and to change at one moment, by URI."""

    resources: dict[str, Render] = field(default_factory=dict)
    changes: dict[tuple[str, str], Handler] = field(default_factory=dict)

    def add(self, uri: str, render: Render, **handlers: Handler) -> None:
        """Add a resource with its changes: `PATCH=handler`."""
        self.resources[uri] = render
        for method, handler in handlers.items():
            self.changes[method, uri] = handler

    def add_action(self, uri: str, handler: Handler) -> None:
        """Add the target of an action."""
        self.changes["POST", uri] = handler

    def allow(self, uri: str) -> str:
        """Return the Allow header of a URI, empty if there is nothing at it."""
        read = ["GET", "HEAD"] if uri in self.resources else []
        return ", ".join(read + [m for m, target in self.changes if target == uri])


def link(uri: str) -> Body:
    """Return a reference to a resource."""
    return {"@odata.id": uri}


def links(uris: Iterable[str]) -> list[JsonValue]:
    """Return references to resources."""
    return [link(uri) for uri in uris]


def resource(uri: str, kind: str, name: str, **properties: JsonValue) -> Body:
    """Return a resource's body; its Id is the last segment of its URI."""
    body: Body = {
        "@odata.id": uri,
        "@odata.type": SCHEMA.odata_type(kind),
        "Id": uri.rpartition("/")[2],
        "Name": name,
    }
    return body | properties


def collection(
    uri: str, kind: str, members: Iterable[str], **properties: JsonValue
) -> Body:
    """Return the body of the collection of `kind`."""
    found = links(members)
    body: Body = {
        "@odata.id": uri,
        "@odata.type": SCHEMA.odata_type(f"{kind}Collection"),
        "Name": f"{kind} Collection",
        "Members": found,
        "Members@odata.count": len(found),
    }
    return body | properties


def action(uri: str, name: str, **properties: JsonValue) -> Body:
    """Return the entry of an action, as it stands in Actions."""
    body: Body = {"target": f"{uri}/Actions/{name}"}
    return {f"#{name}": body | properties}


def etag(body: Body) -> str:
    """Return the strong ETag of a body."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f'"{digest[:16]}"'


def timestamp(moment: datetime) -> str:
    """Return a time as Redfish writes it; a restart shows within the second."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def require_known(body: Body, known: Iterable[str]) -> None:
    """Refuse properties that cannot be written here; annotations may stand."""
    for name in body:
        if name not in known and not name.startswith("@"):
            raise refused(base_message("PropertyUnknown", name, related=[name]))


def require_listed(value: JsonValue, allowed: Iterable[JsonValue], name: str) -> None:
    """Refuse a property's value that is not one of the allowed ones."""
    if value not in allowed:
        raise refused(base_message("PropertyValueNotInList", str(value), name))


def text_of(body: Body, name: str, action_name: str | None = None) -> str:
    """Return a required string of a body; a refusal if it is missing or no string."""
    value = body.get(name)
    if value is None and action_name:
        raise refused(base_message("ActionParameterMissing", action_name, name))
    if value is None:
        raise refused(base_message("PropertyMissing", name, related=[name]))
    if not isinstance(value, str):
        raise refused(base_message("PropertyValueTypeError", str(value), name))
    return value


def object_of(body: Body, name: str) -> Body:
    """Return an object of a body, {} if missing; a refusal if it is no object."""
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise refused(base_message("PropertyValueTypeError", str(value), name))
    return value


APPLY_TIME = "@Redfish.OperationApplyTime"
APPLY_TIMES = ("Immediate", "OnReset")


def apply_time_of(body: Body) -> str | None:
    """Return @Redfish.OperationApplyTime; a refusal unless the machine supports it."""
    value = body.get(APPLY_TIME)
    if value is None:
        return None
    require_listed(value, APPLY_TIMES, APPLY_TIME)
    return str(value)


def refuse_apply_time(body: Body) -> None:
    """Refuse a body with @Redfish.OperationApplyTime, whatever its value."""
    if APPLY_TIME in body:
        raise refused(base_message("PropertyUnknown", APPLY_TIME))


def apply_time_support(supported: bool) -> Body:
    """Return @Redfish.OperationApplyTimeSupport of what takes both times, or none."""
    if not supported:
        return {}
    kind = SCHEMA.odata_type("Settings").rpartition(".")[0]
    return {
        "@Redfish.OperationApplyTimeSupport": {
            "@odata.type": f"{kind}.OperationApplyTimeSupport",
            "SupportedValues": list(APPLY_TIMES),
        }
    }
