"""Which of the store's sealed values the configured keys do not open."""

from sqlalchemy import Column, func, select

from taskfish.encryption import KEY_ID_BYTES
from taskfish.errors import UndecryptableError
from taskfish.store.database import Store
from taskfish.store.resealing import sealed_columns
from taskfish.store.tables import metadata


async def unreadable_keys(store: Store) -> dict[str, int]:
    """Return the id of each key that is missing or another than it says → how many
    values it has sealed.

    Of all values of a key in a column one is opened: there may be many.
    """
    found: dict[str, int] = {}
    for table in metadata.sorted_tables:
        for column in sealed_columns(table):
            for key, count in (await _counts(store, column)).items():
                if not await _opens(store, column, key):
                    found[key.hex()] = found.get(key.hex(), 0) + count
    return found


async def _counts(store: Store, column: Column[bytes]) -> dict[bytes, int]:
    """Return how many values each key has sealed in a column."""
    key = func.substr(column, 1, KEY_ID_BYTES).label("sealed_with")
    statement = select(key, func.count()).where(column.is_not(None))
    async with store.read() as connection:
        rows = (await connection.execute(statement.group_by(key.name))).all()
    return {bytes(found): count for found, count in rows}


async def _opens(store: Store, column: Column[bytes], key: bytes) -> bool:
    """Say whether a value that a key has sealed can be opened."""
    its = func.substr(column, 1, KEY_ID_BYTES) == key
    async with store.read() as connection:
        sealed = (await connection.execute(select(column).where(its).limit(1))).scalar()
    try:
        store.keyring.open(sealed or b"")
    except UndecryptableError:
        return False
    return True
