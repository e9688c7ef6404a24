"""A task ends in time: aborted at its deadline, and truthful about what is known."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from tests.conftest import KEY
from tests.house import SOURCES, House, open_house, source_body
from tests.plugins.faulty_socket import Behaviour, close_at_once, never_answer, serving
from tests.workflows.houses import (
    BMC,
    NODE,
    bmc_house,
    event_names,
    history_of,
    until,
    until_begun,
    until_executed,
    words_of,
)

MACHINES = [("bmc1", BMC), ("node1", NODE)]


async def reset_within(
    house: House, system: str, seconds: int, reset_type: str = "GracefulShutdown"
) -> httpx.Response:
    """Send a reset with a deadline of its own."""
    uri = f"{system}/Actions/ComputerSystem.Reset"
    body = {"ResetType": reset_type}
    return await house.change("POST", uri, body, **{"Task-Timeout": str(seconds)})


def outcomes(house: House, machine: str) -> list[str]:
    """Return how the changes of an emulated machine have ended."""
    house.emulator.machines[machine].timeline.advance()
    return [each.outcome for each in house.emulator.executions(machine)]


def is_overdue(final: httpx.Response) -> bool:
    """Say whether a final answer is that of a passed deadline."""
    codes = [
        message["MessageId"]
        for message in final.json()["error"]["@Message.ExtendedInfo"]
    ]
    return final.status_code == 500 and codes[0].endswith("OperationTimeout")


async def test_percent_of_what_goes_on_in_spite_of_its_deadline_never_goes_back(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", seconds=6, abort="refused")
    accepted = await reset_within(house, BMC, 1, "ForceRestart")
    await house.until(accepted, "Stopping")
    seen = []
    while True:
        task = await house.task(accepted)
        seen.append(task["PercentComplete"])
        if "EndTime" in task:
            break
    assert task["TaskState"] == "Exception"
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


@pytest.mark.parametrize(("machine", "system"), MACHINES)
async def test_hanging_shutdown_is_aborted_at_its_deadline(
    house: House, machine: str, system: str
) -> None:
    house.emulator.set_modes(machine, hang_graceful=True, abort_seconds=0)
    accepted = await reset_within(house, system, 1)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert task["TaskStatus"] == "Critical"
    assert "did not end within 1 s" in words_of(task)
    assert "PowerState is On" in words_of(task)
    assert outcomes(house, machine) == ["cancelled"]
    assert is_overdue(await house.final(accepted))


async def test_abort_that_is_refused_at_the_deadline_is_said(house: House) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort="refused")
    accepted = await reset_within(house, BMC, 1)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "its source goes on with its task" in words_of(task)
    assert is_overdue(await house.final(accepted))


async def test_abort_that_is_ignored_at_the_deadline_is_said(house: House) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort="ignored")
    accepted = await reset_within(house, BMC, 1)
    stopping = await house.until(accepted, "Stopping", "Exception")
    assert stopping["TaskState"] == "Stopping"
    assert "TaskStatus" not in stopping
    task = await house.ended(accepted)
    assert "has not done so" in words_of(task)


async def test_what_was_finished_at_the_deadline_is_completed(house: House) -> None:
    """Its answer to the abort comes too late for the machine: it had finished."""
    house.emulator.set_modes("bmc1", seconds=1.3, abort="ignored")
    accepted = await reset_within(house, BMC, 1, "ForceRestart")
    task = await house.ended(accepted)
    assert (task["TaskState"], task["PercentComplete"]) == ("Completed", 100)
    assert "Its time was over" in words_of(task)
    assert "has asked to cancel" not in words_of(task)


@pytest.mark.parametrize(
    "silence", [never_answer, close_at_once], ids=["silent", "rude"]
)
async def test_source_that_cannot_be_added_ends_at_its_deadline(
    temporal: Client, tmp_path: Path, silence: Behaviour
) -> None:
    """One attempt would take longer, or be made again and again."""
    limits = {"read_timeout": 90, "submit_deadline": 90}
    async with (
        serving(silence) as url,
        open_house(temporal, tmp_path, KEY, **limits) as house,
    ):
        body = source_body("silent", url, "Redfish", "password")
        accepted = await house.change("POST", SOURCES, body, **{"Task-Timeout": "1"})
        task = await house.ended(accepted)
        assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
        assert "was not added within 1 s" in words_of(task)
        assert is_overdue(await house.final(accepted))
        assert (await house.client.get(f"{SOURCES}/silent")).status_code == 404


async def test_source_that_is_added_in_time_knows_no_deadline(
    temporal: Client, tmp_path: Path
) -> None:
    async with open_house(temporal, tmp_path, KEY) as house:
        address = house.addresses.bmcs[0]
        body = source_body("bmc1", address, "Redfish", "password")
        accepted = await house.change("POST", SOURCES, body, **{"Task-Timeout": "30"})
        task = await house.ended(accepted)
        assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")


async def test_task_that_ends_in_time_knows_no_deadline(house: House) -> None:
    accepted = await reset_within(house, BMC, 30, "ForceRestart")
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")


async def test_source_that_answers_only_when_done_is_served(house: House) -> None:
    """It takes longer than a heartbeat time-out, and is sent once."""
    seconds = house.settings.heartbeat_timeout * 1.5
    house.emulator.set_modes("bmc1", slow_sync=True, answer="sync", seconds=seconds)
    accepted = await house.create_volume("bmc1.1")
    assert (await house.until(accepted, "Starting"))["TaskState"] == "Starting"
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed"
    assert house.executions("bmc1") == 1


async def test_source_that_works_inside_the_request_past_the_deadline(
    house: House,
) -> None:
    """What it did cannot be known: the task says how to check, nothing is repeated."""
    house.emulator.set_modes("bmc1", slow_sync=True, answer="sync", seconds=4)
    uri = f"{BMC}/Storage/1/Volumes"
    drives = [{"@odata.id": f"{BMC}/Storage/1/Drives/1"}]
    body = {"Name": "late", "RAIDType": "RAID0", "Links": {"Drives": drives}}
    accepted = await house.change("POST", uri, body, **{"Task-Timeout": "1"})
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "outcome" in words_of(task)
    assert "is unknown" in words_of(task)
    assert f"Read {uri} to see" in words_of(task)
    assert is_overdue(await house.final(accepted))
    assert house.executions("bmc1") == 1


async def test_deadline_passes_while_the_source_is_out_of_reach(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await reset_within(house, BMC, 2)
    await until_begun(house, accepted, "await_completion")
    house.emulator.set_modes("bmc1", vanish=True)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert is_overdue(await house.final(accepted))


async def test_silent_source_does_not_stretch_the_deadline(
    temporal: Client, tmp_path: Path
) -> None:
    """It takes each request and never answers: one poll would last far longer."""
    async with bmc_house(temporal, tmp_path, KEY, read_timeout=90) as house:
        house.emulator.set_modes("bmc1", hang=True)
        accepted = await reset_within(house, BMC, 3)
        await until_begun(house, accepted, "await_completion")
        house.emulator.set_modes("bmc1", read_delay=120, abort="ignored")
        task = await house.ended(accepted)
        assert task["TaskState"] == "Exception"
        assert is_overdue(await house.final(accepted))
        house.emulator.set_modes("bmc1", read_delay=0)


async def test_deadline_goes_on_while_no_worker_runs(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await reset_within(house, BMC, 2)
    await until_begun(house, accepted, "await_completion")
    await house.stop_worker()
    await asyncio.sleep(2)  # The deadline itself: it passes with nobody there.
    await house.start_worker()
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert outcomes(house, "bmc1") == ["cancelled"]


async def test_deadline_stands_still_while_the_source_has_it_pending(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", shows_state="Pending", seconds=2)
    accepted = await reset_within(house, BMC, 1, "ForceRestart")
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_deadline_stands_still_while_an_operator_has_suspended_it(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", pausable=True, seconds=2, abort_seconds=0)
    accepted = await reset_within(house, BMC, 3, "ForceRestart")
    await until_begun(house, accepted, "await_completion")
    await house.workflow(accepted).signal("Suspend", "ada")
    await house.until(accepted, "Suspended")
    suspended = asyncio.get_running_loop().time()
    await until(lambda: asyncio.get_running_loop().time() > suspended + 3)
    await house.workflow(accepted).signal("Resume", "ada")
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_pause_of_the_source_itself_does_not_stop_the_clock(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", pause_at=50, abort_seconds=0)
    accepted = await reset_within(house, BMC, 2, "ForceRestart")
    await house.until(accepted, "Suspended")
    assert (await house.ended(accepted))["TaskState"] == "Exception"


async def hanging_reset(house: House, abort: str) -> httpx.Response:
    """Return a reset with a deadline that its source has begun, and does not abort."""
    house.emulator.set_modes("bmc1", hang=True, abort=abort)
    accepted = await reset_within(house, BMC, 2)
    await until_executed(house)
    return accepted


async def test_cancel_that_the_source_ignores_ends_at_the_deadline(
    house: House,
) -> None:
    accepted = await hanging_reset(house, abort="ignored")
    await house.workflow(accepted).cancel(reason="requested")
    assert (await house.until(accepted, "Cancelling"))["TaskState"] == "Cancelling"
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert is_overdue(await house.final(accepted))
    assert "has asked to cancel it, but its time was over" in words_of(task)


async def test_cancel_that_the_source_refused_is_told_at_the_deadline(
    house: House,
) -> None:
    accepted = await hanging_reset(house, abort="refused")
    await house.client.delete(accepted.json()["@odata.id"])
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert words_of(task).count("has asked to cancel it") == 1
    assert "has asked to cancel it in vain" in words_of(task)


async def test_silence_of_a_source_starts_no_clock_of_a_suspended_task(
    temporal: Client, tmp_path: Path
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, interrupted_after=0.5) as house:
        house.emulator.set_modes("bmc1", pausable=True, seconds=2)
        accepted = await reset_within(house, BMC, 12, "ForceRestart")
        await house.until(accepted, "Running")
        await house.workflow(accepted).signal("Suspend", "ada")
        await house.until(accepted, "Suspended")
        house.emulator.set_modes("bmc1", vanish=True)
        await house.until(accepted, "Interrupted")
        begun = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() > begun + 12)
        house.emulator.set_modes("bmc1", vanish=False)
        await house.workflow(accepted).signal("Resume", "ada")
        task = await house.ended(accepted)
        assert task["TaskState"] == "Completed", words_of(task)


async def test_deadline_costs_no_event_of_a_task_that_ends_in_time(
    house: House,
) -> None:
    accepted = await reset_within(house, BMC, 30, "ForceRestart")
    await house.ended(accepted)
    assert "TIMER_STARTED" not in event_names(await history_of(house, accepted))


@pytest.mark.parametrize(
    ("method", "path", "body", "setting"),
    [
        (
            "POST",
            "Actions/ComputerSystem.Reset",
            {"ResetType": "ForceRestart"},
            "reset",
        ),
        ("PATCH", "", {"AssetTag": "rack 3"}, "other"),
        ("DELETE", "Storage/1/Volumes/none", None, "volume"),
    ],
)
async def test_each_kind_of_operation_has_a_deadline(
    house: House, method: str, path: str, body: Any, setting: str
) -> None:
    uri = f"{BMC}/{path}".rstrip("/")
    accepted = await house.change(method, uri, body)
    run = await house.workflow(accepted).describe()
    expected = getattr(house.settings, f"deadline_{setting}")
    assert (await run.memo())["task"]["deadline"] == expected
