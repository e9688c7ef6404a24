"""The relational store: engine, transactions and migrations (D8)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from taskfish.encryption import Keyring
from taskfish.errors import StoreUnavailableError

ANSWER_SECONDS = 3
"""How long a database may take: a client waits no longer for its 503."""


class Store:
    """One database and the keys for its secrets.

    `read` gives a connection that commits by itself, `write` one transaction. Both
    raise `StoreUnavailableError` when the database does not answer.
    """

    def __init__(self, url: str, keyring: Keyring) -> None:
        """Open nothing yet: the first use connects."""
        self.keyring = keyring
        self._engine = _engine(url)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for single statements."""
        with _translated():
            async with self._reading.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that commits at the end, or rolls back on any error."""
        with _translated():
            async with self._engine.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


async def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest schema; safe to repeat."""
    engine = _engine(url)
    try:
        if engine.dialect.name == "sqlite":
            async with engine.execution_options(
                isolation_level="AUTOCOMMIT"
            ).connect() as connection:
                await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option(
        "script_location", str(files("taskfish.store").joinpath("migrations"))
    )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _engine(url: str) -> AsyncEngine:
    is_sqlite = url.startswith("sqlite")
    engine = create_async_engine(
        url,
        pool_pre_ping=not is_sqlite,
        connect_args={} if is_sqlite else {"timeout": ANSWER_SECONDS},
        **({} if is_sqlite else {"pool_timeout": ANSWER_SECONDS}),
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry | None
) -> None:
    """Leave BEGIN to us, wait for other writers, and keep foreign keys."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={ANSWER_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: a plain BEGIN fails or races (contracts.md 10)."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn a database that does not answer into our own error."""
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        raise StoreUnavailableError(
            "the store does not answer: check TASKFISH_DATABASE_URL and that "
            "`taskfish db upgrade` has run"
        ) from error
