"""Seal everything in the store with the first key, while others use it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Row, Table, func, or_, select, tuple_, update

from taskfish.encryption import KEY_ID_BYTES, key_id_of
from taskfish.errors import UndecryptableError
from taskfish.store.database import Store
from taskfish.store.tables import Sealed, metadata

BATCH_ROWS = 20
"""A row of the journal may hold some MiB."""


@dataclass
class Resealed:
    """What was done: table → values sealed anew; key id → values that need that key,
    which is not configured or does not fit them.
    """

    values: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)


def sealed_columns(table: Table) -> list[Column[bytes]]:
    """Return the columns of a table that the keys seal."""
    return [column for column in table.columns if isinstance(column.type, Sealed)]


async def reseal_all(store: Store) -> Resealed:
    """Seal with the first key every value that another key has sealed.

    Each value is replaced only if it is still the one that was read, so this may run
    beside all other processes, be broken off and be repeated.
    """
    done = Resealed()
    for table in metadata.sorted_tables:
        if sealed_columns(table):
            await _reseal_table(store, table, done)
    return done


async def _reseal_table(store: Store, table: Table, done: Resealed) -> None:
    async for rows in _batches(store, table):
        for row in rows:
            for column in sealed_columns(table):
                await _reseal_value(store, row, column, done)


async def _batches(
    store: Store, table: Table
) -> AsyncIterator[Sequence[Row[tuple[Any, ...]]]]:
    """Yield the rows that another key than the first has sealed, in their order."""
    keys = list(table.primary_key.columns)
    first = store.keyring.first
    old = [
        func.substr(column, 1, KEY_ID_BYTES) != first
        for column in sealed_columns(table)
    ]
    statement = (
        select(*keys, *sealed_columns(table))
        .where(or_(*old))
        .order_by(*keys)
        .limit(BATCH_ROWS)
    )
    rest = statement
    while True:
        async with store.read() as connection:
            rows = (await connection.execute(rest)).all()
        if not rows:
            return
        yield rows
        rest = statement.where(tuple_(*keys) > tuple(rows[-1][: len(keys)]))


async def _reseal_value(
    store: Store, row: Row[tuple[Any, ...]], column: Column[bytes], done: Resealed
) -> None:
    old = row._mapping[column]
    if old is None or key_id_of(old) == store.keyring.first:
        return
    try:
        new = store.keyring.seal(store.keyring.open(old))
    except UndecryptableError:
        key = key_id_of(old).hex()
        done.unreadable[key] = done.unreadable.get(key, 0) + 1
        return
    table = column.table
    assert isinstance(table, Table), "the column is one of a table"
    its = [each == row._mapping[each] for each in table.primary_key.columns]
    async with store.write() as connection:
        result = await connection.execute(
            update(table).where(*its, column == old).values({column: new})
        )
    if result.rowcount:
        done.values[table.name] = done.values.get(table.name, 0) + 1
