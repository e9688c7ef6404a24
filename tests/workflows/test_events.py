"""What the event log is told of a task: each state once, in order, and its end."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from temporalio.client import Client

from activities import event_reconciler
from taskfish.redfish.events import LoggedEvent
from taskfish.redfish.task_events import END, KILLED
from taskfish.store.event_log import EventLog, Run
from taskfish.store.tables import events
from tests.api.governing import act
from tests.api.test_unreadable_tasks import strange_task
from tests.composing import create_and_reset, step_uri, until_sent
from tests.conftest import KEY
from tests.crashing_worker import PROGRAM
from tests.house import TASKS, House
from tests.worker_process import worker_process
from tests.workflows.houses import (
    BMC,
    FIRST,
    VOLUMES,
    bmc_house,
    event_names,
    history_of,
    reset_workflow,
    until,
    until_begun,
    words_of,
)

MOST_EVENTS = 26
"""Of a change that is accepted, polled, completed and told of (contracts.md 4)."""
PROGRESS = "TaskProgressChanged"
KILLED_AT_MOST = 10.0
"""Seconds after which the end of a killed task is told of (contracts.md 4)."""


async def rows(house: House, accepted: httpx.Response) -> list[LoggedEvent]:
    """Return what the log has of a task, in its order."""
    task_id = accepted.json()["Id"]
    logged = await EventLog(house.store).after(0, 10_000)
    return [
        each
        for each in logged
        if each.event.task and each.event.task.task_id == task_id
    ]


async def told(house: House, accepted: httpx.Response) -> list[str]:
    """Return the last parts of the MessageIds that the log has of a task."""
    return [key(each) for each in await rows(house, accepted)]


def key(logged: LoggedEvent) -> str:
    """Return the last part of an event's MessageId."""
    return logged.event.message.message_id.rpartition(".")[2]


async def until_told(house: House, accepted: httpx.Response, *keys: str) -> None:
    """Wait until the last of what the log has of a task are these messages."""

    async def is_told() -> bool:
        return (await told(house, accepted))[-len(keys) :] == list(keys)

    await until(is_told)


async def ends(house: House, accepted: httpx.Response) -> list[str]:
    """Return how the log says that the runs of a task have ended."""
    found = await rows(house, accepted)
    return [key(each) for each in found if each.event.task and _ends(each)]


def _ends(logged: LoggedEvent) -> bool:
    return logged.event.task is not None and logged.event.task.step in (END, KILLED)


async def test_polled_change_is_told_in_order(bmc: House) -> None:
    accepted = await bmc.create_volume("bmc1.1")
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    found = await rows(bmc, accepted)
    keys = [key(each) for each in found]
    assert [each for each in keys if each != PROGRESS] == [
        "TaskStarted",
        "ResourceCreated",
        "TaskCompletedOK",
    ]
    assert keys[0] == "TaskStarted"
    made, last = found[-2:]
    assert made.event.origin == f"{BMC}/{VOLUMES}/1"
    task_id = accepted.json()["Id"]
    assert last.event.origin == f"{TASKS}/{task_id}"
    assert last.event.message.message_args == (task_id,)
    assert (last.event.owner, last.event.resource_type) == ("admin", "Task")
    assert BMC in last.event.concerns
    assert [each.event.at for each in found] == sorted(each.event.at for each in found)
    history = await history_of(bmc, accepted)
    assert len(history) <= MOST_EVENTS, event_names(history)


async def test_removed_resource_is_told(bmc: House) -> None:
    await bmc.ended(await bmc.create_volume("bmc1.1"))
    accepted = await bmc.change("DELETE", f"{BMC}/{VOLUMES}/1")
    await bmc.ended(accepted)
    assert (await told(bmc, accepted))[-2:] == ["ResourceRemoved", "TaskCompletedOK"]


async def test_progress_goes_forward_and_is_told_once_a_second(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=2.5)
    accepted = await bmc.reset("bmc1.1")
    await bmc.ended(accepted)
    found = await rows(bmc, accepted)
    moved = [each for each in found if key(each) == PROGRESS]
    percents = [int(each.event.message.message_args[1]) for each in moved]
    assert percents == sorted(set(percents))
    assert 1 <= len(percents) <= 4


async def test_pause_and_resume_are_told(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", pause_at=50)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Suspended")
    await until_told_of(bmc, accepted, "TaskPaused")
    bmc.emulator.set_modes("bmc1", pause_at=None)
    await bmc.ended(accepted)
    keys = [each for each in await told(bmc, accepted) if each != PROGRESS]
    assert keys == ["TaskStarted", "TaskPaused", "TaskResumed", "TaskCompletedOK"]


async def test_interruption_is_told_as_a_pause(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await until_begun(bmc, accepted, "await_completion")
    bmc.emulator.set_modes("bmc1", hang=True, vanish=True)
    await bmc.until(accepted, "Interrupted")
    await until_told_of(bmc, accepted, "TaskPaused")
    bmc.emulator.set_modes("bmc1", hang=False, vanish=False)
    await bmc.ended(accepted)
    (paused,) = (
        each for each in await rows(bmc, accepted) if key(each) == "TaskPaused"
    )
    assert "Interrupted" in paused.event.message.message
    assert (await told(bmc, accepted))[-1] == "TaskCompletedOK"


async def until_told_of(house: House, accepted: httpx.Response, name: str) -> None:
    """Wait until the log has a message of a task."""

    async def is_told() -> bool:
        return name in await told(house, accepted)

    await until(is_told)


@pytest.mark.parametrize(
    ("modes", "state", "end"),
    [
        ({"fail": True}, "Exception", "TaskAborted"),
        ({"warn": True}, "Completed", "TaskCompletedWarning"),
        ({"refuse": 409}, "Exception", "TaskAborted"),
    ],
)
async def test_end_is_told_as_it_is(
    bmc: House, modes: dict[str, Any], state: str, end: str
) -> None:
    bmc.emulator.set_modes("bmc1", **modes)
    accepted = await bmc.reset("bmc1.1")
    assert (await bmc.ended(accepted))["TaskState"] == state
    assert (await told(bmc, accepted))[-1] == end
    assert await ends(bmc, accepted) == [end]


async def test_cancel_is_told(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await bmc.client.delete(accepted.headers["Location"])
    await bmc.ended(accepted)
    assert (await told(bmc, accepted))[-1] == "TaskCancelled"
    assert await ends(bmc, accepted) == ["TaskCancelled"]


async def test_removal_is_told_after_the_end(bmc: House) -> None:
    accepted = await bmc.reset("bmc1.1")
    await bmc.ended(accepted)
    assert await outcomes(bmc, accepted) == 1
    answer = await bmc.client.delete(accepted.json()["@odata.id"])
    assert answer.status_code == 204
    assert (await told(bmc, accepted))[-2:] == ["TaskCompletedOK", "TaskRemoved"]
    assert await outcomes(bmc, accepted) == 0


async def outcomes(house: House, accepted: httpx.Response) -> int:
    """Return how many outcomes are kept of a task."""
    its = events.c.task_id == accepted.json()["Id"]
    kept = select(func.count(events.c.outcome)).where(its)
    async with house.store.read() as connection:
        return int((await connection.execute(kept)).scalar_one())


async def test_killed_task_is_told_of_soon(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    killed = time.monotonic()
    await bmc.workflow(accepted).terminate()
    await until_told(bmc, accepted, "TaskAborted")
    assert time.monotonic() - killed < KILLED_AT_MOST
    (last,) = (await rows(bmc, accepted))[-1:]
    assert "was killed" in last.event.message.message


async def test_killed_task_that_is_removed_at_once_has_its_end(bmc: House) -> None:
    """Nobody had the time to look for it."""
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await bmc.stop_worker()
    await bmc.workflow(accepted).terminate()
    assert await ends(bmc, accepted) == []
    answer = await bmc.client.delete(accepted.json()["@odata.id"])
    assert answer.status_code in (202, 204)
    await until_told(bmc, accepted, "TaskAborted", "TaskRemoved")
    await bmc.start_worker()


async def test_killed_task_with_an_unreadable_memo_is_told_of(bmc: House) -> None:
    await bmc.stop_worker()
    queue = bmc.settings.task_queue
    async with strange_task(bmc, "another key", task_queue=queue) as strange:
        await strange.terminate()
        await bmc.start_worker()

        async def is_told() -> bool:
            logged = await EventLog(bmc.store).after(0, 10_000)
            uri = f"{TASKS}/{strange.id}"
            return "TaskAborted" in [key(e) for e in logged if e.event.origin == uri]

        await until(is_told)


async def test_ends_are_looked_for_page_by_page(
    bmc: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    all_accepted = [await bmc.reset("bmc1.1") for _ in range(3)]
    await bmc.stop_worker()
    for accepted in all_accepted:
        await bmc.workflow(accepted).terminate()
    asked: list[int] = []
    ended = EventLog.ended

    async def note(self: EventLog, runs: Mapping[Run, object]) -> dict[Run, bool]:
        asked.append(len(runs))
        return await ended(self, runs)

    monkeypatch.setattr(EventLog, "ended", note)
    monkeypatch.setattr(event_reconciler, "PAGE_SIZE", 2)
    await bmc.start_worker()
    for accepted in all_accepted:
        await until_told(bmc, accepted, "TaskAborted")
    assert max(asked) <= 2


async def test_earlier_run_of_a_reset_task_is_not_told_as_killed(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await until_begun(bmc, accepted, "await_completion")
    await reset_workflow(bmc, accepted, FIRST)
    killed = await bmc.reset("bmc1.1")
    await bmc.until(killed, "Running")
    await bmc.workflow(killed).terminate()
    await until_told(bmc, killed, "TaskAborted")
    assert await ends(bmc, accepted) == []
    bmc.emulator.set_modes("bmc1", hang=False, seconds=0)
    await bmc.ended(accepted)
    assert await ends(bmc, accepted) == ["TaskCompletedOK"]


async def test_store_out_of_reach_delays_the_end_and_loses_nothing(
    bmc: House,
) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await until_told_of(bmc, accepted, "TaskStarted")
    await rename(bmc, "events", "hidden")
    bmc.emulator.set_modes("bmc1", hang=False, seconds=0)
    handle = bmc.workflow(accepted)

    async def is_at_its_end() -> bool:
        run = await handle.describe()
        pending = run.raw_description.pending_activities
        return not any(
            each.activity_type.name == "await_completion" for each in pending
        )

    await until(is_at_its_end)
    assert (await bmc.task(accepted))["TaskState"] == "Running"
    await rename(bmc, "hidden", "events")
    await bmc.ended(accepted)
    assert await ends(bmc, accepted) == ["TaskCompletedOK"]
    assert (await told(bmc, accepted))[0] == "TaskStarted"


async def rename(house: House, table: str, name: str) -> None:
    """Give a table of the store another name: what needs it fails until it is back."""
    async with house.store.write() as connection:
        await connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")


async def test_end_that_was_told_stays_the_end(
    temporal: Client, temporal_address: str, tmp_path: Path
) -> None:
    """A worker dies between the row and the commit of its workflow task; cancelled in
    between, the task would now end otherwise.
    """
    async with bmc_house(temporal, tmp_path, KEY, submit_deadline=1) as house:
        await house.stop_worker()
        house.emulator.set_modes("bmc1", refuse=503)
        accepted = await house.reset("bmc1.1")
        program = (*PROGRAM, "told")
        async with worker_process(house, temporal_address, program) as worker:
            assert await worker.ended() == -9, worker.said
        assert await ends(house, accepted) == ["TaskAborted"]
        await house.client.delete(accepted.headers["Location"])
        await house.start_worker()
        task = await house.ended(accepted)
        assert task["TaskState"] == "Exception", words_of(task)
        assert await ends(house, accepted) == ["TaskAborted"]


@pytest.mark.parametrize("by", ["Temporal", "the API", "its removal"])
async def test_killing_is_told_last_of_a_task_that_told_of_its_end(
    temporal: Client, temporal_address: str, tmp_path: Path, by: str
) -> None:
    """It is killed between the row and the commit of its workflow task."""
    async with bmc_house(temporal, tmp_path, KEY) as house:
        await house.stop_worker()
        accepted = await house.reset("bmc1.1")
        program = (*PROGRAM, "told")
        async with worker_process(house, temporal_address, program) as worker:
            assert await worker.ended() == -9, worker.said
        assert await ends(house, accepted) == ["TaskCompletedOK"]
        if by == "the API":
            assert (await act(house, accepted, "Kill")).status_code == 204
        else:
            await house.workflow(accepted).terminate()
        assert (await house.task(accepted))["TaskState"] == "Killed"
        if by == "Temporal":
            await house.start_worker()
        if by == "its removal":
            await house.client.delete(accepted.json()["@odata.id"])
            await until_told(house, accepted, "TaskAborted", "TaskRemoved")
        else:
            await until_told(house, accepted, "TaskCompletedOK", "TaskAborted")
        assert await ends(house, accepted) == ["TaskCompletedOK", "TaskAborted"]
        last = [each for each in await rows(house, accepted) if _ends(each)][-1]
        assert "was killed" in last.event.message.message


async def test_end_of_a_killed_step_is_told_of(bmc: House) -> None:
    """Its own code cannot; its resource is the SubTask."""
    bmc.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await create_and_reset(bmc)
    task_id = accepted.json()["Id"]
    await until_sent(bmc, accepted, "create-volume")
    step_id = f"{task_id}:create-volume"
    await bmc.temporal.get_workflow_handle(step_id).terminate()
    step = httpx.Response(202, json={"Id": step_id})

    async def is_told() -> bool:
        return (await told(bmc, step))[-1:] == ["TaskAborted"]

    await until(is_told, KILLED_AT_MOST)
    last = (await rows(bmc, step))[-1].event
    assert last.origin == step_uri(accepted, "create-volume")
    assert last.task is not None
    assert last.task.step == KILLED
