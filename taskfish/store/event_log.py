"""The event log (D9): appended in an order that all readers see, read by cursors."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue
from sqlalchemy import bindparam, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from taskfish.redfish.events import Event, LoggedEvent, TaskStep, events_were_lost
from taskfish.redfish.messages import Message
from taskfish.redfish.task_events import (
    END,
    KILLED,
    PROGRESS,
    REMOVED,
    progress_message,
)
from taskfish.store.database import Store, serialized
from taskfish.store.tables import events
from taskfish.store.together import Together

logger = logging.getLogger(__name__)

Run = tuple[str, str]
"""Workflow id and run id."""
_LOGGED = [column for column in events.c if column.name != "outcome"]
"""What readers of the log get: the outcomes are large, and for the tasks alone."""
_IS_OWN = events.c.outcome.is_not(None).label("is_own")
"""Whether an end is a task's own word: only that has an outcome."""
_TOLD = [
    *(events.c.position, events.c.at, events.c.message),
    *(events.c.task_id, events.c.run_id, events.c.step),
]


class Told(BaseModel):
    """What subscribers were told of a run: when it started, how far it is, what was
    told last, and of its end.
    """

    model_config = ConfigDict(frozen=True)

    started_at: datetime | None = None
    percent: int = 0
    last: Message | None = None
    end: Message | None = None


class EventLog:
    """Appends to and reads of the `events` table."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._appending = Together(self._append_all)
        self._told: list[Callable[[], None]] = []

    def when_appended(self, tell: Callable[[], None]) -> None:
        """Have somebody told, at once, whenever this object has appended."""
        self._told.append(tell)

    async def append(self, *added: Event) -> None:
        """Append events, those of a task once: a step that is there stays as it is.

        Nothing of a run comes after its end but its removal, and after an end of its
        own word that it was killed before Temporal had taken that. What many ask for
        at once is one transaction, which the cancel of one does not break off.
        """
        await self._appending.ask(added)

    async def _append_all(self, batch: Sequence[Sequence[Event]]) -> None:
        together = [event for added in batch for event in added]
        async with self._store.write() as connection:
            await serialized(connection, events.name)
            await append_within(connection, together)
        self._tell()

    def _tell(self) -> None:
        for tell in self._told:
            tell()

    async def end(self, ended: Sequence[Event], outcome: JsonValue) -> JsonValue | None:
        """Append the events of a task's end, the last of which is the end itself.

        Returns None, or the outcome of an end that was appended before: that counts.
        """
        last = ended[-1].task
        assert last is not None, "the end of a task names the task"
        keyring = self._store.keyring
        async with self._store.write() as connection:
            await serialized(connection, events.name)
            found = await connection.execute(
                select(events.c.outcome).where(
                    events.c.task_id == last.task_id,
                    events.c.run_id == last.run_id,
                    events.c.step == END,
                )
            )
            row = found.one_or_none()
            if row is not None:
                if row.outcome is None:
                    return None
                decided: JsonValue = json.loads(keyring.open(row.outcome))
                return decided
            sealed = keyring.seal(json.dumps(outcome).encode())
            await append_within(connection, ended, outcome=sealed)
        self._tell()
        return None

    async def after(self, position: int, limit: int = 500) -> list[LoggedEvent]:
        """Return the events behind a position, the oldest first.

        In the place of one that cannot be read is that events were lost.
        """
        statement = (
            select(*_LOGGED)
            .where(events.c.position > position)
            .order_by(events.c.position)
            .limit(limit)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [_logged(row._mapping) for row in rows]

    async def newest(self) -> int:
        """Return the position of the newest event that was ever appended and is kept,
        0 without any.
        """
        async with self._store.read() as connection:
            found = await connection.execute(select(func.max(events.c.position)))
            return int(found.scalar() or 0)

    async def oldest(self) -> int:
        """Return the position of the oldest event that is kept, 0 without any."""
        async with self._store.read() as connection:
            found = await connection.execute(select(func.min(events.c.position)))
            return int(found.scalar() or 0)

    async def before(self, moment: datetime) -> int:
        """Return the position of the newest event that is older than a moment."""
        statement = select(func.max(events.c.position)).where(events.c.at < moment)
        async with self._store.read() as connection:
            return int((await connection.execute(statement)).scalar() or 0)

    async def ended(self, runs: Iterable[Run]) -> dict[Run, bool]:
        """Return those of these runs whose end is in the log, and whether that end is
        their own word: such a run may have been killed all the same.
        """
        wanted = set(runs)
        statement = select(events.c.task_id, events.c.run_id, _IS_OWN).where(
            events.c.task_id.in_({task_id for task_id, _ in wanted}),
            events.c.step.in_((END, KILLED)),
        )
        async with self._store.read() as connection:
            rows = await connection.execute(statement.order_by(events.c.position))
            found = {(row.task_id, row.run_id): row.is_own for row in rows}
        return {run: is_own for run, is_own in found.items() if run in wanted}

    async def told_of(self, runs: Iterable[Run]) -> dict[Run, Told]:
        """Return what was told of each of these runs, in two queries."""
        wanted = set(runs)
        of_task = events.c.task_id.in_({task_id for task_id, _ in wanted})
        is_progress = events.c.step.startswith(PROGRESS)
        progress = (
            select(
                events.c.task_id,
                events.c.run_id,
                func.max(events.c.percent).label("percent"),
                func.max(events.c.position).label("position"),
            )
            .where(of_task, events.c.percent.is_not(None))
            .group_by(events.c.task_id, events.c.run_id)
        )
        is_other = of_task & ~is_progress
        others = select(*_TOLD).where(is_other).order_by(events.c.position)
        async with self._store.read() as connection:
            furthest = (await connection.execute(progress)).all()
            rows = (await connection.execute(others)).all()
        told = {run: Told() for run in wanted}
        positions = dict.fromkeys(wanted, 0)
        for row in rows:
            run = (row.task_id, row.run_id)
            if run in told:
                told[run] = _with_message(told[run], row._mapping)
                positions[run] = row.position
        for row in furthest:
            run = (row.task_id, row.run_id)
            if run in told:
                update: dict[str, Any] = {"percent": row.percent}
                if row.position > positions[run] and not _is_paused(told[run]):
                    update["last"] = progress_message(row.task_id, row.percent)
                told[run] = told[run].model_copy(update=update)
        return told

    async def percents_of(
        self, task_ids: Iterable[str], since: datetime
    ) -> dict[str, int]:
        """Return how far each task is that was told of since a moment; 100 of one that
        has ended, whatever came of it.
        """
        has_ended = events.c.step.in_((END, KILLED))
        percent = case((has_ended, 100), else_=func.coalesce(events.c.percent, 0))
        statement = (
            select(events.c.task_id, func.max(percent).label("percent"))
            .where(events.c.task_id.in_(list(task_ids)), events.c.at >= since)
            .group_by(events.c.task_id)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.task_id: row.percent for row in rows}

    async def forget_outcomes(self, runs: Iterable[Run]) -> None:
        """Forget what runs have come to, which are removed and need it no more."""
        its = (events.c.task_id == bindparam("its_id")) & (
            events.c.run_id == bindparam("its_run")
        )
        forgetting = update(events).where(its, events.c.outcome.is_not(None))
        rows = [{"its_id": task_id, "its_run": run_id} for task_id, run_id in runs]
        async with self._store.write() as connection:
            await connection.execute(forgetting.values(outcome=None), rows)

    async def prune(self, before: datetime, keep: int) -> None:
        """Forget events from before a moment, and all but the newest `keep`.

        The newest stays, so that positions go on from it.
        """
        newest = await self.newest()
        async with self._store.write() as connection:
            await connection.execute(
                delete(events).where(
                    (events.c.position <= newest - keep) | (events.c.at < before),
                    events.c.position < newest,
                )
            )


async def append_within(
    connection: AsyncConnection,
    added: Sequence[Event],
    *,
    outcome: bytes | None = None,
) -> None:
    """Append events in a transaction that has asked for the log's order before
    (`serialized`); `outcome` is for the one that ends a task.
    """
    told = await _told(connection, {_run(e.task) for e in added if e.task is not None})
    rows = []
    for event in added:
        if event.task is None:
            rows.append(_row(event, None))
        elif told[_run(event.task)].takes(event.task):
            rows.append(_row(told[_run(event.task)].at_least(event), outcome))
    if rows:
        await connection.execute(insert(events), rows)


async def tell_within(connection: AsyncConnection, *told: Event) -> None:
    """Append what a transaction has changed, as the last thing that it does.

    Both are there or none is; and who holds the log's order waits for nothing else.
    """
    await serialized(connection, events.name)
    await append_within(connection, told)


async def _told(
    connection: AsyncConnection, runs: set[Run]
) -> defaultdict[Run, "_Steps"]:
    """Return the steps of these runs that are in the log."""
    told: defaultdict[Run, _Steps] = defaultdict(_Steps)
    if not runs:
        return told
    columns = (events.c.task_id, events.c.run_id, events.c.step, events.c.percent)
    of_task = events.c.task_id.in_({task_id for task_id, _ in runs})
    found = await connection.execute(select(*columns, _IS_OWN).where(of_task))
    for row in found:
        step = TaskStep.model_validate(row._mapping)
        told[_run(step)].add(step, is_own_end=row.is_own)
    return told


class _Steps:
    """The steps of one run, and how far it is by them."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._furthest = 0
        self._has_own_end = False

    def add(self, step: TaskStep, *, is_own_end: bool = False) -> None:
        """Take a step that is in the log."""
        self._names.add(step.step)
        self._has_own_end |= is_own_end
        self._furthest = max(self._furthest, step.percent or 0)

    def takes(self, step: TaskStep) -> bool:
        """Take a step if it may be appended, and say whether it may."""
        is_new = self._is_new(step)
        if is_new:
            self.add(step)
        return is_new

    def at_least(self, event: Event) -> Event:
        """Return an event whose percentage does not go back: whoever tells of a state
        may not know how far the task was told to be.
        """
        message = event.message
        if not message.message_id.endswith(".TaskProgressChanged"):
            return event
        task_id, percent = message.message_args
        args = (task_id, str(max(int(percent), self._furthest)))
        told = message.model_copy(update={"message_args": args})
        return event.model_copy(update={"message": told})

    def _is_new(self, step: TaskStep) -> bool:
        """Say whether a step may be appended: not twice, not behind the end, and none
        that goes back.
        """
        if step.step in self._names:
            return False
        if step.step == KILLED and self._has_own_end:
            return REMOVED not in self._names
        if not self._names.isdisjoint((END, KILLED)):
            return step.step == REMOVED
        if not step.step.startswith(PROGRESS):
            return True
        return step.percent is not None and step.percent > self._furthest


def _is_paused(told: Told) -> bool:
    """Say whether it was told last that a task is paused: how far it is says less."""
    return told.last is not None and told.last.message_id.endswith(".TaskPaused")


def _with_message(told: Told, row: Any) -> Told:
    message = Message.model_validate(row["message"])
    update: dict[str, Any] = {"last": message}
    if row["step"] in (END, KILLED):
        update["end"] = message
    if message.message_id.endswith(".TaskStarted"):
        update["started_at"] = row["at"]
    return told.model_copy(update=update)


def _run(step: TaskStep) -> Run:
    return step.task_id, step.run_id


def _row(event: Event, outcome: bytes | None) -> dict[str, Any]:
    task = event.task
    ends = task is not None and task.step == END
    return {
        "at": event.at,
        "kind": event.kind.value,
        "message": event.message.model_dump(mode="json", by_alias=True),
        "origin": event.origin[:1024],
        "resource_type": event.resource_type[:64],
        "concerns": list(event.concerns),
        "owner": event.owner,
        "task_id": task.task_id if task else None,
        "run_id": task.run_id if task else None,
        "step": task.step if task else None,
        "percent": task.percent if task else None,
        "outcome": outcome if ends else None,
        "given": event.given,
    }


def _logged(row: Any) -> LoggedEvent:
    try:
        return LoggedEvent(position=row["position"], event=_event(row))
    except ValueError as error:
        logger.warning("the event %s cannot be read: %s", row["position"], error)
    return LoggedEvent(position=row["position"], event=events_were_lost())


def _event(row: Any) -> Event:
    task = TaskStep.model_validate(row) if row["task_id"] is not None else None
    values = {name: row[name] for name in Event.model_fields if name != "task"}
    return Event.model_validate({**values, "task": task})
