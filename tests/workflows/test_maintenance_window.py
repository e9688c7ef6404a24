"""A change is made within its maintenance window, or not at all."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.house import House
from tests.workflows.houses import (
    BMC,
    until,
    words_of,
)
from tests.workflows.waiting_changes import (
    APPLY_TIME,
    RESET,
    WINDOW,
    executed,
    until_waiting,
    volume,
    waits,
)


@pytest.mark.parametrize("apply_times", [True, False])
async def test_window_is_waited_for(bmc: House, apply_times: bool) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=apply_times)
    accepted = await volume(
        bmc, value="AtMaintenanceWindowStart", start=1.5, seconds=60
    )
    begins = datetime.now(UTC) + timedelta(seconds=1.2)
    task = await bmc.until(accepted, "Pending")
    assert executed(bmc) == []
    assert "TaskStatus" not in task
    assert "waits for its maintenance window, which begins" in words_of(task)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    (execution,) = bmc.emulator.executions("bmc1")
    assert execution.at >= begins
    assert isinstance(execution.body, dict)
    assert not {APPLY_TIME, WINDOW} & execution.body.keys()


async def test_reset_waits_for_its_window(bmc: House) -> None:
    start = datetime.now(UTC) + timedelta(seconds=1)
    window = {
        "MaintenanceWindowStartTime": start.isoformat(),
        "MaintenanceWindowDurationInSeconds": 60,
    }
    body = {"ResetType": "ForceRestart", WINDOW: window}
    body[APPLY_TIME] = "AtMaintenanceWindowStart"
    accepted = await bmc.change("POST", f"{BMC}/{RESET}", body)
    await bmc.until(accepted, "Pending")
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.emulator.executions("bmc1")[0].at >= start


async def test_window_over_without_a_worker_sends_nothing(bmc: House) -> None:
    await bmc.stop_worker()
    accepted = await volume(bmc, value="AtMaintenanceWindowStart", start=0, seconds=1)
    over = datetime.now(UTC) + timedelta(seconds=1.1)
    await until(lambda: datetime.now(UTC) > over)
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "window is over" in words_of(task)
    assert executed(bmc) == []


async def test_window_without_a_reset_sends_nothing(bmc: House) -> None:
    accepted = await volume(bmc, value="InMaintenanceWindowOnReset", start=0, seconds=2)
    await bmc.until(accepted, "Pending")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "window is over" in words_of(task)
    assert executed(bmc) == []
    assert await waits(bmc) == []
    assert (await bmc.final(accepted)).status_code == 500


async def test_reset_before_the_window_changes_nothing(bmc: House) -> None:
    accepted = await volume(
        bmc, value="InMaintenanceWindowOnReset", start=2.5, seconds=60
    )
    await bmc.until(accepted, "Pending")
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert executed(bmc) == ["ComputerSystem.Reset"]
    await until_waiting(bmc)
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    names = ["ComputerSystem.Reset", "Volumes", "ComputerSystem.Reset"]
    assert executed(bmc) == names


async def test_cancel_before_the_window_sends_nothing(bmc: House) -> None:
    accepted = await volume(bmc, value="AtMaintenanceWindowStart", start=60, seconds=60)
    await bmc.until(accepted, "Pending")
    await bmc.workflow(accepted).cancel()
    assert (await bmc.ended(accepted))["TaskState"] == "Cancelled"
    assert executed(bmc) == []
