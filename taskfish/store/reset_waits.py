"""Changes that wait for the next reset of a system, and the resets they hold back.

A row lives from the beginning of the wait until the change has been sent and answered;
one whose task has ended otherwise is deleted by whoever meets it.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, delete, insert, select, update

from taskfish.store.database import Store, serialized
from taskfish.store.tables import reset_waits


class ResetWait(BaseModel):
    """One change that waits for one system.

    `token` is the start that it belongs to; `resetting` the task that is about to
    reset the system and waits for it.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    token: str
    system: str
    task_id: str
    resetting: str | None
    since: datetime


class ResetWaits:
    """Reads and writes of the `reset_waits` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(
        self, systems: Iterable[str], task_id: str, token: str, *, afresh: bool = False
    ) -> None:
        """Let resets of these systems know that a change waits for them.

        Harmless to repeat; `afresh` forgets which reset was about to come.
        """
        now = datetime.now(UTC)
        async with self._store.write() as connection:
            await serialized(connection, reset_waits.name)
            if afresh:
                await connection.execute(delete(reset_waits).where(_is(token)))
            known = await connection.execute(
                select(reset_waits.c.system).where(_is(token))
            )
            missing = sorted(set(systems) - set(known.scalars()))
            if missing:
                rows = [
                    {
                        "token": token,
                        "system": system,
                        "task_id": task_id,
                        "since": now,
                    }
                    for system in missing
                ]
                await connection.execute(insert(reset_waits), rows)

    async def of(self, token: str) -> Sequence[ResetWait]:
        """Return the rows of one change."""
        return await self._select(_is(token))

    async def on(self, system: str) -> Sequence[ResetWait]:
        """Return what waits for a reset of a system, the oldest first."""
        return await self._select(reset_waits.c.system == system)

    async def before(self, moment: datetime) -> Sequence[ResetWait]:
        """Return what has waited since before a moment."""
        return await self._select(reset_waits.c.since < moment)

    async def announce(self, wait: ResetWait, task_id: str) -> None:
        """Tell a change that this task is about to reset the system."""
        row = _is(wait.token) & (reset_waits.c.system == wait.system)
        async with self._store.write() as connection:
            await connection.execute(
                update(reset_waits).where(row).values(resetting=task_id)
            )

    async def withdraw(self, wait: ResetWait) -> None:
        """Take back what a row announces, unless it announces another reset by now."""
        row = _is(wait.token) & (reset_waits.c.system == wait.system)
        row &= reset_waits.c.resetting == wait.resetting
        async with self._store.write() as connection:
            await connection.execute(
                update(reset_waits).where(row).values(resetting=None)
            )

    async def forget(self, token: str) -> None:
        """Delete the rows of a change that waits no more; harmless to repeat."""
        async with self._store.write() as connection:
            await connection.execute(delete(reset_waits).where(_is(token)))

    async def _select(self, condition: ColumnElement[bool]) -> Sequence[ResetWait]:
        statement = (
            select(reset_waits)
            .where(condition)
            .order_by(reset_waits.c.since, reset_waits.c.token, reset_waits.c.system)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [ResetWait.model_validate(row) for row in rows]


def _is(token: str) -> ColumnElement[bool]:
    return reset_waits.c.token == token
