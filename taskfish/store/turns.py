"""Who is on a machine, and who waits behind: first come, first served (D13).

Each change has one place a system, all of them taken in one transaction: so of two
changes one is ahead on every system that they share, and no two wait for each other.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, func, insert, select

from taskfish.store.database import Store, serialized
from taskfish.store.tables import turns


class Place(BaseModel):
    """One change's place on one system; the lowest position is the first in line.

    It counts only while the run is open that has its token.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    position: int
    target: str
    task_id: str
    token: str
    taken_at: datetime


class Turns:
    """Reads and writes of the `turns` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(
        self, targets: Iterable[str], task_id: str, token: str, *, first: bool = False
    ) -> datetime:
        """Take a place behind all others on each target; return when they were taken.

        With `first` the places are ahead of all others. Taking them again changes
        nothing.
        """
        now = datetime.now(UTC)
        async with self._store.write() as connection:
            await serialized(connection, turns.name)
            mine = select(func.min(turns.c.taken_at)).where(turns.c.token == token)
            taken_at: datetime | None = (await connection.execute(mine)).scalar()
            if taken_at is not None:
                return taken_at
            rows: list[dict[str, object]] = [
                {"target": target, "task_id": task_id, "token": token, "taken_at": now}
                for target in sorted(set(targets))
            ]
            if first:
                lowest = await connection.execute(select(func.min(turns.c.position)))
                start = min(lowest.scalar() or 0, 0) - len(rows)
                rows = [
                    row | {"position": position}
                    for position, row in enumerate(rows, start)
                ]
            if rows:
                await connection.execute(insert(turns), rows)
        return now

    async def leave(self, *tokens: str) -> None:
        """Give up the places of changes; harmless to repeat."""
        if not tokens:
            return
        async with self._store.write() as connection:
            await connection.execute(delete(turns).where(turns.c.token.in_(tokens)))

    async def ahead(self, token: str) -> Sequence[Place] | None:
        """Return the places of others before this one's, the first in line first.

        None if it has no place (any more).
        """
        mine = turns.alias("mine")
        statement = (
            select(turns)
            .join(mine, mine.c.target == turns.c.target)
            .where(mine.c.token == token, turns.c.position <= mine.c.position)
            .order_by(turns.c.position)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        places = [Place.model_validate(row) for row in rows]
        return [place for place in places if place.token != token] if places else None

    async def on(self, targets: Iterable[str]) -> Sequence[Place]:
        """Return all places on these systems, the first in line first."""
        statement = (
            select(turns)
            .where(turns.c.target.in_(set(targets)))
            .order_by(turns.c.position)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Place.model_validate(row) for row in rows]

    async def taken_before(self, moment: datetime) -> Sequence[Place]:
        """Return all places taken before a moment, the oldest first."""
        statement = (
            select(turns)
            .where(turns.c.taken_at < moment)
            .order_by(turns.c.taken_at, turns.c.position)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Place.model_validate(row) for row in rows]
