"""Waiting for one's turn: runs that are open, over, killed, or never started."""

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    OutboundInterceptor,
    WorkflowExecutionDescription,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.open_places import LONGEST_START, MOST_AT_ONCE, OpenPlaces
from activities.progress import Progress
from activities.turns import GotTurn, TurnActivities, TurnRequest, TurnTimedOut
from taskfish.cli.free_ports import free_port
from taskfish.errors import TemporalUnavailableError
from taskfish.redfish.messages import Message
from taskfish.redfish.resources import TASKS
from taskfish.redfish.task import TaskState
from taskfish.redfish.turn import Turn
from taskfish.store.database import Store
from taskfish.store.tables import turns as table
from taskfish.store.turns import Place, Turns
from taskfish.temporal import data_converter
from tests.store.stores import KEYRING, opened
from tests.workflows.houses import answered, until

SYSTEM, OTHER = "/redfish/v1/Systems/rack7.1", "/redfish/v1/Systems/rack7.2"


class Line:
    """Runs of which no worker takes notice, and their places on SYSTEM."""

    def __init__(self, temporal: Client, store: Store) -> None:
        self.temporal = temporal
        self.store = store
        self.turns = Turns(store)
        self.activities = TurnActivities(temporal, self.turns)
        self._queue = f"nobody-{uuid.uuid4()}"

    async def open(self, name: str, *systems: str) -> WorkflowHandle[Any, Any]:
        """Take places for a task and start its run."""
        await self.turns.take(systems or (SYSTEM,), self.task_id(name), name)
        return await self.start(name, name)

    async def start(self, name: str, token: str) -> WorkflowHandle[Any, Any]:
        """Start a run that nobody works on."""
        return await self.temporal.start_workflow(
            "ComputerSystem.Reset",
            id=self.task_id(name),
            task_queue=self._queue,
            memo={"task": {"token": token}},
        )

    def task_id(self, name: str) -> str:
        """Return the Task Id that `name` has in this test alone."""
        return f"{name}-{self._queue}"

    def uri(self, name: str) -> str:
        """Return the URI of a Task."""
        return f"{TASKS}/{self.task_id(name)}"

    async def age(self, name: str, by: timedelta = LONGEST_START) -> None:
        """Let the places of a task be taken earlier than they were."""
        async with self.store.write() as connection:
            statement = update(table).where(table.c.token == name)
            await connection.execute(statement.values(taken_at=datetime.now(UTC) - by))

    async def names(self) -> list[str]:
        """Return who has a place on SYSTEM."""
        return [place.token for place in await self.turns.on([SYSTEM])]


class Waiting:
    """An await_turn under way in the name of one task."""

    def __init__(self, line: Line, name: str, turn: Turn, *seen: Progress) -> None:
        self._environment = ActivityEnvironment()
        self._environment.info = dataclasses.replace(
            ActivityEnvironment.default_info(),
            heartbeat_timeout=timedelta(seconds=2),
            heartbeat_details=[each.model_dump(mode="json") for each in seen],
        )
        self.beats: list[Progress] = []
        self._environment.on_heartbeat = lambda *details: self.beats.extend(details)
        request = TurnRequest(
            turn=turn, task_id=line.task_id(name), token=name, uri=SYSTEM
        )
        self._running = asyncio.create_task(
            self._environment.run(line.activities.await_turn, request)
        )

    async def answer(self) -> GotTurn | TurnTimedOut:
        """Wait for its end."""
        async with asyncio.timeout(20):
            return await self._running

    async def shows(self, uri: str) -> None:
        """Wait until it says that it waits for a task."""
        await until(lambda: any(uri in said.message for said in self.said()))

    def said(self) -> Sequence[Message]:
        """Return what its last heartbeat says."""
        return self.beats[-1].messages if self.beats else ()

    def cancel(self) -> None:
        """Cancel it, as its workflow does."""
        self._environment.cancel()


class Descriptions(Interceptor):
    """Counts the descriptions that are under way at once."""

    def __init__(self) -> None:
        self.number = 0
        self.most = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Count before the call and behind it."""
        return _CountedDescriptions(next, self)


class _CountedDescriptions(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, counts: Descriptions) -> None:
        super().__init__(next)
        self._counts = counts

    async def describe_workflow(
        self, input: DescribeWorkflowInput
    ) -> WorkflowExecutionDescription:
        self._counts.number += 1
        self._counts.most = max(self._counts.most, self._counts.number)
        try:
            return await super().describe_workflow(input)
        finally:
            self._counts.number -= 1


def wait_in(
    line: Line, name: str, *systems: str, seconds: float = 60, waits: bool = True
) -> Waiting:
    """Let a task wait for its turn."""
    turn = Turn(systems=systems or (SYSTEM,), waits=waits, seconds=seconds)
    return Waiting(line, name, turn)


@asynccontextmanager
async def silent_temporal() -> AsyncIterator[Client]:
    """Give a client of a server that does not answer."""
    yield await Client.connect(
        f"127.0.0.1:{free_port()}", data_converter=data_converter(KEYRING), lazy=True
    )


@pytest.fixture
async def line(temporal: Client, tmp_path: Path) -> AsyncIterator[Line]:
    """Give an empty line."""
    async with opened(tmp_path) as store:
        yield Line(temporal, store)


async def test_alone_it_has_its_turn_at_once(line: Line) -> None:
    assert await wait_in(line, "a").answer() == GotTurn()
    assert await line.names() == ["a"]


async def test_change_of_no_machine_has_its_turn_at_once(line: Line) -> None:
    waiting = Waiting(line, "a", Turn(waits=True))
    assert await waiting.answer() == GotTurn()


async def test_other_machine_is_free(line: Line) -> None:
    await line.open("holder", OTHER)
    assert await wait_in(line, "a").answer() == GotTurn()


async def test_waits_until_the_holder_leaves(line: Line) -> None:
    await line.open("holder")
    waiting = wait_in(line, "a")
    await waiting.shows(line.uri("holder"))
    await ActivityEnvironment().run(line.activities.leave_turn, "holder")
    assert await waiting.answer() == GotTurn()


async def test_wait_is_pending_and_says_for_whom_on_what(line: Line) -> None:
    holder = await line.open("holder")
    waiting = wait_in(line, "a")
    await waiting.shows(line.uri("holder"))
    shown = waiting.beats[-1]
    assert shown.state is TaskState.PENDING
    assert SYSTEM in shown.messages[0].message
    assert shown.messages[0].severity == "Warning"
    await holder.terminate()
    await waiting.answer()


@pytest.mark.parametrize("end", ["terminate", "cancel"])
async def test_ended_holder_lets_the_next_pass_and_is_forgotten(
    line: Line, end: str
) -> None:
    """Terminated or ended without leaving: nothing leaks."""
    holder = await line.open("holder")
    waiting = wait_in(line, "a")
    await waiting.shows(line.uri("holder"))
    if end == "cancel":
        await holder.cancel()
        assert await line.names() == ["holder", "a"]
    await holder.terminate()
    assert await waiting.answer() == GotTurn()
    assert await line.names() == ["a"]


async def test_waits_for_the_one_just_ahead(line: Line) -> None:
    first = await line.open("first")
    second = await line.open("second")
    waiting = wait_in(line, "third")
    await waiting.shows(line.uri("second"))
    await second.terminate()
    await waiting.shows(line.uri("first"))
    assert await line.names() == ["first", "third"]
    await first.terminate()
    assert await waiting.answer() == GotTurn()


async def test_two_machines_are_waited_for(line: Line) -> None:
    one, other = await line.open("one", SYSTEM), await line.open("other", OTHER)
    waiting = wait_in(line, "both", SYSTEM, OTHER)
    await waiting.shows(line.uri("other"))
    await other.terminate()
    await waiting.shows(line.uri("one"))
    await one.terminate()
    assert await waiting.answer() == GotTurn()


async def test_two_that_cross_do_not_wait_for_each_other(line: Line) -> None:
    one = wait_in(line, "one", SYSTEM, OTHER)
    assert await one.answer() == GotTurn()
    await line.start("one", "one")
    other = wait_in(line, "other", OTHER, SYSTEM)
    await other.shows(line.uri("one"))
    await line.turns.leave("one")
    assert await other.answer() == GotTurn()


async def test_run_that_is_about_to_start_counts(line: Line) -> None:
    await line.turns.take((SYSTEM,), line.task_id("late"), "late")
    waiting = wait_in(line, "a")
    await waiting.shows(line.uri("late"))
    await line.age("late")
    assert await waiting.answer() == GotTurn()
    assert await line.names() == ["a"]


async def test_other_run_with_the_same_id_does_not_count(line: Line) -> None:
    """The Id was free again, and somebody else has it."""
    await line.turns.take((SYSTEM,), line.task_id("reused"), "reused")
    await line.age("reused")
    await line.start("reused", "another")
    assert await wait_in(line, "a").answer() == GotTurn()


async def test_what_does_not_wait_only_takes_its_place(line: Line) -> None:
    await line.open("holder")
    assert await wait_in(line, "a", waits=False).answer() == GotTurn()
    assert await line.names() == ["holder", "a"]


async def test_time_out_names_the_first_in_line(line: Line) -> None:
    await line.open("first")
    await line.open("second")
    answer = await wait_in(line, "third", seconds=0.3).answer()
    assert answer == TurnTimedOut(holder=line.uri("first"))


async def test_time_counts_from_the_taking(line: Line) -> None:
    """A retry on another worker goes on."""
    await line.open("holder")
    await line.turns.take((SYSTEM,), line.task_id("a"), "a")
    await line.age("a", timedelta(minutes=2))
    answer = await wait_in(line, "a", seconds=60).answer()
    assert answer == TurnTimedOut(holder=line.uri("holder"))


async def test_free_machine_is_taken_after_the_time_too(line: Line) -> None:
    await line.turns.take((SYSTEM,), line.task_id("a"), "a")
    await line.age("a", timedelta(minutes=2))
    assert await wait_in(line, "a", seconds=60).answer() == GotTurn()


async def test_no_patience_is_refused_behind_an_open_run(line: Line) -> None:
    await line.open("holder")
    answer = await wait_in(line, "a", seconds=0).answer()
    assert answer == TurnTimedOut(holder=line.uri("holder"))


async def test_retry_shows_what_was_shown_before(line: Line) -> None:
    await line.open("holder")
    seen = Progress(state=TaskState.PENDING)
    turn = Turn(systems=(SYSTEM,), waits=True)
    waiting = Waiting(line, "a", turn, seen)
    await until(lambda: waiting.beats)
    assert waiting.beats[0] == seen
    await waiting.shows(line.uri("holder"))
    await line.turns.leave("holder")
    assert await waiting.answer() == GotTurn()


async def test_lost_place_is_taken_again_by_a_retry(line: Line) -> None:
    """Somebody has thought that the run would never start."""
    await line.open("holder")
    waiting = wait_in(line, "a")
    await waiting.shows(line.uri("holder"))
    await line.turns.leave("a")
    with pytest.raises(ApplicationError) as lost:
        await waiting.answer()
    assert not lost.value.non_retryable
    again = wait_in(line, "a")
    await again.shows(line.uri("holder"))
    await line.turns.leave("holder")
    assert await again.answer() == GotTurn()
    assert await line.names() == ["a"]


async def test_cancelled_wait_ends(line: Line) -> None:
    await line.open("holder")
    waiting = wait_in(line, "a")
    await waiting.shows(line.uri("holder"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting.answer()


async def test_silent_temporal_is_asked_again(line: Line) -> None:
    """Nobody passes because nobody can say whether the holder is there."""
    await line.open("holder")
    async with silent_temporal() as temporal:
        line.activities = TurnActivities(temporal, line.turns)
        with pytest.raises(ApplicationError) as refused:
            await wait_in(line, "a").answer()
    assert refused.value.type == "TemporalUnavailableError"
    assert not refused.value.non_retryable
    assert await line.names() == ["holder", "a"]


async def test_store_that_does_not_answer_is_asked_again(
    line: Line, tmp_path: Path
) -> None:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}", KEYRING)
    line.activities = TurnActivities(line.temporal, Turns(store))
    with pytest.raises(ApplicationError) as refused:
        await wait_in(line, "a").answer()
    assert not refused.value.non_retryable
    await store.close()


async def test_many_ended_ones_are_looked_at_together(line: Line) -> None:
    """Or who is not to wait gets no answer in time (503)."""
    ended = [f"ended{number}" for number in range(3 * MOST_AT_ONCE)]
    for name in ended:
        await line.turns.take((SYSTEM,), line.task_id(name), name)
        await line.age(name)
    for name in ("open", "next"):
        await line.open(name)
    counts = Descriptions()
    config = line.temporal.config()
    config["interceptors"] = [counts]
    places = OpenPlaces(Client(**config), line.turns)

    async def first_of_all() -> Place | None:
        return await places.first(await line.turns.on([SYSTEM]))

    for most in (MOST_AT_ONCE, 1):
        counts.most = 0
        first = await answered(first_of_all)
        assert first is not None
        assert first.token == "open"
        assert counts.most == most
        assert await line.names() == ["open", "next"]


async def test_sweep_forgets_the_ended_and_keeps_the_open(line: Line) -> None:
    ended, _ = await line.open("ended", SYSTEM, OTHER), await line.open("open")
    await line.turns.take((SYSTEM,), line.task_id("never"), "never")
    for name in ("ended", "open", "never"):
        await line.age(name)
    await line.open("young")
    await ended.terminate()
    moment = datetime.now(UTC) - LONGEST_START / 2
    places = OpenPlaces(line.temporal, line.turns)
    await answered(lambda: places.sweep(moment))
    assert await line.names() == ["open", "young"]
    assert await line.turns.on([OTHER]) == []


async def test_sweep_without_temporal_forgets_nothing(line: Line) -> None:
    await line.open("holder")
    async with silent_temporal() as temporal:
        with pytest.raises(TemporalUnavailableError):
            await OpenPlaces(temporal, line.turns).sweep(datetime.now(UTC))
    assert await line.names() == ["holder"]
