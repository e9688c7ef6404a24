"""The store: migrations, transactions, two writers at once."""

import asyncio
import gc
import random
import sqlite3
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Connection, Select, insert, literal_column, select
from sqlalchemy.exc import IntegrityError

from taskfish.encryption import Keyring, generate_key
from taskfish.errors import (
    ConfigurationError,
    StoreUnavailableError,
    UndecryptableError,
)
from taskfish.store.database import Store, upgrade
from taskfish.store.journal import Journal, JournalKey
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.tables import metadata, schema_namespaces
from tests.store.stores import opened, url_in

KEYRING = Keyring([SecretStr(generate_key())])
WRITERS, WRITES = 3, 40
CANCELLED_USES = 600
WRITER = """
import asyncio, sys
from sqlalchemy import insert, select
from tests.store.stores import KEYRING
from taskfish.store.database import Store
from taskfish.store.tables import schema_namespaces

async def main(url, name, count):
    store = Store(url, KEYRING)
    for number in range(count):
        async with store.write() as connection:
            await connection.execute(select(schema_namespaces))
            row = {"namespace": f"{name}.{number}"}
            await connection.execute(insert(schema_namespaces).values(row))
    await store.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def a_store(folder: Path, keyring: Keyring = KEYRING) -> Store:
    url = f"sqlite+aiosqlite:///{folder / 'store.db'}"
    await upgrade(url)
    return Store(url, keyring)


async def test_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    store = await a_store(tmp_path)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with store.write() as connection:
        assert await connection.run_sync(differences) == []
    await store.close()


async def test_upgrade_may_be_repeated_and_run_twice_at_once(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"
    await upgrade(url)
    await asyncio.gather(upgrade(url), upgrade(url))


async def test_many_writers_of_two_engines_all_write(tmp_path: Path) -> None:
    stores = [await a_store(tmp_path) for _ in range(2)]
    journals = [Journal(store) for store in stores]
    keys = [JournalKey(workflow_id=str(n), run_id="r", step="s") for n in range(40)]
    begun = await asyncio.gather(
        *(journals[n % 2].begin(key, "rack7", None) for n, key in enumerate(keys))
    )
    assert all(begun)
    for store in stores:
        await store.close()


async def test_one_of_many_begins_a_sending(tmp_path: Path) -> None:
    stores = [await a_store(tmp_path) for _ in range(2)]
    key = JournalKey(workflow_id="w", run_id="r", step="submit-1")
    begun = await asyncio.gather(
        *(Journal(stores[n % 2]).begin(key, "rack7", None) for n in range(20))
    )
    assert sum(begun) == 1
    for store in stores:
        await store.close()


async def test_store_that_was_never_set_up_says_so(tmp_path: Path) -> None:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}", KEYRING)
    with pytest.raises(StoreUnavailableError, match="db upgrade"):
        await MonitorReads(store).reads_of([("w", "r")])
    await store.close()


async def test_kept_bodies_are_sealed_and_forgotten(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    bodies = SecretBodies(store)
    reference = await bodies.keep({"Password": "hush-hush"}, "task")
    assert await bodies.get(reference) == {"Password": "hush-hush"}
    assert b"hush-hush" not in _bytes(tmp_path)
    await bodies.forget(reference)
    assert await bodies.get(reference) is None
    await store.close()


async def test_value_of_another_key_is_not_read(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    reference = await SecretBodies(store).keep("x", "task")
    other = await a_store(tmp_path, Keyring([SecretStr(generate_key())]))
    with pytest.raises(UndecryptableError):
        await SecretBodies(other).get(reference)
    await store.close()
    await other.close()


async def test_older_key_still_decrypts(tmp_path: Path) -> None:
    old, new = SecretStr(generate_key()), SecretStr(generate_key())
    store = await a_store(tmp_path, Keyring([old]))
    reference = await SecretBodies(store).keep("x", "task")
    rotated = await a_store(tmp_path, Keyring([new, old]))
    assert await SecretBodies(rotated).get(reference) == "x"
    await store.close()
    await rotated.close()


@pytest.mark.parametrize("keys", [[], [SecretStr("short")], [SecretStr("AAAA")]])
def test_bad_keys_are_refused_at_the_start(keys: list[SecretStr]) -> None:
    with pytest.raises(ConfigurationError):
        Keyring(keys)


def test_changed_value_is_not_opened() -> None:
    sealed = KEYRING.seal(b"x")
    with pytest.raises(UndecryptableError):
        KEYRING.open(sealed[:-1] + bytes([sealed[-1] ^ 1]))


async def test_first_read_of_a_monitor_is_kept(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    reads = MonitorReads(store)
    await reads.note(("w", "r"))
    first = await reads.reads_of([("w", "r")])
    await reads.note(("w", "r"))
    assert first
    assert await reads.reads_of([("w", "r")]) == first
    assert not await reads.reads_of([("w", "other")])
    assert abs((datetime.now(UTC) - first["w", "r"].first_at).total_seconds()) < 60
    await store.close()


async def test_removed_monitor_stays_removed(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    reads = MonitorReads(store)
    read, unread = ("w", "read"), ("w", "unread")
    await reads.note(read)
    for run in (read, unread):
        await reads.remove(run)
        await reads.note(run)
        found = (await reads.reads_of([run])).get(run)
        assert found is not None
        assert found.removed
    await store.close()


def _bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def names(store: Store) -> set[str]:
    """Return what is in the table that these tests write to."""
    async with store.read() as connection:
        rows = await connection.execute(select(schema_namespaces.c.namespace))
        return {row.namespace for row in rows}


async def add(store: Store, name: str) -> None:
    """Write one row in a transaction that reads first."""
    async with store.write() as connection:
        await connection.execute(select(schema_namespaces))
        await connection.execute(insert(schema_namespaces).values(namespace=name))


async def test_sqlite_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with sqlite3.connect(tmp_path / "taskfish.db") as connection:
            mode = connection.execute("PRAGMA journal_mode").fetchone()
        connection.close()
    assert mode == ("wal",)


async def test_processes_that_write_at_once_do_not_fail(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", WRITER),
                *(url_in(tmp_path), f"p{number}", str(WRITES)),
                stderr=asyncio.subprocess.PIPE,
            )
            for number in range(WRITERS)
        ]
        ends = await asyncio.gather(*(each.communicate() for each in processes))
        assert [error for _, error in ends] == [b""] * WRITERS
        assert len(await names(store)) == WRITERS * WRITES


async def test_failed_transaction_leaves_nothing(store: Store) -> None:
    async def write_twice() -> None:
        async with store.write() as connection:
            row = insert(schema_namespaces).values(namespace="twice")
            await connection.execute(row)
            await connection.execute(row)

    with pytest.raises(IntegrityError):
        await write_twice()
    assert await names(store) == set()
    await add(store, "after")
    assert await names(store) == {"after"}


async def test_cancelled_transaction_leaves_nothing(store: Store) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with store.write() as connection:
            await connection.execute(insert(schema_namespaces).values(namespace="x"))
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await add(store, "after")
    assert await names(store) == {"after"}


async def test_reads_go_on_during_a_write(store: Store) -> None:
    await add(store, "before")
    async with store.write() as connection:
        await connection.execute(insert(schema_namespaces).values(namespace="during"))
        assert await names(store) == {"before"}
    assert await names(store) == {"before", "during"}


async def test_database_in_no_folder_is_unavailable(tmp_path: Path) -> None:
    store = Store(url_in(tmp_path / "missing"), KEYRING)
    with pytest.raises(StoreUnavailableError):
        await add(store, "x")
    await store.close()


async def test_cancelled_use_leaves_no_connection_to_the_garbage_collector(
    tmp_path: Path,
) -> None:
    """Cancelled at every moment of a use, also in the middle of the checkout, twice."""
    chance = random.Random(7)
    left: list[str] = []
    gc.collect()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: left.append(context["message"]))
    async with opened(tmp_path) as store:

        async def use(mode: str) -> None:
            async with getattr(store, mode)() as connection:
                await connection.execute(select(schema_namespaces))

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(CANCELLED_USES):
                using = asyncio.create_task(use(chance.choice(["read", "write"])))
                await asyncio.sleep(chance.random() * 0.004)
                using.cancel()
                await asyncio.sleep(0)
                using.cancel()
                await asyncio.wait({using})
            gc.collect()
    loop.set_exception_handler(None)
    assert [*left, *(str(warning.message) for warning in caught)] == []


@pytest.mark.parametrize("mode", ["read", "write"])
@pytest.mark.parametrize("fails", ["nothing", "the block", "a statement"])
async def test_cancel_of_a_use_is_never_lost(
    store: Store, mode: str, fails: str
) -> None:
    """Who is to end must not go on, whatever the use had come to."""
    chance = random.Random(11)
    nonsense: Select[Any] = select(literal_column("nonsense"))

    async def use() -> None:
        async with getattr(store, mode)() as connection:
            await connection.execute(select(schema_namespaces))
            if fails == "a statement":
                await connection.execute(nonsense)
            if fails == "the block":
                raise LookupError

    for _ in range(CANCELLED_USES):
        using = asyncio.create_task(use())
        await asyncio.sleep(chance.random() * 0.004)
        is_asked = using.cancel()
        await asyncio.wait({using})
        assert using.cancelled() == is_asked
        if not is_asked:
            assert (using.exception() is None) == (fails == "nothing")


async def test_many_writers_at_once_all_come_to_write(tmp_path: Path) -> None:
    """SQLite alone lets those who wait try by chance, and some of them too late."""
    async with opened(tmp_path) as store:
        requests = Requests(store)
        await asyncio.gather(
            *(
                requests.add(token=f"{number}", owner="a", task_id="t")
                for number in range(400)
            )
        )
        assert len(await requests.since(datetime.min.replace(tzinfo=UTC))) == 400


async def test_writer_that_never_ends_keeps_nobody_waiting_for_ever(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store, store.write():
        with pytest.raises(StoreUnavailableError):
            await Requests(store).add(token="x", owner="a", task_id="t")
