"""When the monitor of an ended task was first read; it expires from then on."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import monitor_reads

Run = tuple[str, str]
"""Workflow id and run id."""


class MonitorReads:
    """Reads and writes of the `monitor_reads` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def first_read(self, runs: Iterable[Run]) -> dict[Run, datetime]:
        """Return when each run's monitor was first read, for those that were."""
        statement = select(monitor_reads).where(
            tuple_(monitor_reads.c.workflow_id, monitor_reads.c.run_id).in_(list(runs))
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {(row.workflow_id, row.run_id): row.first_read_at for row in rows}

    async def prune(self, before: datetime) -> None:
        """Forget reads before a moment: their tasks are gone."""
        async with self._store.write() as connection:
            await connection.execute(
                delete(monitor_reads).where(monitor_reads.c.first_read_at < before)
            )

    async def note(self, run: Run) -> None:
        """Remember a first read; a later one changes nothing."""
        values = {
            "workflow_id": run[0],
            "run_id": run[1],
            "first_read_at": datetime.now(UTC),
        }
        try:
            async with self._store.write() as connection:
                await connection.execute(insert(monitor_reads).values(**values))
        except IntegrityError:
            return
