"""A forced power-off passes all others, and ends graceful resets (D13)."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from activities import superseding
from activities.superseding import graceful_resets
from taskfish.errors import TemporalUnavailableError
from taskfish.store.turns import Place
from tests.api.conflicts import (
    ALLOW,
    BMC,
    QUEUE,
    REJECT,
    RESET,
    RESET_MANY,
    RUN_PLAN,
    create_volume,
    operate,
    reset,
    step,
    until_behind,
)
from tests.composing import resume
from tests.house import House
from tests.workflows.houses import (
    event_names,
    until,
    until_executed,
    words_of,
)
from workflows import policies


@pytest.mark.parametrize(
    "wish", [ALLOW, REJECT, QUEUE], ids=["allow", "reject", "queue"]
)
@pytest.mark.parametrize("kind", ["GracefulShutdown", "GracefulRestart"])
async def test_forced_power_off_passes_and_ends_the_graceful_reset(
    quiet: House, wish: dict[str, str], kind: str
) -> None:
    quiet.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    graceful = await reset(quiet, kind, wish)
    await quiet.until(graceful, "Running")
    forced = await reset(quiet, "ForceOff", wish)
    assert forced.status_code == 202
    assert (await quiet.ended(forced))["TaskState"] == "Completed"
    task = await quiet.ended(graceful)
    assert task["TaskState"] == "Cancelled"
    assert forced.json()["Id"] in words_of(task)
    assert (await quiet.client.get(BMC)).json()["PowerState"] == "Off"


async def test_forced_power_off_ends_the_graceful_reset_that_waits(
    quiet: House,
) -> None:
    quiet.emulator.set_modes("bmc1", seconds=2)
    volume = await create_volume(quiet, "first", QUEUE)
    await until_executed(quiet)
    graceful = await reset(quiet, "GracefulShutdown", QUEUE)
    await until_behind(quiet, graceful, volume)
    forced = await reset(quiet, "ForceOff", QUEUE)
    task = await quiet.ended(graceful)
    assert task["TaskState"] == "Cancelled"
    assert forced.json()["Id"] in words_of(task)
    assert (await quiet.ended(forced))["TaskState"] == "Completed"
    assert quiet.executions("bmc1") == 2


@pytest.mark.parametrize("wish", [ALLOW, QUEUE], ids=["allow", "queue"])
async def test_forced_power_off_of_many_ends_the_graceful_reset(
    quiet: House, wish: dict[str, str]
) -> None:
    quiet.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    graceful = await reset(quiet, "GracefulShutdown", wish)
    await quiet.until(graceful, "Running")
    forced = await operate(quiet, RESET_MANY, "ForceOff", wish)
    assert (await quiet.ended(forced))["TaskState"] == "Completed"
    task = await quiet.ended(graceful)
    assert task["TaskState"] == "Cancelled"
    assert forced.json()["Id"] in words_of(task)


@pytest.mark.parametrize("is_later", [False, True])
async def test_forced_power_off_of_a_plan_ends_the_graceful_reset_before_it(
    quiet: House, is_later: bool
) -> None:
    quiet.emulator.set_modes("bmc1", seconds=2, hang_graceful=True, abort_seconds=0)
    steps = [
        step("volume", f"{BMC}/Storage/1/Volumes", {"Name": "1", "RAIDType": "RAID0"}),
        step("off", f"{BMC}/{RESET}", {"ResetType": "ForceOff"}),
    ]
    graceful = None if is_later else await reset(quiet, "GracefulShutdown", ALLOW)
    plan = await quiet.change("POST", RUN_PLAN, {"Steps": steps})
    graceful = graceful or await reset(quiet, "GracefulShutdown", ALLOW)
    assert (await quiet.ended(plan))["TaskState"] == "Completed"
    if is_later:
        assert (await quiet.task(graceful))["TaskState"] == "Running"
        return
    task = await quiet.ended(graceful)
    assert task["TaskState"] == "Cancelled"
    assert plan.json()["Id"] in words_of(task)


async def test_plan_whose_machine_an_answer_names_counts_from_its_start(
    quiet: House,
) -> None:
    """It has no place in the line of that machine."""
    quiet.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    off = f"${{look#/Body/@odata.id}}/{RESET}"
    steps: list[dict[str, Any]] = [
        {"Name": "look", "Method": "GET", "Uri": BMC},
        step("off", off, {"ResetType": "ForceOff"}),
    ]
    before = await reset(quiet, "GracefulShutdown", ALLOW)
    await quiet.until(before, "Running")
    body = {"Steps": steps, "PauseBefore": ["off"]}
    plan = await quiet.change("POST", RUN_PLAN, body)
    await quiet.until(plan, "Suspended")
    later = await reset(quiet, "GracefulRestart", ALLOW)
    await resume(quiet, plan)
    assert (await quiet.ended(plan))["TaskState"] == "Completed"
    assert (await quiet.ended(before))["TaskState"] == "Cancelled"
    assert (await quiet.task(later))["TaskState"] == "Running"


async def test_cancel_while_graceful_resets_are_looked_for_sends_nothing(
    quiet: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(client: Client, places: Sequence[Place]) -> tuple[str, ...]:
        looking.set()
        await go_on.wait()
        return await graceful_resets(client, places)

    monkeypatch.setattr(superseding, "graceful_resets", slowly)
    quiet.emulator.set_modes("bmc1", hang_graceful=True)
    graceful = await reset(quiet, "GracefulShutdown", ALLOW)
    await quiet.until(graceful, "Running")
    forced = await operate(quiet, RUN_PLAN, "ForceOff", ALLOW)
    await looking.wait()
    await quiet.client.delete(forced.json()["@odata.id"])
    sending = quiet.temporal.get_workflow_handle(f"{forced.json()['Id']}:reset")

    async def is_to_end() -> bool:
        events = list((await sending.fetch_history()).events)
        return "WORKFLOW_EXECUTION_CANCEL_REQUESTED" in event_names(events)

    await until(is_to_end)
    go_on.set()
    assert (await quiet.ended(forced))["TaskState"] == "Cancelled"
    assert (await quiet.task(graceful))["TaskState"] == "Running"
    assert quiet.executions("bmc1") == 1


async def test_power_is_cut_though_nobody_can_look_for_graceful_resets(
    quiet: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(client: Client, places: Sequence[Place]) -> tuple[str, ...]:
        raise TemporalUnavailableError("Temporal does not answer")

    monkeypatch.setattr(superseding, "graceful_resets", fails)
    monkeypatch.setattr(policies, "A_SEARCH_AT_MOST", timedelta(seconds=1))
    forced = await operate(quiet, RUN_PLAN, "ForceOff", ALLOW)
    assert (await quiet.ended(forced))["TaskState"] == "Completed"


async def test_reset_that_is_no_systems_own_is_only_refused(quiet: House) -> None:
    uri = "/redfish/v1/Chassis/bmc1.1/Actions/ComputerSystem.Reset"
    plan = {"Steps": [step("off", uri, {"ResetType": "ForceOff"})]}
    accepted = await quiet.change("POST", RUN_PLAN, plan)
    assert (await quiet.ended(accepted))["TaskState"] == "Exception"


async def test_forced_power_off_leaves_other_changes_alone(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", seconds=2)
    volume = await create_volume(quiet, "first", QUEUE)
    await until_executed(quiet)
    quiet.emulator.set_modes("bmc1", seconds=0.2)
    forced = await reset(quiet, "ForceOff", QUEUE)
    assert (await quiet.ended(forced))["TaskState"] == "Completed"
    assert (await quiet.task(volume))["TaskState"] == "Running"
    assert (await quiet.ended(volume))["TaskState"] == "Completed"


async def test_queue_waits_for_a_forced_power_off(quiet: House) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    forced = await reset(quiet, "ForceOff", QUEUE)
    await until_executed(quiet)
    waiting = await create_volume(quiet, "second", QUEUE)
    await until_behind(quiet, waiting, forced)


@pytest.mark.parametrize("kind", ["ForceRestart", "PowerCycle", "GracefulShutdown"])
async def test_other_resets_wait_and_are_refused(quiet: House, kind: str) -> None:
    quiet.emulator.set_modes("bmc1", hang=True)
    await create_volume(quiet, "first", {})
    assert (await reset(quiet, kind, REJECT)).status_code == 409
