"""What a change is called: its operation, its target, its Task Id (contracts.md 1)."""

import re
import secrets
import string
from dataclasses import dataclass

from pydantic import JsonValue

from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT
from taskfish.redfish.schema import SCHEMA

RESET_ACTION = "ComputerSystem.Reset"
FORCED_POWER_OFF = "ForceOff"
"""The ResetType that always passes: what cuts the power must not wait. A ForceRestart
leaves the machine on and waits as others do."""
GRACEFUL_RESETS = ("GracefulShutdown", "GracefulRestart")
"""The ResetTypes that a forced power-off makes pointless."""
SLOW_RESTARTS = ("UpdateService.", "Manager.Reset")
"""Operations that restart the BMC itself (contracts.md 2)."""
MAX_TARGET = 96
_VERBS = {"POST": "Create", "PATCH": "Update", "PUT": "Replace", "DELETE": "Delete"}
_ACTION = re.compile(r"(?P<owner>.+)/Actions/(?P<name>[^/]+)")
_KNOWN_OPERATION = re.compile(r"(Oem\.(POST|PATCH|PUT|DELETE)|[A-Za-z]+\.[A-Za-z]+)")
_COMPOSITE = re.compile(
    rf"(?P<owner>{ROOT}/.+)/Actions/(?P<name>Oem/Taskfish\.[A-Za-z]+|"
    r"AggregationService\.(?:Reset|SetDefaultBootOrder)|"
    r"Aggregate\.(?:Reset|SetDefaultBootOrder))"
)
_OURS = "Taskfish."
_OWNER = rf"{ROOT}/(?:(?:{'|'.join(COLLECTIONS)})/[^/]+|TaskService)"
_OUR_ACTION = re.compile(rf"{_OWNER}/Actions/Oem/Taskfish\.[A-Za-z]+")
_OUR_ACTION_INFO = re.compile(rf"{_OWNER}/Oem/Taskfish/[A-Za-z]+ActionInfo")
_ID_LETTERS = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class OperationName:
    """What people call a change.

    `name` is `ComputerSystem.Reset` or `Volume.Create`; `resource_type` the type that
    it changes; `target` the aggregated member (`rack7.1`) or the last name in the URI.
    """

    name: str
    resource_type: str
    target: str

    def summary(self, body: JsonValue) -> str:
        """Return one line for the Web UI: `ComputerSystem.Reset On → rack7.1`."""
        reset_type = body.get("ResetType") if isinstance(body, dict) else None
        words = [self.name, str(reset_type)] if reset_type else [self.name]
        return f"{' '.join(words)} → {self.target}"


def name_operation(method: str, uri: str) -> OperationName:
    """Name the change that a method on a northbound URI is.

    What DMTF's schemas do not know is `Oem.{METHOD}`.
    """
    action = _ACTION.fullmatch(uri)
    place = SCHEMA.kind_at(action["owner"] if action else uri)
    resource_type = place.member_type if place else "Oem"
    return OperationName(
        name=_name(method, action["name"] if action else None, resource_type),
        resource_type=resource_type,
        target=_target(action["owner"] if action else uri),
    )


def is_forced_power_off(uri: str, body: JsonValue) -> bool:
    """Say whether a POST cuts the power of a system."""
    return _reset_type(uri, body) == FORCED_POWER_OFF


def is_graceful_reset(uri: str, body: JsonValue) -> bool:
    """Say whether a POST asks a system's own software to end."""
    return _reset_type(uri, body) in GRACEFUL_RESETS


def _reset_type(uri: str, body: JsonValue) -> JsonValue:
    """Return the ResetType of a POST that resets a system, None for any other."""
    is_reset = name_operation("POST", uri).name == RESET_ACTION
    return body.get("ResetType") if is_reset and isinstance(body, dict) else None


def composite_at(uri: str) -> OperationName | None:
    """Name the multi-step operation that a POST to a URI starts, None if it is none:
    `Taskfish.CreateVolumeAndReset`, `Aggregate.Reset`.
    """
    action = _COMPOSITE.fullmatch(uri)
    if action is None or uri.startswith(f"{ROOT}/TaskService/Tasks/"):
        return None
    place = SCHEMA.kind_at(action["owner"])
    return OperationName(
        name=action["name"].removeprefix("Oem/"),
        resource_type=place.member_type if place else "Oem",
        target=_target(action["owner"]),
    )


def is_ours(action: str) -> bool:
    """Say whether an action is one of ours, and not of DMTF's schemas."""
    return action.startswith(_OURS)


def short_name(action: str) -> str:
    """Return the name of an action of ours without the namespace."""
    return action.removeprefix(_OURS)


def is_our_action(uri: str) -> bool:
    """Say whether a URI is that of an Oem action of ours on a member of a source, or on
    the TaskService: no source ever gets a request for it.
    """
    return _OUR_ACTION.fullmatch(uri) is not None


def is_our_action_info(uri: str) -> bool:
    """Say whether a URI is that of the ActionInfo of such an action."""
    return _OUR_ACTION_INFO.fullmatch(uri) is not None


def action_owner(resources: str) -> str:
    """Return the path of what has an action, as a route does: that of the members of a
    collection (`/redfish/v1/Systems/{member}`), or of a resource itself.
    """
    uri = f"{ROOT}/{resources}"
    kind = SCHEMA.kind_at(uri)
    assert kind is not None, f"{uri} is no resource"
    return f"{uri}/{{member}}" if kind.type.endswith("Collection") else uri


def action_target(owner: str, action: str) -> str:
    """Return the URI of an action of a resource; ours are an OEM's."""
    return f"{owner}/Actions/{'Oem/' if is_ours(action) else ''}{action}"


def action_info_uri(owner: str, action: str) -> str:
    """Return the URI of the ActionInfo of an action of ours."""
    return f"{owner}/Oem/Taskfish/{short_name(action)}ActionInfo"


def is_operation_name(name: str) -> bool:
    """Say whether a workflow type has the form of an operation."""
    return _KNOWN_OPERATION.fullmatch(name) is not None


def owner_of_action(uri: str) -> str:
    """Return the URI of the resource that an action belongs to."""
    return uri.partition("/Actions/")[0]


def new_task_id(operation: OperationName) -> str:
    """Return an Id that people can read: `ComputerSystem.Reset-rack7.1-k3x9q2`."""
    target = re.sub(r"[^A-Za-z0-9_.-]+", "-", operation.target)[:MAX_TARGET]
    ending = "".join(secrets.choice(_ID_LETTERS) for _ in range(6))
    return f"{operation.name}-{target}-{ending}"


def _name(method: str, action: str | None, resource_type: str) -> str:
    if action is not None:
        return action if _is_action_name(action) else f"Oem.{method}"
    if resource_type == "Oem":
        return f"Oem.{method}"
    return f"{resource_type}.{_VERBS[method]}"


def _is_action_name(action: str) -> bool:
    """Say whether an action may name a workflow type: it must not choose another's."""
    resource_type, _, verb = action.partition(".")
    return (
        _KNOWN_OPERATION.fullmatch(action) is not None
        and resource_type in SCHEMA.versions
        and verb not in _VERBS.values()
    )


def _target(uri: str) -> str:
    """Return the member below a first-level collection, else the last segment."""
    segments = uri.removeprefix(ROOT).strip("/").split("/")
    return segments[1] if len(segments) > 1 else segments[-1]
