"""When the monitor of an ended task was first read; it expires from then on."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import monitor_reads

Run = tuple[str, str]
"""Workflow id and run id."""


@dataclass(frozen=True)
class MonitorRead:
    """When a monitor's final answer was first read, and whether it was removed."""

    first_at: datetime
    removed: bool


class MonitorReads:
    """Reads and writes of the `monitor_reads` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def reads_of(self, runs: Iterable[Run]) -> dict[Run, MonitorRead]:
        """Return what is known of these runs' monitors; nothing of one that nobody has
        read yet.
        """
        wanted = set(runs)
        ids = {task_id for task_id, _ in wanted}
        statement = select(monitor_reads).where(monitor_reads.c.workflow_id.in_(ids))
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        found = {(row.workflow_id, row.run_id): row for row in rows}
        return {
            run: MonitorRead(row.first_read_at, row.removed)
            for run, row in found.items()
            if run in wanted
        }

    async def prune(self, before: datetime) -> None:
        """Forget reads before a moment: their tasks are gone."""
        async with self._store.write() as connection:
            await connection.execute(
                delete(monitor_reads).where(monitor_reads.c.first_read_at < before)
            )

    async def forget(self, run: Run) -> None:
        """Forget a run that is removed."""
        async with self._store.write() as connection:
            await connection.execute(delete(monitor_reads).where(_is(run)))

    async def note(self, run: Run) -> None:
        """Remember a first read; a later one changes nothing."""
        values = {
            "workflow_id": run[0],
            "run_id": run[1],
            "first_read_at": datetime.now(UTC),
        }
        with suppress(IntegrityError):
            async with self._store.write() as connection:
                await connection.execute(insert(monitor_reads).values(**values))

    async def remove(self, run: Run) -> None:
        """Remember that a monitor is removed, whatever is left of its time."""
        await self.note(run)
        async with self._store.write() as connection:
            await connection.execute(
                update(monitor_reads).where(_is(run)).values(removed=True)
            )


def _is(run: Run) -> ColumnElement[bool]:
    task_id, run_id = run
    return (monitor_reads.c.workflow_id == task_id) & (monitor_reads.c.run_id == run_id)
