"""Changes that wait for their time, and what is seen of them at the machine."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from pydantic import JsonValue

from taskfish.plugins.machine.executions import Execution
from taskfish.store.reset_waits import ResetWait, ResetWaits
from tests.house import House
from tests.workflows.houses import (
    BMC,
    VOLUMES,
    until,
)

APPLY_TIME = "@Redfish.OperationApplyTime"
WINDOW = "@Redfish.MaintenanceWindow"
RESET = "Actions/ComputerSystem.Reset"


async def volume(
    house: House, system: str = BMC, value: str = "OnReset", **window: Any
) -> httpx.Response:
    """Ask for a volume at some time; `window` is from and for how many seconds."""
    body: dict[str, JsonValue] = {"Name": "data", "RAIDType": "RAID0"}
    body[APPLY_TIME] = value
    if window:
        start = datetime.now(UTC) + timedelta(seconds=window["start"])
        body[WINDOW] = {
            "MaintenanceWindowStartTime": start.isoformat(),
            "MaintenanceWindowDurationInSeconds": window["seconds"],
        }
    return await house.change("POST", f"{system}/{VOLUMES}", body)


async def waits(house: House, system: str = BMC) -> list[ResetWait]:
    """Return what waits for a reset of a system, as the store has it."""
    return list(await ResetWaits(house.store).on(system))


async def until_waiting(house: House, system: str = BMC) -> None:
    """Wait until a reset of the system would know that a change waits for it."""

    async def is_waiting() -> bool:
        return bool(await waits(house, system))

    await until(is_waiting)


async def until_none_waits(house: House, system: str = BMC) -> None:
    """Wait until no change waits for a reset of the system any more."""

    async def is_gone() -> bool:
        return not await waits(house, system)

    await until(is_gone)


async def reset_at_machine(house: House) -> None:
    """Reset bmc1 without the gateway."""
    async with httpx.AsyncClient(
        base_url=house.addresses.bmcs[0], auth=("admin", "password")
    ) as machine:
        answer = await machine.post(
            f"/redfish/v1/Systems/1/{RESET}", json={"ResetType": "ForceRestart"}
        )
    assert answer.status_code == 202, answer.text


def executed(house: House, machine: str = "bmc1") -> list[str]:
    """Return the last names of what the machine has carried out, in its order."""
    return [name_of(each) for each in house.emulator.executions(machine)]


def name_of(execution: Execution) -> str:
    """Return the last segment of an execution's URI."""
    return execution.uri.rpartition("/")[2]


async def until_first_look(house: House) -> None:
    """Wait until bmc1 has been asked for its power a few times."""
    traffic = house.emulator.gate("bmc1").traffic
    before = traffic.requests
    await until(lambda: traffic.requests >= before + 3)


async def until_beaten(house: House, accepted: httpx.Response) -> None:
    """Wait until Temporal knows what the machine showed when the wait began."""
    converter = house.temporal.data_converter

    async def is_known() -> bool:
        run = await house.workflow(accepted).describe()
        for pending in run.raw_description.pending_activities:
            details = await converter.decode(pending.heartbeat_details.payloads)
            if details and details[0].get("before"):
                return True
        return False

    await until(is_known)
