"""What the gateway adds to a resource: the link to its tasks, and what it can be asked
for beyond what its source knows.
"""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from taskfish.redfish.inventory import Member
from taskfish.redfish.operations import action_info_uri, action_target
from taskfish.redfish.resources import WITH_TASKS, DescribedAction, tasks_of
from workflows.operations import OPERATIONS

_TYPES = {"Systems": "ComputerSystem", "Chassis": "Chassis", "Managers": "Manager"}
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OURS = "Taskfish."


def with_tasks(uri: str, member: Member, body: JsonValue) -> JsonValue:
    """Add `Oem.Taskfish.Tasks` to the resource of a system, chassis or manager.

    What lies below a member, or is of another kind, comes back as it is.
    """
    has_tasks = uri == member.uri and member.collection in WITH_TASKS
    if not has_tasks or not isinstance(body, dict):
        return body
    said: dict[str, JsonValue] = {
        **_object(_object(body, "Oem"), "Taskfish"),
        "@odata.type": f"#Taskfish.v1_0_0.{_TYPES[member.collection]}",
        "Tasks": {"@odata.id": tasks_of(uri)},
    }
    return {**body, "Oem": {**_object(body, "Oem"), "Taskfish": said}}


def with_operations(uri: str, member: Member, body: JsonValue) -> JsonValue:
    """Add the multi-step operations to the `Actions.Oem` of a member of a source, also
    where the source gives it no actions.
    """
    found = oem_actions(uri, member.collection) if uri == member.uri else {}
    if not found or not isinstance(body, dict):
        return body
    actions = _object(body, "Actions")
    ours = {name: action.to_json() for name, action in found.items()}
    return {**body, "Actions": {**actions, "Oem": {**_object(actions, "Oem"), **ours}}}


def oem_actions(uri: str, resources: str) -> dict[str, DescribedAction]:
    """Return the multi-step operations on the resource `uri`, as its Actions.Oem."""
    return {
        f"#{name}": DescribedAction(
            target=action_target(uri, name),
            title=_WORD.sub(" ", name.removeprefix(_OURS)),
            action_info=action_info_uri(uri, name),
        )
        for name, each in OPERATIONS.items()
        if each.resources == resources and name.startswith(_OURS)
    }


def _object(body: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    """Return the object of a name, an empty one if there is none."""
    found = body.get(name)
    return found if isinstance(found, dict) else {}
