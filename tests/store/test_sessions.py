"""Sessions in the store: found by token, by several processes, gone in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from taskfish.errors import StoreUnavailableError
from taskfish.settings import Settings
from taskfish.store.accounts import Account, Accounts, AccountSettings
from taskfish.store.database import Store
from taskfish.store.sessions import OpenedSession, Sessions, SessionSettings
from taskfish.store.tables import sessions as table
from tests.store.stores import KEYRING, opened

EVE = Account(name="eve", role="Operator", password="$argon2id$of-eve")
HASH = EVE.password or ""


def sessions_in(store: Store, most: int = 10) -> Sessions:
    return Sessions(store, SessionSettings(store, Settings()), most)


def accounts_in(store: Store) -> Accounts:
    return Accounts(store, AccountSettings(store, Settings()))


async def open_one(found: Sessions, name: str = "eve") -> OpenedSession:
    made = await found.add(name, HASH, "192.0.2.7", "rack 7")
    assert made is not None
    return made


async def unused_for(store: Store, seconds: float) -> None:
    used = datetime.now(UTC) - timedelta(seconds=seconds)
    async with store.write() as connection:
        await connection.execute(update(table).values(used_at=used))


async def count(store: Store) -> int:
    async with store.read() as connection:
        return len((await connection.execute(select(table))).all())


@asynccontextmanager
async def two_stores(folder: Path) -> AsyncIterator[tuple[Store, Store]]:
    async with opened(folder) as one, opened(folder) as other:
        yield one, other


async def test_token_finds_its_session_and_the_account(store: Store) -> None:
    found = sessions_in(store)
    alone = await open_one(found)
    assert await found.with_token(alone.token) == (alone.session, None)
    assert await accounts_in(store).add(EVE)
    assert await found.with_token(alone.token) == (alone.session, EVE)
    assert await found.get(alone.session.id) == alone.session
    assert await found.all() == [alone.session]


async def test_session_knows_the_password_of_its_login(store: Store) -> None:
    made = await open_one(sessions_in(store))
    assert made.session.was_opened_with(made.token, HASH)
    assert not made.session.was_opened_with(made.token, f"{HASH}x")
    assert not made.session.was_opened_with("0" * 64, HASH)
    assert made.session.credential not in repr(made.session)


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "0" * 63, "é" * 64, "\x00" * 64])
async def test_other_token_finds_nothing(store: Store, token: str) -> None:
    found = sessions_in(store)
    await open_one(found)
    assert await found.with_token(token) is None


async def test_session_is_there_for_every_process(tmp_path: Path) -> None:
    async with two_stores(tmp_path) as stores:
        one, other = (sessions_in(store) for store in stores)
        made = await open_one(one)
        assert await other.with_token(made.token) is not None
        await other.remove(made.session.id)
        assert await one.with_token(made.token) is None
        await other.remove(made.session.id)


async def test_many_at_once_do_not_pass_the_limit(tmp_path: Path) -> None:
    async with two_stores(tmp_path) as stores:
        both = [sessions_in(store, most=3) for store in stores]
        adding = [
            found.add(f"name{number}", HASH, None, None)
            for number, found in enumerate(both * 3)
        ]
        made = await asyncio.gather(*adding)
        assert sum(each is not None for each in made) == 3
        assert await count(stores[0]) == 3


@pytest.mark.parametrize(("most", "share"), [(1, 1), (19, 1), (20, 2), (35, 3)])
async def test_account_has_a_tenth_of_the_sessions(
    store: Store, most: int, share: int
) -> None:
    found = sessions_in(store, most)
    made = [(await open_one(found)).session.id for _ in range(share + 2)]
    assert [each.id for each in await found.all()] == made[-share:]


async def test_least_recently_used_session_makes_room(store: Store) -> None:
    found = sessions_in(store, most=20)
    first, second = await open_one(found), await open_one(found)
    await unused_for(store, 60)
    (old, _) = await found.all()
    assert old == first.session.model_copy(update={"used_at": old.used_at})
    await found.note_use(old)
    others, third = await open_one(found, "adam"), await open_one(found)
    left = {each.id for each in await found.all()}
    assert left == {first.session.id, others.session.id, third.session.id}
    assert await found.with_token(second.token) is None


async def test_share_of_one_ends_nothing_where_all_are_taken(store: Store) -> None:
    found = sessions_in(store, most=2)
    for name in ("eve", "adam"):
        await open_one(found, name)
    assert await found.add("lilith", HASH, None, None) is None
    assert len(await found.all()) == 2
    await open_one(found, "eve")
    assert len(await found.all()) == 2


async def test_expired_session_is_not_there_and_goes(store: Store) -> None:
    found = sessions_in(store, most=1)
    made = await open_one(found)
    await unused_for(store, 1806)
    assert await found.with_token(made.token) is None
    assert await found.get(made.session.id) is None
    assert await found.all() == []
    assert await count(store) == 1
    await open_one(found)
    assert await count(store) == 1
    await unused_for(store, 1806)
    await found.prune()
    assert await count(store) == 0


async def test_use_prolongs_a_session(store: Store) -> None:
    found = sessions_in(store)
    made = await open_one(found)
    await unused_for(store, 1000)
    (old,) = await found.all()
    await found.note_use(old)
    (new,) = await found.all()
    assert datetime.now(UTC) - new.used_at < timedelta(seconds=100)
    await found.note_use(new)
    assert await found.all() == [new]
    await found.remove(made.session.id)
    await found.note_use(old)
    assert await found.all() == []


async def test_use_is_not_worth_an_error(store: Store, tmp_path: Path) -> None:
    made = await open_one(sessions_in(store))
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    used = made.session.model_copy(update={"used_at": long_ago})
    away = Store(f"sqlite+aiosqlite:///{tmp_path}/nowhere/taskfish.db", KEYRING)
    found = sessions_in(away)
    await found.note_use(used)
    with pytest.raises(StoreUnavailableError):
        await found.with_token(made.token)
    await away.close()


async def test_change_of_an_account_ends_its_sessions_with_it(store: Store) -> None:
    found, accounts = sessions_in(store), accounts_in(store)
    assert await accounts.add(EVE)
    mine, others = await open_one(found), await open_one(found, "adam")
    assert await accounts.change(EVE, role="ReadOnly")
    assert not await accounts.change(EVE, enabled=False)
    assert not await accounts.remove(EVE)
    assert len(await found.all()) == 2
    current = await accounts.get("eve")
    assert current is not None
    assert await accounts.change(current, enabled=False)
    assert await found.with_token(mine.token) is None
    assert await found.all() == [others.session]


async def test_changed_timeout_is_kept_for_every_process(tmp_path: Path) -> None:
    async with two_stores(tmp_path) as stores:
        one, other = (SessionSettings(store, Settings()) for store in stores)
        first = await one.read()
        assert (first.session_timeout, first.service_enabled) == (1800, True)
        assert await one.change({"session_timeout": 60}, ['"other"']) is None
        changed = await one.change({"session_timeout": 60}, [first.etag])
        assert changed is not None
        assert changed.etag != first.etag
        assert await other.read() == changed == await one.read()
