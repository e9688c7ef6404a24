"""What people ask of a task is obeyed at every moment, or refused and said so."""

import dataclasses
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.abort import AbortActivities, AbortRequest
from taskfish.plugins.connections import Connections
from taskfish.plugins.redfish import client as redfish
from taskfish.redfish.sources import ConnectionMethod
from taskfish.redfish.task import PluginTask
from taskfish.store.sources import Sources
from taskfish.store.turns import Turns
from taskfish.temporal import TASK_STATE
from tests.conftest import KEY
from tests.house import House
from tests.workflows.houses import (
    BMC,
    NODE,
    bmc_house,
    node_house,
    until,
    until_begun,
    words_of,
)

RESET = f"{BMC}/Actions/ComputerSystem.Reset"
RESTART = {"ResetType": "ForceRestart"}


def seconds_of(task: dict[str, Any]) -> float:
    """Return how long an ended task has taken."""
    start, end = (
        datetime.fromisoformat(task[f"{each}Time"]) for each in ("Start", "End")
    )
    return (end - start).total_seconds()


async def is_refused(house: House, accepted: httpx.Response) -> bool:
    """Say whether the source is known to have refused the last abort."""
    run = await house.workflow(accepted).describe()
    return bool((await run.memo()).get("abort_refused"))


async def until_refused(house: House, accepted: httpx.Response) -> None:
    """Wait until the source is known to have refused to abort."""
    await until(lambda: is_refused(house, accepted))


async def test_source_that_has_it_pending_does_not_stretch_the_grace(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort="ignored")
    limit = {"Task-Timeout": "1"}
    accepted = await house.change("POST", RESET, RESTART, **limit)
    await house.until(accepted, "Stopping")
    house.emulator.set_modes("bmc1", shows_state="Pending")
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert seconds_of(task) < 20


async def test_overdue_task_that_its_source_drops_is_said_to_be_dropped(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort="ignored")
    limit = {"Task-Timeout": "1"}
    accepted = await house.change("POST", RESET, RESTART, **limit)
    await house.until(accepted, "Stopping")
    house.emulator.restart("bmc1")
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "has dropped it" in words_of(task)


async def test_cancel_while_the_source_is_asked_for_its_apply_times(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", read_delay=1)
    accepted = await house.create_volume("bmc1.1", apply_time="Immediate")
    await until_begun(house, accepted, "apply_times")
    assert (await house.task(accepted))["TaskState"] == "Pending"
    await house.workflow(accepted).cancel(reason="requested")
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "nothing was sent" in words_of(task)
    run = await house.workflow(accepted).describe()
    assert run.typed_search_attributes.get(TASK_STATE) == "Cancelled"
    assert house.executions("bmc1") == 0


async def test_deadline_ends_a_look_too(temporal: Client, tmp_path: Path) -> None:
    limits = {"submit_deadline": 20, "submit_answer_timeout": 20}
    async with node_house(temporal, tmp_path, KEY, **limits) as house:
        house.emulator.set_modes("node1", fail=True)
        house.emulator.set_modes("plugin", lose_answer=True)
        accepted = await house.change(
            "PATCH", NODE, {"AssetTag": "shelf 7"}, **{"Task-Timeout": "1"}
        )
        task = await house.ended(accepted)
        assert task["TaskState"] == "Exception"
        assert seconds_of(task) < 10


async def test_change_that_is_resumed_is_rejected_like_a_new_one(
    temporal: Client, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"conflict": "reject", "submit_deadline": 30}
    async with bmc_house(temporal, tmp_path, KEY, **settings) as house:
        house.emulator.set_modes("bmc1", refuse=503)
        first = await house.reset("bmc1.1")
        await house.workflow(first).signal("Suspend", "ada")
        await house.until(first, "Suspended")
        house.emulator.set_modes("bmc1", refuse=None, hang=True)
        second = await house.reset("bmc1.1")
        await house.until(second, "Running")
        await house.workflow(first).signal("Resume", "ada")
        assert (await house.ended(first))["TaskState"] == "Exception"
        assert (await house.final(first)).status_code == 409
        assert house.executions("bmc1") == 1


async def test_change_that_a_reset_releases_holds_the_machine(house: House) -> None:
    house.emulator.set_modes("bmc1", apply_times=False)
    waiting = await house.create_volume("bmc1.1", apply_time="OnReset")
    await until_begun(house, waiting, "await_reset")
    house.emulator.set_modes("bmc1", hang=True)
    await house.reset("bmc1.1")
    await house.until(waiting, "Running")
    holders = {place.task_id for place in await Turns(house.store).on((BMC,))}
    assert waiting.json()["Id"] in holders


async def test_cancel_that_was_refused_is_said_at_the_end(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort="refused")
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    answer = await house.client.delete(accepted.json()["@odata.id"])
    assert answer.status_code == 202
    await until_refused(house, accepted)
    house.emulator.set_modes("bmc1", hang=False)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert "admin has asked to cancel it in vain" in words_of(task)


async def test_abort_at_the_source_is_not_of_who_was_refused(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort="refused")
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.client.delete(accepted.json()["@odata.id"])
    await until_refused(house, accepted)
    house.emulator.set_modes("bmc1", abort="supported", abort_seconds=0)
    machine = house.emulator.machines["bmc1"]
    machine.abort(next(iter(machine.timeline.jobs.values())))
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "was cancelled by its source" in words_of(task)
    assert "was cancelled by admin" not in words_of(task)


async def test_cancel_signal_from_temporal_asks_again(house: House) -> None:
    """Temporal takes one request to cancel only; the Web UI sends signals bare."""
    house.emulator.set_modes("bmc1", hang=True, abort="refused")
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    workflow = house.workflow(accepted)
    await workflow.cancel(reason="requested")
    await until_refused(house, accepted)
    house.emulator.set_modes("bmc1", abort="supported", abort_seconds=0)
    await workflow.cancel(reason="requested")
    assert await is_refused(house, accepted)
    await workflow.signal("Cancel")
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "was cancelled by somebody in Temporal" in words_of(task)


async def test_cancel_that_comes_too_late_is_said_at_the_end(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1.5, abort="ignored")
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.client.delete(accepted.json()["@odata.id"])
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert "admin has asked to cancel it" in words_of(task)


async def test_cancel_that_its_source_answers_after_the_end_is_said_at_the_end(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", seconds=1.5, abort="ignored", abort_delay=30)
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.client.delete(accepted.json()["@odata.id"])
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert "admin has asked to cancel it, but its source ended it" in words_of(task)


async def test_cancel_that_no_worker_carried_out_is_said_at_the_end(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", seconds=1)
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.stop_worker()
    await house.client.delete(accepted.json()["@odata.id"])

    async def is_done() -> bool:
        await house.client.get(BMC)
        return house.emulator.executions("bmc1")[-1].outcome == "completed"

    await until(is_done)
    await house.start_worker()
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed"
    assert "admin has asked to cancel it, but its source ended it" in words_of(task)


async def test_repeated_abort_of_a_task_that_is_gone_was_the_end_of_it(
    house: House,
) -> None:
    """The first one's answer was lost: only the second can say that it is gone."""
    adapters = {ConnectionMethod.REDFISH: redfish.connect}
    connections = Connections(Sources(house.store), adapters, house.settings)
    gone = PluginTask(monitor="/redfish/v1/TaskService/TaskMonitors/999")
    request = AbortRequest(source="bmc1", uri=BMC, task=gone)
    kinds = []
    for attempt in (1, 2):
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info, attempt=attempt, heartbeat_timeout=timedelta(seconds=9)
        )
        abort = AbortActivities(connections).abort
        kinds.append((await environment.run(abort, request)).kind)
    await connections.aclose()
    assert kinds == ["over", "accepted"]
