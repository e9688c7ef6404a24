"""Multi-step operations on bmc1: how tests start them and what they look at."""

from typing import Any

import httpx
from temporalio.client import WorkflowHandle

from tests.house import House
from tests.workflows.houses import BMC, until

STORAGE = f"{BMC}/Storage/1"
VOLUME = {"Name": "data", "RAIDType": "RAID0"}


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


async def states(house: House, accepted: httpx.Response) -> dict[str, str]:
    """Return the states of all steps, by their names."""
    found: dict[str, str] = await house.workflow(accepted).query("steps")
    return found


def step(house: House, accepted: httpx.Response, name: str) -> WorkflowHandle[Any, Any]:
    """Return Temporal's handle of a step."""
    return house.temporal.get_workflow_handle(f"{accepted.json()['Id']}:{name}")


async def resume(house: House, accepted: httpx.Response) -> None:
    """Let an operation go on that was suspended."""
    await house.workflow(accepted).signal("Resume", "ada")


def resets(house: House, machine: str = "bmc1") -> list[str]:
    """Return the types of the resets that a machine has carried out."""
    bodies = [each.body for each in house.emulator.executions(machine)]
    return [
        str(body["ResetType"])
        for body in bodies
        if isinstance(body, dict) and "ResetType" in body
    ]


async def is_running(house: House, accepted: httpx.Response, name: str) -> None:
    """Wait until a step has begun."""

    async def runs() -> bool:
        return (await states(house, accepted)).get(name) == "Running"

    await until(runs)
