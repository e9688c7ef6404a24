"""Who may do what: roles, privileges, and the privilege that each request needs.

The table in `privileges.json` is derived from DMTF's privilege registry by
`tests/redfish/privilege_data.py`; which entity lives at a path is the schemas' to say.
What neither knows needs ConfigureManager (contracts.md 7).
"""

import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from taskfish.redfish.event_resources import EVENT_STREAM
from taskfish.redfish.links import ROOT
from taskfish.redfish.operations import is_our_action, is_our_action_info
from taskfish.redfish.resources import WITH_TASKS, tasks_of
from taskfish.redfish.schema import SCHEMA

LOGIN = "Login"
CONFIGURE_MANAGER = "ConfigureManager"
CONFIGURE_USERS = "ConfigureUsers"
CONFIGURE_COMPONENTS = "ConfigureComponents"
CONFIGURE_SELF = "ConfigureSelf"

ROLES: Mapping[str, tuple[str, ...]] = {
    "Administrator": (
        LOGIN,
        CONFIGURE_MANAGER,
        CONFIGURE_USERS,
        CONFIGURE_COMPONENTS,
        CONFIGURE_SELF,
    ),
    "Operator": (LOGIN, CONFIGURE_COMPONENTS, CONFIGURE_SELF),
    "ReadOnly": (LOGIN, CONFIGURE_SELF),
}
"""The predefined roles and what each may (DSP0266, roles and privileges)."""

_TASK = re.compile(
    rf"{ROOT}/TaskService/((Tasks|TaskMonitors)/[^/]+|Tasks/[^/]+/SubTasks/[^/]+)"
)
_TASK_ACTION = re.compile(rf"({_TASK.pattern})/Actions/Oem/Taskfish\.(?P<action>\w+)")
_OWNER_ACTIONS = ("Suspend", "Resume", "PauseBefore", "SetTags")
"""What owners may do with their tasks; the routes ask who the owner is."""

_TASKS_OF_MEMBER = re.compile(tasks_of(rf"{ROOT}/({'|'.join(WITH_TASKS)})/[^/]+"))
_AUDIT = re.compile(rf"{ROOT}/Managers/taskfish/LogServices/Audit/Entries(/.*)?")
"""What tells who did what: the registry lets everybody read logs (contracts.md 7)."""

CODEC_DECODE, CODEC_ENCODE = "/codec/decode", "/codec/encode"
VDSM = "/vdsm/jsonrpc"
_BESIDE_REDFISH = {
    EVENT_STREAM: {"GET": frozenset({LOGIN})},
    CODEC_DECODE: {"GET": frozenset({CONFIGURE_MANAGER})},
    CODEC_ENCODE: {"GET": frozenset({CONFIGURE_COMPONENTS})},
    # Its calls need what the requests need that they stand for.
    VDSM: {"GET": frozenset({LOGIN})},
}
"""Rows of our own, for what no schema has a resource for."""
_UNKNOWN = frozenset({CONFIGURE_MANAGER})
Operations = Mapping[str, frozenset[str]]
"""Method → the privileges of which one is enough."""
_OPEN: Operations = {"GET": frozenset({LOGIN})}


class PrivilegeTable:
    """The derived rows, parsed once."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._rows: dict[str, Operations] = {
            entity: _parsed(row["operations"])
            for row in facts["rows"]
            for entity in row["entities"]
        }
        self._subordinates: list[tuple[str, list[str], Operations]] = [
            (each["entity"], each["below"], _parsed(each["operations"]))
            for each in facts["subordinates"]
        ]
        self._properties: dict[tuple[str, str], Operations] = {
            (each["entity"], name): _parsed(each["operations"])
            for each in facts["properties"]
            for name in each["properties"]
        }

    def needed(self, method: str, path: str) -> frozenset[str]:
        """Return the privileges of which a request needs one.

        An action needs what a POST of its resource needs, and a HEAD what a GET needs:
        an ETag tells of what it belongs to. Login is all that it takes to cancel,
        suspend, resume and tag a task here: its route asks for the owner; and to ask
        for a multi-step operation: what it does needs its own.
        """
        if _is_of_owner(method, path):
            return frozenset({LOGIN})
        if _AUDIT.fullmatch(path):
            return frozenset({CONFIGURE_MANAGER})
        method = "GET" if method == "HEAD" else method
        operations = self._operations(_resource_at(method, path))
        return operations.get(method, operations["GET"]) if operations else _UNKNOWN

    def needed_for_property(
        self, method: str, path: str, name: str
    ) -> frozenset[str] | None:
        """Return what one property needs instead, None if it needs nothing else."""
        kind = SCHEMA.kind_at(path)
        operations = self._properties.get((kind.type, name), {}) if kind else {}
        return operations.get(method)

    def needed_for_any_property(self, method: str, path: str) -> frozenset[str]:
        """Return the privileges one of which may change at least a property."""
        kind = SCHEMA.kind_at(path)
        named = [
            name for entity, name in self._properties if kind and entity == kind.type
        ]
        found = (self.needed_for_property(method, path, name) for name in named)
        return frozenset().union(*(needed or () for needed in found))

    def knows(self, method: str, path: str) -> bool:
        """Say whether a request has a row of its own."""
        return self._operations(_resource_at(method, path)) is not None

    def _operations(self, path: str | None) -> Operations | None:
        if path is not None and is_our_action(path):
            return _OPEN
        if path in _BESIDE_REDFISH:
            return _BESIDE_REDFISH[path]
        entity = _entity_at(path) if path else None
        row = self._rows.get(entity) if entity else None
        if path is None or row is None:
            return None
        above = _entities_above(path)
        for name, below, operations in self._subordinates:
            if name == entity and _in_order(below, above):
                return {**row, **operations}
        return row


def _parsed(operations: dict[str, list[str]]) -> dict[str, frozenset[str]]:
    return {
        method: frozenset(needed)
        for methods, needed in operations.items()
        for method in methods.split()
    }


def _is_of_owner(method: str, path: str) -> bool:
    action = _TASK_ACTION.fullmatch(path)
    if action:
        return method == "POST" and action["action"] in _OWNER_ACTIONS
    return method == "DELETE" and _TASK.fullmatch(path) is not None


def _resource_at(method: str, path: str) -> str | None:
    """Return the path of the resource that a request is about.

    None for an action that its type does not have: an OEM's, for one.
    """
    task_action = _TASK_ACTION.fullmatch(path)
    if task_action:
        return task_action[1]
    if is_our_action(path):
        return path
    resource, is_action, action = path.rpartition("/Actions/")
    if is_action:
        kind = SCHEMA.kind_at(resource)
        ours = kind is not None and re.fullmatch(rf"{kind.type}\.\w+", action)
        return resource if ours else None
    if method == "POST" and path.endswith("/Members"):
        return path.removesuffix("/Members")
    return path


def _entity_at(path: str) -> str | None:
    """Return the type at a path; None for what neither the schemas nor we know.

    A monitor is a Task; an ActionInfo may stand beside what it belongs to. The tasks
    of a member are a part of the collection of all.
    """
    if _TASKS_OF_MEMBER.fullmatch(path):
        return "TaskCollection"
    if _TASK.fullmatch(path):
        return "Task"
    kind = SCHEMA.kind_at(path)
    if kind is not None:
        return kind.type
    if is_our_action_info(path):
        return "ActionInfo"
    parent, _, name = path.rpartition("/")
    is_info = name.endswith("ActionInfo") and SCHEMA.kind_at(parent) is not None
    return "ActionInfo" if is_info else None


def _entities_above(path: str) -> list[str]:
    """Return the types of what a path lies in, from the root on."""
    segments = path.split("/")
    above = (
        SCHEMA.kind_at("/".join(segments[:end])) for end in range(3, len(segments))
    )
    return [kind.type for kind in above if kind is not None]


def _in_order(wanted: Iterable[str], found: Iterable[str]) -> bool:
    """Say whether all that is wanted is found, in that order."""
    rest = iter(found)
    return all(name in rest for name in wanted)


PRIVILEGES = PrivilegeTable(
    json.loads(files("taskfish.redfish").joinpath("privileges.json").read_text("utf-8"))
)
