"""What there is once for all processes of a gateway."""

import uuid
from contextlib import suppress

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import service

_UUID = "uuid"


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
