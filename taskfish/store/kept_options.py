"""Options that clients may change, the same for every process: a row a service."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from time import monotonic
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import service

CACHED_SECONDS = 2.0
"""How long another process may go on with what it has read before a change."""


class Options(BaseModel):
    """A service as it is set; names and units are its properties' own."""

    model_config = ConfigDict(frozen=True)

    @property
    def etag(self) -> str:
        """The ETag of the service: the same for the same options."""
        return f'"{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]}"'


Kept = TypeVar("Kept", bound=Options)


class KeptOptions(Generic[Kept]):
    """Reads and writes of one service's row; what was never set is the default's."""

    def __init__(self, store: Store, name: str, defaults: Kept) -> None:
        self._store = store
        self._name = name
        self._defaults = defaults
        self._read: Kept | None = None
        self._read_at = 0.0

    async def read(self) -> Kept:
        """Return the options, at most 2 seconds old."""
        if self._read is None or monotonic() - self._read_at > CACHED_SECONDS:
            statement = select(service.c.value).where(service.c.name == self._name)
            async with self._store.read() as connection:
                stored = (await connection.execute(statement)).scalar()
            return self._remember(self._options(stored))
        return self._read

    async def change(
        self,
        values: Mapping[str, JsonValue],
        only_if: Collection[str] | None = None,
        check: Callable[[Kept], None] = lambda options: None,
    ) -> Kept | None:
        """Keep new values, by the options' names, and return all options.

        Returns None, and changes nothing, if `only_if` is given without the ETag.
        `check` is given the options as they would be, and raises what refuses them:
        two changes at once may not be good together.
        """
        await self._ensure_row()
        its = service.c.name == self._name
        async with self._store.write() as connection:
            row = select(service.c.value).where(its).with_for_update()
            stored = (await connection.execute(row)).scalar_one()
            if only_if is not None and self._options(stored).etag not in only_if:
                return None
            changed = json.dumps(json.loads(stored) | dict(values))
            options = self._options(changed)
            check(options)
            await connection.execute(update(service).where(its).values(value=changed))
        return self._remember(options)

    async def _ensure_row(self) -> None:
        """Make the row, so that two first changes wait for each other at it."""
        with suppress(IntegrityError):
            async with self._store.write() as connection:
                made = {"name": self._name, "value": "{}"}
                await connection.execute(insert(service).values(**made))

    def _options(self, stored: str | None) -> Kept:
        values = json.loads(stored) if stored else {}
        options = self._defaults.model_dump() | values
        return type(self._defaults).model_validate(options)

    def _remember(self, options: Kept) -> Kept:
        self._read, self._read_at = options, monotonic()
        return options
