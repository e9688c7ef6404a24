"""What there is once for all processes of a gateway."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import service

_UUID = "uuid"
_FIRST_KEY = "first-key"


class ServiceFacts:
    """Reads and writes of the `service` table."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._uuid: str | None = None

    async def uuid(self) -> str:
        """Return ServiceRoot.UUID: random, made once."""
        if self._uuid is None:
            with suppress(IntegrityError):
                async with self._store.write() as connection:
                    made = {"name": _UUID, "value": str(uuid.uuid4())}
                    await connection.execute(insert(service).values(**made))
            statement = select(service.c.value).where(service.c.name == _UUID)
            async with self._store.read() as connection:
                self._uuid = str((await connection.execute(statement)).scalar_one())
        return self._uuid

    async def first_key_since(self, key: bytes) -> datetime:
        """Return since when this has been the key that encrypts: now, if it is new.

        It is asked by `taskfish keys rotate`, once all processes have the key.
        """
        its = service.c.name == _FIRST_KEY
        async with self._store.write() as connection:
            kept = (
                await connection.execute(select(service.c.value).where(its))
            ).scalar()
            key_id, _, moment = (kept or "").partition(" ")
            if key_id == key.hex():
                return datetime.fromisoformat(moment)
            now = datetime.now(UTC)
            value = f"{key.hex()} {now.isoformat()}"
            await connection.execute(delete(service).where(its))
            await connection.execute(
                insert(service).values(name=_FIRST_KEY, value=value)
            )
        return now
