"""Turns: places in one line, taken at once, first come first served."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from taskfish.errors import StoreUnavailableError
from taskfish.store.database import Store
from taskfish.store.tables import turns as table
from taskfish.store.turns import Place, Turns
from tests.store.stores import KEYRING, opened

ONE, TWO, THREE = (f"/redfish/v1/Systems/rack7.{number}" for number in (1, 2, 3))


@pytest.fixture
def turns(store: Store) -> Turns:
    """Give turns over an empty table."""
    return Turns(store)


async def take(turns: Turns, name: str, *targets: str, first: bool = False) -> datetime:
    """Take places in the name of a task whose token is its name."""
    return await turns.take(targets, f"task-{name}", name, first=first)


def names(places: Iterable[Place] | None) -> list[str]:
    """Return the tokens of places, in their order."""
    assert places is not None
    return [place.token for place in places]


async def test_first_in_line_has_nobody_ahead(turns: Turns) -> None:
    await take(turns, "a", ONE)
    await take(turns, "b", ONE)
    assert await turns.ahead("a") == []


async def test_places_ahead_are_in_the_order_of_taking(turns: Turns) -> None:
    for name in ("a", "b", "c"):
        await take(turns, name, ONE)
    ahead = await turns.ahead("c") or ()
    assert names(ahead) == ["a", "b"]
    assert [place.task_id for place in ahead] == ["task-a", "task-b"]
    assert {place.target for place in ahead} == {ONE}


async def test_other_machines_are_no_matter(turns: Turns) -> None:
    await take(turns, "a", ONE)
    await take(turns, "b", TWO)
    assert await turns.ahead("b") == []


async def test_change_of_two_machines_waits_on_both(turns: Turns) -> None:
    await take(turns, "a", ONE)
    await take(turns, "b", TWO)
    await take(turns, "both", TWO, ONE)
    await take(turns, "c", TWO)
    assert names(await turns.ahead("both")) == ["a", "b"]
    assert names(await turns.ahead("c")) == ["b", "both"]


async def test_target_named_twice_is_one_place(turns: Turns) -> None:
    await take(turns, "a", ONE, ONE)
    assert names(await turns.on([ONE])) == ["a"]


async def test_taking_again_changes_nothing(turns: Turns) -> None:
    since = await take(turns, "a", ONE)
    await take(turns, "b", ONE)
    assert await take(turns, "a", ONE) == since
    assert await turns.ahead("a") == []
    assert names(await turns.on([ONE])) == ["a", "b"]


async def test_change_of_no_machine_has_no_place(turns: Turns) -> None:
    await take(turns, "a")
    assert await turns.ahead("a") is None
    assert await turns.on([ONE]) == []


async def test_who_leaves_is_ahead_of_nobody(turns: Turns) -> None:
    await take(turns, "a", ONE, TWO)
    await take(turns, "b", ONE)
    await turns.leave("a")
    await turns.leave("a")
    assert await turns.ahead("b") == []
    assert await turns.on([TWO]) == []


async def test_who_comes_back_is_the_last(turns: Turns) -> None:
    for name in ("a", "b"):
        await take(turns, name, ONE)
    await turns.leave("a")
    await take(turns, "a", ONE)
    assert names(await turns.ahead("a")) == ["b"]


async def test_last_one_to_leave_gives_its_place_to_nobody_earlier(
    turns: Turns,
) -> None:
    """SQLite gives a deleted last position again."""
    for name in ("a", "b"):
        await take(turns, name, ONE)
    await turns.leave("b")
    await take(turns, "c", ONE)
    assert names(await turns.ahead("c")) == ["a"]


async def test_who_goes_first_is_ahead_of_all(turns: Turns) -> None:
    await take(turns, "a", ONE)
    await take(turns, "forced", ONE, TWO, first=True)
    await take(turns, "b", ONE)
    assert await turns.ahead("forced") == []
    assert names(await turns.ahead("a")) == ["forced"]
    assert names(await turns.ahead("b")) == ["forced", "a"]


async def test_latest_to_go_first_is_the_first(turns: Turns) -> None:
    for name in ("x", "y", "z"):
        await take(turns, name, ONE, TWO, first=True)
    assert names(await turns.on([ONE])) == ["z", "y", "x"]
    await take(turns, "a", ONE)
    assert names(await turns.ahead("a")) == ["z", "y", "x"]


async def test_who_has_no_place_is_told_so(turns: Turns) -> None:
    await take(turns, "a", ONE)
    assert await turns.ahead("nobody") is None
    await turns.leave("a")
    assert await turns.ahead("a") is None


async def test_all_places_of_some_machines(turns: Turns) -> None:
    await take(turns, "a", ONE)
    await take(turns, "b", TWO, THREE)
    await take(turns, "c", ONE)
    assert names(await turns.on([ONE, TWO])) == ["a", "b", "c"]


async def test_time_of_taking_is_kept(turns: Turns) -> None:
    since = await take(turns, "a", ONE)
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=1)
    (place,) = await turns.on([ONE])
    assert place.taken_at == since


async def test_old_places_are_found(turns: Turns, store: Store) -> None:
    for name in ("younger", "oldest", "young"):
        await take(turns, name, ONE)
    now = datetime.now(UTC)
    async with store.write() as connection:
        for name, minutes in (("oldest", 9), ("younger", 5)):
            statement = update(table).where(table.c.token == name)
            before = now - timedelta(minutes=minutes)
            await connection.execute(statement.values(taken_at=before))
    found = await turns.taken_before(now - timedelta(minutes=1))
    assert names(found) == ["oldest", "younger"]


async def test_two_processes_make_one_line(tmp_path: Path) -> None:
    """Of any two of many at once, one is ahead, and on every machine they share."""
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        lines = [Turns(one), Turns(other)]
        tokens = [str(number) for number in range(30)]
        await asyncio.gather(
            *(
                take(
                    lines[number % 2], token, *((ONE, TWO), (TWO, ONE))[number % 3 > 0]
                )
                for number, token in enumerate(tokens)
            )
        )
        on_one, on_two = await lines[0].on([ONE]), await lines[1].on([TWO])
        assert names(on_one) == names(on_two)
        assert sorted(names(on_one)) == sorted(tokens)
        ahead = [len({*names(await lines[0].ahead(token))}) for token in names(on_one)]
        assert ahead == list(range(30))


async def test_store_that_is_not_set_up_says_so(tmp_path: Path) -> None:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}", KEYRING)
    with pytest.raises(StoreUnavailableError):
        await take(Turns(store), "a", ONE)
    await store.close()
