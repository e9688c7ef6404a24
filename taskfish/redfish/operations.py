"""What a change is called: its operation, its target, its Task Id (contracts.md 1)."""

import re
import secrets
import string
from dataclasses import dataclass

from pydantic import JsonValue

from taskfish.redfish.links import ROOT
from taskfish.redfish.schema import SCHEMA

RESET_ACTION = "ComputerSystem.Reset"
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
