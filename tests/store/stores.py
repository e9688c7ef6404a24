"""Stores for tests: several over one database, as several processes have them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from taskfish.encryption import Keyring, generate_key
from taskfish.store.database import Store, upgrade

KEYRING = Keyring([SecretStr(generate_key())])


def url_in(folder: Path) -> str:
    """Return the URL of a database in a folder."""
    return f"sqlite+aiosqlite:///{folder / 'taskfish.db'}"


@asynccontextmanager
async def opened(folder: Path, keyring: Keyring = KEYRING) -> AsyncIterator[Store]:
    """Give a store of the newest schema."""
    await upgrade(url_in(folder))
    store = Store(url_in(folder), keyring)
    try:
        yield store
    finally:
        await store.close()
