"""The relational store: engine, transactions and migrations (D8)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    Connection,
    CursorResult,
    event,
    func,
    literal,
    make_url,
    select,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from taskfish.encryption import Keyring
from taskfish.errors import StoreUnavailableError
from taskfish.store import written_file
from taskfish.store.writers_line import WritersLine

Result = TypeVar("Result")

ANSWER_SECONDS = 3
"""How long a database may take: a client waits no longer for its 503."""
PURPOSE = b"store"
"""What the store's values are sealed for: as payloads of Temporal they do not open."""


class Store:
    """One database and the keys for its secrets.

    `read` gives a connection that commits by itself, `write` one transaction. Both
    raise `StoreUnavailableError` when the database does not answer.
    """

    def __init__(self, url: str, keyring: Keyring) -> None:
        """Open nothing yet: the first use connects."""
        self.keyring = keyring.bound_to(PURPOSE)
        self._engine = _engine(url)
        is_sqlite = self._engine.dialect.name == "sqlite"
        self._line: AbstractAsyncContextManager[None]
        self._line = WritersLine(ANSWER_SECONDS) if is_sqlite else nullcontext()
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for single statements."""
        with _translated():
            async with _connected(self._reading) as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction that commits at the end, or rolls back on any error."""
        with _translated():
            async with (
                self._line,
                _connected(self._engine) as connection,
                _transaction(connection),
            ):
                yield connection

    @asynccontextmanager
    async def hints(
        self, channel: str, hint: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Call `hint` at each `notify` of a channel, on SQLite at every commit.

        A hint may be lost, with its connection for one: who waits also looks.
        """
        database = self._engine.url.database
        if self._engine.dialect.name == "postgresql":
            async with self._notified(channel, hint):
                yield
        else:
            async with written_file.hinted(database or "", hint):
                yield

    @asynccontextmanager
    async def _notified(
        self, channel: str, hint: Callable[[], None]
    ) -> AsyncIterator[None]:
        def heard(*_: object) -> None:
            hint()

        with _translated():
            async with _connected(self._reading) as connection:
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None, "just connected"
                await driver.add_listener(channel, heard)
                try:
                    yield
                finally:
                    await driver.remove_listener(channel, heard)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


async def serialized(connection: AsyncConnection, name: str) -> None:
    """Let no other transaction that asks for the same name go on until this one ends.

    SQLite's BEGIN IMMEDIATE does so for all; PostgreSQL needs a lock.
    """
    if connection.dialect.name == "postgresql":
        key = literal(crc32(name.encode()), BigInteger)
        await connection.execute(select(func.pg_advisory_xact_lock(key)))


async def notify(connection: AsyncConnection, channel: str) -> None:
    """Hint at this transaction once it is committed, where the database can."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_notify(channel, "")))


class SteadyConnection(AsyncConnection):
    """A connection whose statements are never broken off: a cancel waits for their end.

    A statement, checkout or check-in that is broken off leaves the connection, and a
    thread of SQLite's driver, to the garbage collector.
    """

    async def execute(self, *args: Any, **options: Any) -> CursorResult[Any]:
        """Execute a statement, and only then be cancelled."""
        return await steady(super().execute(*args, **options))


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Check a connection out of the pool, and in again, whatever is cancelled."""
    connection, cancelled = await _whole(SteadyConnection(engine).start())
    try:
        if cancelled:
            raise asyncio.CancelledError
        yield connection
    finally:
        # Steady, so that an error of the block hides no cancel.
        await steady(connection.close())


@asynccontextmanager
async def _transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    """Commit at the end, or roll back on any error, also on a cancel."""
    transaction = connection.begin()
    await steady(transaction.start())
    try:
        yield
    except BaseException:
        await steady(transaction.rollback())
        raise
    await steady(transaction.commit())


async def steady(call: Awaitable[Result]) -> Result:
    """Await a call to its end, and only then be cancelled."""
    result, cancelled = await _whole(call)
    if cancelled:
        raise asyncio.CancelledError
    return result


async def _whole(call: Awaitable[Result]) -> tuple[Result, bool]:
    """Await a call to its end; say whether it was cancelled meanwhile, once or more.

    Of a call that fails and was cancelled the cancel is raised: no fault hides it.
    """
    task, cancelled = asyncio.ensure_future(call), False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled and not task.cancelled() and task.exception() is not None:
        raise asyncio.CancelledError from task.exception()
    return task.result(), cancelled


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


async def schema_of(url: str) -> tuple[str | None, str | None]:
    """Return the migration that a database is at, None if at none, and the newest.

    A file that is not there is not made.
    """
    newest = ScriptDirectory.from_config(_migrations()).get_current_head()
    if _is_no_file(url):
        return None, newest
    engine = _engine(url)
    try:
        with _translated():
            async with _connected(
                engine.execution_options(isolation_level="AUTOCOMMIT")
            ) as connection:
                return await connection.run_sync(_revision), newest
    finally:
        await engine.dispose()


def _is_no_file(url: str) -> bool:
    """Say whether a database would be a file that is not there."""
    parts = make_url(url)
    is_file = parts.get_backend_name() == "sqlite"
    return is_file and not Path(parts.database or "").is_file()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    config = _migrations()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _migrations() -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(files("taskfish.store").joinpath("migrations"))
    )
    return config


def _engine(url: str) -> AsyncEngine:
    is_sqlite = url.startswith("sqlite")
    engine = create_async_engine(
        url,
        pool_pre_ping=not is_sqlite,
        hide_parameters=True,
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
