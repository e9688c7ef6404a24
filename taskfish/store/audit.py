"""The audit log: who asked for what, from where, and what came of it."""

from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, func, insert, select, update

from taskfish.store.database import Store
from taskfish.store.tables import audit

AuditEvent = Literal["Login", "LoginFailed", "Logout", "Refused", "Change", "Decode"]
AUDIT_EVENTS: tuple[AuditEvent, ...] = get_args(AuditEvent)


class AuditRecord(BaseModel):
    """What is remembered of one request; never a body, a password or a token.

    `user` is None where nobody proved to be one; `address` is where it came from, with
    its scheme, empty if unknown; `task_id` is the task that it started or was about;
    `repeated` counts the like that came soon after.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    event: AuditEvent
    user: str | None
    address: str
    method: str
    path: str
    status: int
    request_id: str
    task_id: str | None = None
    repeated: int = 0


class NumberedRecord(AuditRecord):
    """A record in the log: the numbers rise, with gaps where records have gone."""

    id: int


class AuditLog:
    """Reads and writes of the `audit` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, record: AuditRecord) -> int:
        """Append a record and return its number."""
        async with self._store.write() as connection:
            done = await connection.execute(insert(audit).values(**record.model_dump()))
        key = done.inserted_primary_key
        assert key is not None, "one row was inserted"
        return int(key[0])

    async def repeat(self, number: int, times: int) -> None:
        """Count a record again; nothing happens if it has gone."""
        statement = (
            update(audit)
            .where(audit.c.id == number)
            .values(repeated=audit.c.repeated + times)
        )
        async with self._store.write() as connection:
            await connection.execute(statement)

    async def get(self, number: int) -> NumberedRecord | None:
        """Return one record, None if there is none of that number."""
        async with self._store.read() as connection:
            found = await connection.execute(select(audit).where(audit.c.id == number))
            row = found.one_or_none()
        return NumberedRecord.model_validate(row._mapping) if row else None

    async def page(self, size: int, before: int | None = None) -> list[NumberedRecord]:
        """Return the newest records, of those with smaller numbers than `before`."""
        statement = select(audit).order_by(audit.c.id.desc()).limit(size)
        if before is not None:
            statement = statement.where(audit.c.id < before)
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [NumberedRecord.model_validate(row._mapping) for row in rows]

    async def count(self) -> int:
        """Return how many records there are."""
        async with self._store.read() as connection:
            found = await connection.execute(select(func.count()).select_from(audit))
            return int(found.scalar_one())

    async def prune(self, before: datetime, keep: int) -> None:
        """Forget records from before a moment, and all but the newest `keep` of each
        event: however many logins there are, no change makes room for them.
        """
        newest = select(audit.c.id).order_by(audit.c.id.desc()).offset(keep).limit(1)
        async with self._store.write() as connection:
            await connection.execute(delete(audit).where(audit.c.at < before))
            for event in AUDIT_EVENTS:
                of_event = audit.c.event == event
                last = (await connection.execute(newest.where(of_event))).scalar()
                if last is not None:
                    surplus = of_event & (audit.c.id <= last)
                    await connection.execute(delete(audit).where(surplus))
