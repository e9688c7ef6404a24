"""Aggregates in the store: named groups of machines."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from taskfish.redfish.aggregate_resources import aggregate_uri
from taskfish.redfish.events import resource_created, resource_removed
from taskfish.store.database import Store
from taskfish.store.event_log import tell_within
from taskfish.store.tables import aggregates


class AggregateRecord(BaseModel):
    """An aggregate: `elements` are URIs, `revision` tells two versions apart."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    name: str
    elements: tuple[str, ...]
    revision: int = 1
    created_at: datetime


class Aggregates:
    """Reads and writes of the `aggregates` table; what comes and goes is told."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ids(self) -> list[str]:
        """Return the Ids of all, sorted."""
        statement = select(aggregates.c.id).order_by(aggregates.c.id)
        async with self._store.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def get(self, aggregate_id: str) -> AggregateRecord | None:
        """Return one, None if there is none of this Id."""
        statement = select(aggregates).where(aggregates.c.id == aggregate_id)
        async with self._store.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else AggregateRecord.model_validate(row)

    async def add(
        self, aggregate_id: str, name: str, elements: Sequence[str]
    ) -> AggregateRecord | None:
        """Keep a new one; None if there is one of this Id."""
        new = AggregateRecord(
            id=aggregate_id,
            name=name,
            elements=tuple(elements),
            created_at=datetime.now(UTC),
        )
        values = new.model_dump() | {"elements": list(elements)}
        try:
            async with self._store.write() as connection:
                await connection.execute(insert(aggregates).values(**values))
                created = resource_created(aggregate_uri(aggregate_id))
                await tell_within(connection, created)
        except IntegrityError:
            return None
        return new

    async def change(
        self,
        aggregate_id: str,
        elements: Callable[[AggregateRecord], Sequence[str]],
    ) -> AggregateRecord | None:
        """Replace its elements by those that are made of it; return it as it is then,
        None if there is none. What `elements` raises changes nothing.
        """
        its = aggregates.c.id == aggregate_id
        async with self._store.write() as connection:
            statement = select(aggregates).where(its).with_for_update()
            row = (await connection.execute(statement)).first()
            if row is None:
                return None
            before = AggregateRecord.model_validate(row)
            new = tuple(elements(before))
            if new == before.elements:
                return before
            revision = before.revision + 1
            await connection.execute(
                update(aggregates)
                .where(its)
                .values(elements=list(new), revision=revision)
            )
        return before.model_copy(update={"elements": new, "revision": revision})

    async def remove(self, seen: AggregateRecord) -> bool:
        """Forget one; False, and nothing is done, if it is not as it was `seen`."""
        its = (aggregates.c.id == seen.id) & (aggregates.c.revision == seen.revision)
        async with self._store.write() as connection:
            done = await connection.execute(
                delete(aggregates).where(
                    its, aggregates.c.created_at == seen.created_at
                )
            )
            if done.rowcount:
                await tell_within(connection, resource_removed(aggregate_uri(seen.id)))
        return bool(done.rowcount)
