"""What tests of multi-step operations share: one to start, and its SubTasks."""

from typing import Any

import httpx

from tests.house import House
from tests.workflows.houses import BMC, until

ACTION = f"{BMC}/Actions/Oem/Taskfish.CreateVolumeAndReset"
BEFORE_RESET = ["volumes-before", "create-volume", "system-before"]
STEPS = [*BEFORE_RESET, "reset", "system-on", "volume-listed"]
STORAGE = f"{BMC}/Storage/1"
VOLUME = {"Name": "data", "RAIDType": "RAID0"}
Task = dict[str, Any]


def wanted(**parameters: object) -> dict[str, object]:
    """Return the parameters of a CreateVolumeAndReset."""
    drive = {"@odata.id": f"{BMC}/Storage/1/Drives/1"}
    volume: dict[str, object] = {
        "Name": "data",
        "RAIDType": "RAID0",
        "Links": {"Drives": [drive]},
    }
    apply_time = parameters.pop("apply_time", None)
    if apply_time is not None:
        volume["@Redfish.OperationApplyTime"] = apply_time
    return {
        "Storage": f"{BMC}/Storage/1",
        "Volume": volume,
        "ResetType": "ForceRestart",
        **parameters,
    }


async def create_and_reset(
    house: House, headers: dict[str, str] | None = None, **parameters: object
) -> httpx.Response:
    """Start a CreateVolumeAndReset of bmc1.1; return its 202."""
    body = wanted(**parameters)
    return await house.change("POST", ACTION, body, **(headers or {}))


async def start(
    house: House,
    name: str,
    parameters: dict[str, Any],
    system: str = BMC,
    **headers: str,
) -> httpx.Response:
    """Start an operation of a system; return its 202."""
    uri = f"{system}/Actions/Oem/Taskfish.{name}"
    return await house.change("POST", uri, parameters, **headers)


def resets(house: House, machine: str = "bmc1") -> list[str]:
    """Return the types of the resets that a machine has carried out."""
    bodies = [each.body for each in house.emulator.executions(machine)]
    return [
        str(body["ResetType"])
        for body in bodies
        if isinstance(body, dict) and "ResetType" in body
    ]


def step_uri(accepted: httpx.Response, name: str) -> str:
    """Return the URI of a step of a 202's task."""
    return f"{accepted.json()['@odata.id']}/SubTasks/{name}"


async def sub_task(house: House, accepted: httpx.Response, name: str) -> Task:
    """Read a SubTask of a 202's task."""
    answer = await house.client.get(step_uri(accepted, name))
    assert answer.status_code == 200, answer.text
    found: Task = answer.json()
    return found


async def sub_tasks(house: House, accepted: httpx.Response) -> dict[str, Task]:
    """Read all SubTasks of a 202's task, in their order, by their Ids."""
    uri = f"{accepted.json()['@odata.id']}/SubTasks?$expand=."
    answer = await house.client.get(uri)
    assert answer.status_code == 200, answer.text
    return {each["Id"]: each for each in answer.json()["Members"]}


async def states(house: House, accepted: httpx.Response) -> dict[str, str]:
    """Return the state of each step, in their order."""
    steps = await sub_tasks(house, accepted)
    return {name: step["TaskState"] for name, step in steps.items()}


async def until_step(
    house: House, accepted: httpx.Response, name: str, *wanted_states: str
) -> Task:
    """Poll a SubTask until it is in one of these states, and return it."""
    seen: list[Task] = []

    async def is_there() -> bool:
        answer = await house.client.get(step_uri(accepted, name))
        if answer.status_code == 404:
            return False  # Not planned from the start.
        seen.append(answer.json())
        return seen[-1]["TaskState"] in wanted_states

    await until(is_there)
    return seen[-1]


async def until_sent(house: House, accepted: httpx.Response, name: str) -> Task:
    """Wait until the source works on a step."""
    return await until_step(house, accepted, name, "Running")


async def resume(house: House, accepted: httpx.Response) -> None:
    """Let a suspended operation go on."""
    uri = f"{accepted.json()['@odata.id']}/Actions/Oem/Taskfish.Resume"
    answer = await house.client.post(uri, json={})
    assert answer.status_code == 204, answer.text
