"""Seal the store with another key, while it is used."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import JsonValue, SecretStr
from sqlalchemy import LargeBinary, select

from taskfish.encryption import Keyring, generate_key, key_id_of
from taskfish.errors import UndecryptableError
from taskfish.redfish.sources import ConnectionMethod, Source, SourceOptions
from taskfish.store.database import Store
from taskfish.store.journal import Journal, JournalKey
from taskfish.store.requests import Requests
from taskfish.store.resealing import BATCH_ROWS, reseal_all, sealed_columns
from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.service import ServiceFacts
from taskfish.store.sources import SourceChanges, Sources
from taskfish.store.tables import Sealed, metadata
from tests.store.stores import opened

OLD, NEW = SecretStr(generate_key()), SecretStr(generate_key())
BEFORE, DURING, AFTER = Keyring([OLD, NEW]), Keyring([NEW, OLD]), Keyring([NEW])
STEP = JournalKey(workflow_id="w", run_id="r", step="1")
ANSWER: JsonValue = {"kind": "answered", "answer": {"status": 204}}


async def fill(store: Store) -> str:
    """Keep a value in every sealed column; return a body's reference."""
    source = Source(
        id="bmc1",
        name="bmc1",
        host_name="http://127.0.0.1:1",
        method=ConnectionMethod.REDFISH,
        user_name="admin",
        password=SecretStr("swordfish"),
        options=SourceOptions(),
    )
    await Sources(store).add(source, "task")
    journal = Journal(store)
    await journal.begin(STEP, "bmc1", {"seen": "before"})
    await journal.answered(STEP, ANSWER)
    await journal.finished(STEP, {"state": "Completed"})
    await Requests(store).add(
        token="t", owner="o", task_id="task", key="k", digest=b"digest"
    )
    return await SecretBodies(store).keep({"Password": "hush"}, "task")


async def check(store: Store, reference: str) -> None:
    """Check that every value is there."""
    record = await Sources(store).get("bmc1")
    assert record is not None
    assert record.source.password == SecretStr("swordfish")
    entry = await Journal(store).entry(STEP)
    assert entry is not None
    assert (entry.before, entry.answer) == ({"seen": "before"}, ANSWER)
    assert entry.final == {"state": "Completed"}
    request = await Requests(store).with_key("o", "k")
    assert request is not None
    assert request.digest == b"digest"
    assert await SecretBodies(store).get(reference) == {"Password": "hush"}


async def keys_in_use(store: Store) -> set[bytes]:
    found: set[bytes] = set()
    for table in metadata.sorted_tables:
        for column in sealed_columns(table):
            async with store.read() as connection:
                values = (await connection.execute(select(column))).scalars().all()
            found |= {key_id_of(value) for value in values if value is not None}
    return found


def test_every_binary_column_is_sealed() -> None:
    binary = {
        column
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert binary == set()
    assert sum(len(sealed_columns(table)) for table in metadata.sorted_tables) == 8
    assert Sealed.impl is LargeBinary


async def test_store_needs_the_old_key_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path, BEFORE) as store:
        reference = await fill(store)
        assert await keys_in_use(store) == {BEFORE.first}
    async with opened(tmp_path, DURING) as store:
        done = await reseal_all(store)
        assert done.values == {
            "sources": 1,
            "journal": 3,
            "requests": 1,
            "secret_bodies": 1,
        }
        assert done.unreadable == {}
    async with opened(tmp_path, AFTER) as store:
        await check(store, reference)
        assert await keys_in_use(store) == {AFTER.first}


async def test_without_rotation_the_old_key_is_needed(tmp_path: Path) -> None:
    async with opened(tmp_path, BEFORE) as store:
        await fill(store)
    async with opened(tmp_path, AFTER) as store:
        with pytest.raises(UndecryptableError):
            await Sources(store).get("bmc1")


async def test_repeated_rotation_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, DURING) as store:
        reference = await fill(store)
        assert (await reseal_all(store)).values == {}
        await check(store, reference)


async def test_broken_off_rotation_goes_on_where_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path, BEFORE) as store:
        bodies = SecretBodies(store)
        references = [await bodies.keep({"n": n}, "t") for n in range(BATCH_ROWS * 3)]
    async with opened(tmp_path, DURING) as store:
        rotation = asyncio.create_task(reseal_all(store))
        async with asyncio.timeout(10):
            while DURING.first not in await keys_in_use(store):
                await asyncio.sleep(0)
        rotation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rotation
        assert await keys_in_use(store) == {BEFORE.first, DURING.first}
        rest = (await reseal_all(store)).values["secret_bodies"]
        assert 0 < rest < len(references)
    async with opened(tmp_path, AFTER) as store:
        kept = [await SecretBodies(store).get(each) for each in references]
    assert kept == [{"n": n} for n in range(len(references))]


async def test_what_others_change_meanwhile_is_not_undone(tmp_path: Path) -> None:
    async with opened(tmp_path, BEFORE) as api, opened(tmp_path, DURING) as rotating:
        await fill(api)
        sources = Sources(api)

        async def change() -> None:
            for number in range(20):
                word = SecretStr(f"word{number}")
                await sources.change("bmc1", SourceChanges(password=word))

        changing = asyncio.create_task(change())
        while not changing.done():
            await reseal_all(rotating)
        await changing
        record = await sources.get("bmc1")
        assert record is not None
        assert record.source.password == SecretStr("word19")


async def test_value_of_a_lost_key_is_counted_and_left(tmp_path: Path) -> None:
    lost = Keyring([SecretStr(generate_key())])
    async with opened(tmp_path, lost) as store:
        reference = await SecretBodies(store).keep("x", "task")
    async with opened(tmp_path, BEFORE) as store:
        other = await SecretBodies(store).keep("y", "task")
    async with opened(tmp_path, DURING) as store:
        done = await reseal_all(store)
        assert done.unreadable == {lost.first.hex(): 1}
        assert done.values == {"secret_bodies": 1}
        assert await SecretBodies(store).get(other) == "y"
    async with opened(tmp_path, lost) as store:
        assert await SecretBodies(store).get(reference) == "x"


async def test_first_use_of_a_key_is_remembered(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    async with opened(tmp_path) as store:
        facts = ServiceFacts(store)
        since = await facts.first_key_since(b"\x01\x02\x03\x04")
        assert began <= since <= datetime.now(UTC)
        assert await facts.first_key_since(b"\x01\x02\x03\x04") == since
        assert await facts.first_key_since(b"\x05\x06\x07\x08") > since
        assert await facts.first_key_since(b"\x01\x02\x03\x04") > since
