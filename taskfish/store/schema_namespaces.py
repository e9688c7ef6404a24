"""The schema namespaces that sources' answers have shown, for `$metadata`."""

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import schema_namespaces

MAX_NAMESPACES = 2000
"""More than there are: a source that makes up versions must not fill the store."""


class SchemaNamespaces:
    """Reads and writes of the `schema_namespaces` table, written once a name."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: set[str] = set()

    async def note(self, namespaces: Iterable[str]) -> None:
        """Remember namespaces such as `ComputerSystem.v1_13_0`."""
        new = set(namespaces) - self._seen
        if not new:
            return
        known = set(await self.all())
        if new - known and len(known | new) <= MAX_NAMESPACES:
            rows = [{"namespace": name} for name in sorted(new - known)]
            with suppress(IntegrityError):
                async with self._store.write() as connection:
                    await connection.execute(insert(schema_namespaces), rows)
        self._seen |= new

    async def all(self) -> list[str]:
        """Return every namespace ever seen, sorted."""
        statement = select(schema_namespaces.c.namespace)
        async with self._store.read() as connection:
            rows = await connection.execute(statement.order_by("namespace"))
            return [row.namespace for row in rows]
