"""Changes of one machine that may be in each other's way, and who is on it."""

from datetime import UTC, datetime
from typing import Any

import httpx

from activities.open_places import OpenPlaces
from taskfish.store.turns import Turns
from tests.house import House
from tests.workflows.houses import (
    answered,
    until,
    words_of,
)

BMC, NODE = "/redfish/v1/Systems/bmc1.1", "/redfish/v1/Systems/node1.1"
RESET = "Actions/ComputerSystem.Reset"
SIMPLE_UPDATE = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
FIRMWARE = "/redfish/v1/UpdateService/FirmwareInventory"
RUN_PLAN = "/redfish/v1/TaskService/Actions/Oem/Taskfish.RunPlan"
RESET_MANY = "/redfish/v1/AggregationService/Actions/AggregationService.Reset"
QUEUE, REJECT, ALLOW = (
    {"Task-Conflict": wish} for wish in ("queue", "reject", "allow")
)


async def create_volume(
    house: House, name: str, headers: dict[str, str], system: str = BMC
) -> httpx.Response:
    """Ask for a volume and return whatever the answer is."""
    body = {"Name": name, "RAIDType": "RAID0"}
    uri = f"{system}/Storage/1/Volumes"
    return await house.client.post(uri, json=body, headers=headers)


async def reset(
    house: House, kind: str, headers: dict[str, str], system: str = BMC
) -> httpx.Response:
    """Ask for a reset and return whatever the answer is."""
    body = {"ResetType": kind}
    return await house.client.post(f"{system}/{RESET}", json=body, headers=headers)


def step(name: str, uri: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a step of a plan."""
    return {"Name": name, "Method": "POST", "Uri": uri, "Body": body}


async def operate(
    house: House, uri: str, kind: str, headers: dict[str, str]
) -> httpx.Response:
    """Reset bmc1.1 by a plan or a bulk operation; return its 202."""
    body: dict[str, Any] = {"TargetURIs": [{"@odata.id": BMC}], "ResetType": kind}
    if uri == RUN_PLAN:
        body = {"Steps": [step("reset", f"{BMC}/{RESET}", {"ResetType": kind})]}
    return await house.change("POST", uri, body, **headers)


async def until_behind(
    house: House, waiting: httpx.Response, ahead: httpx.Response
) -> None:
    """Wait until a task is Pending and says that it waits for another."""
    uri = ahead.json()["@odata.id"]

    async def says_so() -> bool:
        task = await house.task(waiting)
        return task["TaskState"] == "Pending" and uri in words_of(task)

    await until(says_so)


async def on_the_machine(house: House, system: str = BMC) -> list[str]:
    """Return the Ids of the tasks that have a place on a system, the ended swept."""
    turns = Turns(house.store)
    places = OpenPlaces(house.temporal, turns)
    await answered(lambda: places.sweep(datetime.now(UTC)))
    return [place.task_id for place in await turns.on([system])]


def volumes(house: House, machine: str = "bmc1") -> list[str]:
    """Return the names of the volumes that were asked of a machine, in order."""
    executions = house.emulator.executions(machine, "POST")
    return [
        str(each.body["Name"]) for each in executions if isinstance(each.body, dict)
    ]
