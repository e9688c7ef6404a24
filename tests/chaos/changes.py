"""How a planned change is asked for, and by what its executions are known."""

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from taskfish.plugins.machine.executions import Execution
from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.machine.storage import VOLUMES
from tests.chaos.plans import PlannedChange

NORTH = "/redfish/v1/Systems/{machine}.1"
SOUTH = "/redfish/v1/Systems/1"
Mark = tuple[str, str, str]
"""Method, machine and what tells a change from others of that method there."""


@dataclass(frozen=True)
class Request:
    """One change as a client sends it; `mark` is what its executions have too."""

    method: str
    uri: str
    body: dict[str, Any] | None
    mark: Mark


async def make_request(change: PlannedChange, machine: Machine) -> Request:
    """Return the request; what it is to delete is made now, at the machine itself."""
    system = NORTH.format(machine=change.machine)
    match change.kind:
        case "reset":
            uri = f"{system}/Actions/ComputerSystem.Reset"
            body: dict[str, Any] | None = {"ResetType": change.reset_type}
            mark = ("POST", change.machine, change.reset_type)
            return Request("POST", uri, body, mark)
        case "boot_order":
            order = {"BootOrder": list(change.boot_order)}
            body = {"AssetTag": change.name, "Boot": order}
            mark = ("PATCH", change.machine, change.name)
            return Request("PATCH", system, body, mark)
        case "volume_deletion":
            south = await _made_volume(machine, change.name)
            mark = ("DELETE", change.machine, south)
            return Request("DELETE", south.replace(SOUTH, system), None, mark)
    drives = [{"@odata.id": f"{system}/Storage/1/Drives/1"}]
    body = {"Name": change.name, "RAIDType": "RAID0", "Links": {"Drives": drives}}
    if change.kind == "volume_on_reset":
        body["@Redfish.OperationApplyTime"] = "OnReset"
    uri = VOLUMES.replace(SOUTH, system)
    return Request("POST", uri, body, ("POST", change.machine, change.name))


def mark_of(execution: Execution) -> Mark:
    """Return by what an execution is known."""
    body = execution.body if isinstance(execution.body, dict) else {}
    names = (body.get(name) for name in ("Name", "AssetTag", "ResetType"))
    told = execution.uri if execution.method == "DELETE" else next(filter(None, names))
    return (execution.method, execution.machine, str(told))


def volumes_named(machine: Machine, name: str) -> int:
    """Return how many volumes of this name a machine has."""
    machine.timeline.advance()
    return sum(each["Name"] == name for each in machine.storage.volumes.values())


async def _made_volume(machine: Machine, name: str) -> str:
    """Make a volume at the machine; return its URI there. It is no execution."""
    before = machine.modes
    machine.set_modes(answer="sync", slow_sync=False)
    body: dict[str, JsonValue] = {"Name": name, "RAIDType": "RAID0"}
    made = await machine.change("POST", VOLUMES, body)
    machine.reset_modes(before)
    machine.executions.pop()
    location = getattr(made, "headers", {}).get("Location")
    assert location, "the emulator makes a volume at once"
    return str(location)
