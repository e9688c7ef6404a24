"""The event log: each step once, in order, whoever appends; pruned by age and size."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from taskfish.errors import StoreUnavailableError
from taskfish.redfish.events import Event, TaskStep, resource_created
from taskfish.redfish.messages import task_message
from taskfish.redfish.submitted_events import event_of_test
from taskfish.redfish.task_events import END, KILLED, REMOVED, TaskSubject
from taskfish.store.database import Store
from taskfish.store.event_log import EventLog, tell_within
from tests.store.stores import KEYRING, opened, url_in

NOW = datetime.now(UTC)
SYSTEM = "/redfish/v1/Systems/node1.1"


def subject(task_id: str = "night-1", run_id: str = "r1") -> TaskSubject:
    """Return a run of a task that resets a system."""
    return TaskSubject(
        task_id=task_id,
        run_id=run_id,
        owner="ada",
        method="POST",
        uri=f"{SYSTEM}/Actions/ComputerSystem.Reset",
    )


def step(name: str, of: TaskSubject | None = None) -> Event:
    """Return an event of a step of a task."""
    of = of or subject()
    return of.changed(name, task_message("TaskStarted", of.task_id), NOW)


async def steps(log: EventLog, since: int = 0) -> list[str]:
    """Return the steps in the log, in its order."""
    found = (each.event.task for each in await log.after(since))
    return [each.step for each in found if each is not None]


async def test_event_is_read_as_it_was_appended(store: Store) -> None:
    log = EventLog(store)
    event = subject().progressed(40, NOW)
    await log.append(event)
    (found,) = await log.after(0)
    assert found.event == event
    assert found.position == await log.newest() == await log.oldest() == 1


async def test_submitted_event_is_read_as_it_was_given(store: Store) -> None:
    given = {"MessageId": "Acme.1.0.Smoke", "EventGroupId": 4}
    event = event_of_test(NOW).model_copy(update={"given": given})
    await EventLog(store).append(event, event_of_test(NOW))
    submitted, plain = await EventLog(store).after(0)
    assert submitted.event == event
    assert plain.event.given is None


async def test_step_is_appended_once(store: Store) -> None:
    log = EventLog(store)
    for _ in range(3):
        await log.append(step("state-1"), step("state-1"))
    assert await steps(log) == ["state-1"]


async def test_same_step_of_another_run_is_another(store: Store) -> None:
    log = EventLog(store)
    runs = [subject(), subject(run_id="r2"), subject("night-2")]
    await log.append(*(step("state-1", each) for each in runs))
    assert await steps(log) == ["state-1"] * 3


async def test_events_that_are_of_no_task_may_be_the_same(store: Store) -> None:
    log = EventLog(store)
    await log.append(resource_created(SYSTEM), resource_created(SYSTEM))
    assert len(await log.after(0)) == 2


async def test_progress_goes_forward(store: Store) -> None:
    log = EventLog(store)
    for percent in (10, 40, 30, 40, 41):
        await log.append(subject().progressed(percent, NOW))
    assert await steps(log) == ["percent-10", "percent-40", "percent-41"]


async def test_state_is_told_with_no_less_than_was_told_before(store: Store) -> None:
    log, of = EventLog(store), subject()
    await log.append(of.progressed(70, NOW))
    text = f"The task {of.task_id} is Cancelling."
    message = task_message("TaskProgressChanged", of.task_id, "0", text=text)
    await log.append(of.changed("state-2", message, NOW))
    told = (await log.after(0))[-1].event.message
    assert told.message_args == (of.task_id, "70")
    assert told.message == text


async def test_a_run_of_many_steps_is_appended_soon(store: Store) -> None:
    log = EventLog(store)
    many = [step(f"made-{number}") for number in range(12_000)]
    began = time.process_time()
    await log.append(*many, step(END))
    assert time.process_time() - began < 10
    assert len(await steps(log, 12_000)) == 1


async def test_only_its_removal_comes_after_the_end(store: Store) -> None:
    log = EventLog(store)
    await log.append(step("state-1"), step(END), step("state-2"))
    await log.append(subject().progressed(90, NOW), step(REMOVED), step(REMOVED))
    assert await steps(log) == ["state-1", END, REMOVED]


async def test_end_that_was_decided_is_returned(store: Store) -> None:
    log, other = EventLog(store), EventLog(store)
    assert await log.end([step(END)], {"state": "Completed"}) is None
    decided = await other.end([step(END)], {"state": "Cancelled"})
    assert decided == {"state": "Completed"}
    assert await steps(log) == [END]


async def test_readers_need_no_outcomes(store: Store) -> None:
    log = EventLog(store)
    await log.end([step(END)], {"state": "Completed"})
    async with store.write() as connection:
        await connection.exec_driver_sql("ALTER TABLE events RENAME outcome TO hidden")
    assert await steps(log) == [END]
    told = await log.told_of([("night-1", "r1")])
    assert told["night-1", "r1"].end is not None


async def test_forgotten_outcome_is_that_of_one_run(store: Store) -> None:
    log, other = EventLog(store), step(END, subject("night-2"))
    await log.end([step(END)], {"state": "Completed"})
    await log.end([other], {"state": "Cancelled"})
    await log.forget_outcomes([("night-1", "r1")])
    assert await log.end([step(END)], {}) is None
    assert await log.end([other], {}) == {"state": "Cancelled"}


async def test_end_of_which_nothing_was_decided_stays(store: Store) -> None:
    log = EventLog(store)
    await log.append(step(END))
    assert await log.end([step(END)], {"state": "Completed"}) is None
    assert await steps(log) == [END]


async def test_one_of_many_ends_counts(tmp_path: Path) -> None:
    async with several(tmp_path, 4) as logs:
        answers = await asyncio.gather(
            *(log.end([step(END)], number) for number, log in enumerate(logs))
        )
        first = [number for number, answer in enumerate(answers) if answer is None]
        assert len(first) == 1
        assert {answer for answer in answers if answer is not None} == set(first)
        assert await steps(logs[0]) == [END]


async def test_readers_see_positions_in_their_order(tmp_path: Path) -> None:
    """Whatever four processes append at once, a reader that goes on misses nothing."""
    seen: list[int] = []
    async with several(tmp_path, 4) as logs:

        async def append(log: EventLog, of: int) -> None:
            for number in range(25):
                await log.append(resource_created(f"{SYSTEM}/Log/{of}-{number}"))

        async def read() -> None:
            while len(seen) < 100:
                last = seen[-1] if seen else 0
                seen.extend(each.position for each in await logs[0].after(last, 7))

        async with asyncio.timeout(30):
            await asyncio.gather(
                read(), *(append(log, n) for n, log in enumerate(logs))
            )
    assert seen == sorted(set(seen))


@asynccontextmanager
async def several(folder: Path, number: int) -> AsyncIterator[list[EventLog]]:
    """Give the logs of several processes over one database."""
    async with opened(folder):
        stores = [Store(url_in(folder), KEYRING) for _ in range(number)]
        yield [EventLog(each) for each in stores]
        for each in stores:
            await each.close()


async def test_what_many_append_at_once_is_all_there(store: Store) -> None:
    log = EventLog(store)
    events = [step("state-1", subject(f"t{number}")) for number in range(200)]
    await asyncio.gather(*(log.append(each) for each in events))
    found = {each.event.origin for each in await log.after(0)}
    assert found == {each.origin for each in events}


async def test_store_that_does_not_answer_is_told_to_all(tmp_path: Path) -> None:
    nowhere = Store(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'such.db'}", KEYRING)
    log = EventLog(nowhere)
    answers = await asyncio.gather(
        *(log.append(step("state-1")) for _ in range(3)), return_exceptions=True
    )
    assert {type(each) for each in answers} == {StoreUnavailableError}
    await nowhere.close()


async def told(store: Store, *, fails: bool) -> None:
    """Tell of something in a transaction that may fail."""
    async with store.write() as connection:
        await tell_within(connection, resource_created(SYSTEM))
        if fails:
            raise LookupError


async def test_what_a_transaction_tells_goes_with_it(store: Store) -> None:
    with pytest.raises(LookupError):
        await told(store, fails=True)
    assert await EventLog(store).newest() == 0
    await told(store, fails=False)
    assert await EventLog(store).newest() == 1


async def test_old_events_go_and_the_newest_stays(store: Store) -> None:
    log = EventLog(store)
    old = resource_created(SYSTEM, at=NOW - timedelta(days=9))
    await log.append(old, old, resource_created(SYSTEM, at=NOW), old)
    await log.prune(NOW - timedelta(days=7), keep=100)
    assert [each.position for each in await log.after(0)] == [3, 4]
    assert (await log.oldest(), await log.newest()) == (3, 4)


async def test_events_beyond_the_number_go(store: Store) -> None:
    log = EventLog(store)
    await log.append(*(resource_created(SYSTEM, at=NOW) for _ in range(10)))
    await log.prune(NOW - timedelta(days=7), keep=4)
    assert [each.position for each in await log.after(0)] == [7, 8, 9, 10]
    await log.append(resource_created(SYSTEM, at=NOW))
    assert await log.newest() == 11


async def test_position_before_a_moment_is_found(store: Store) -> None:
    log = EventLog(store)
    for hours in (3, 2, 1):
        await log.append(resource_created(SYSTEM, at=NOW - timedelta(hours=hours)))
    assert await log.before(NOW - timedelta(minutes=90)) == 2
    assert await log.before(NOW - timedelta(days=1)) == 0


async def test_ended_runs_are_known(store: Store) -> None:
    log = EventLog(store)
    await log.append(step("state-1"), step(END, subject("night-2", "r9")))
    runs = [("night-1", "r1"), ("night-2", "r9"), ("night-2", "r1")]
    assert await log.ended(runs) == {("night-2", "r9"): False}
    assert await log.ended([]) == {}


async def test_killing_comes_after_an_end_of_its_own_word(store: Store) -> None:
    log, run = EventLog(store), ("night-1", "r1")
    await log.end([step(END)], {"state": "Completed"})
    assert await log.ended([run]) == {run: True}
    await log.append(step(KILLED), step(KILLED), step("state-2"), step(REMOVED))
    assert await steps(log) == [END, KILLED, REMOVED]
    assert await log.ended([run]) == {run: False}


async def test_killed_task_has_no_other_end(store: Store) -> None:
    log, other = EventLog(store), subject("night-2")
    await log.append(step(KILLED))
    assert await log.end([step("made-0"), step(END)], {"state": "Completed"}) is None
    await log.append(step(END, other))
    await log.append(step(KILLED, other))
    assert await steps(log) == [KILLED, END]


def test_step_names_its_run() -> None:
    found = step("state-1").task
    assert found == TaskStep(task_id="night-1", run_id="r1", step="state-1")
