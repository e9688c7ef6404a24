"""Stores for tests: several over one database, as several processes have them."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from taskfish.encryption import Keyring, generate_key
from taskfish.store.database import Store, upgrade

KEYRING = Keyring([SecretStr(generate_key())])
_made: list[bytes] = []


def url_in(folder: Path) -> str:
    """Return the URL of a database in a folder."""
    return f"sqlite+aiosqlite:///{folder / 'taskfish.db'}"


async def make_database(folder: Path) -> None:
    """Make the database of a folder, of the newest schema."""
    file = folder / "taskfish.db"
    if file.exists():
        await upgrade(url_in(folder))
    else:
        file.write_bytes(await _new_database())


async def _new_database() -> bytes:
    """Return the file that the migrations make: they run once in a process."""
    if not _made:
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            await upgrade(url_in(folder))
            (file,) = folder.iterdir()  # Nothing is left in a journal beside it.
            _made.append(file.read_bytes())
    return _made[0]


@asynccontextmanager
async def opened(folder: Path, keyring: Keyring = KEYRING) -> AsyncIterator[Store]:
    """Give a store of the newest schema."""
    await make_database(folder)
    store = Store(url_in(folder), keyring)
    try:
        yield store
    finally:
        await store.close()
