"""What the gateway adds to a member of a source: the link to its tasks."""

from pydantic import JsonValue

from taskfish.redfish.inventory import Member
from taskfish.redfish.resources import WITH_TASKS, tasks_of

_TYPES = {"Systems": "ComputerSystem", "Chassis": "Chassis", "Managers": "Manager"}


def with_tasks(uri: str, member: Member, body: JsonValue) -> JsonValue:
    """Add `Oem.Taskfish.Tasks` to the resource of a system, chassis or manager.

    What lies below a member, or is of another kind, comes back as it is.
    """
    has_tasks = uri == member.uri and member.collection in WITH_TASKS
    if not has_tasks or not isinstance(body, dict):
        return body
    oem = body.get("Oem")
    oem = oem if isinstance(oem, dict) else {}
    ours = oem.get("Taskfish")
    ours = ours if isinstance(ours, dict) else {}
    said: dict[str, JsonValue] = {
        **ours,
        "@odata.type": f"#Taskfish.v1_0_0.{_TYPES[member.collection]}",
        "Tasks": {"@odata.id": tasks_of(uri)},
    }
    return {**body, "Oem": {**oem, "Taskfish": said}}
