"""Requests in the store: one a key, forgotten with their task."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.requests import RequestRecord, Requests
from tests.store.stores import KEYRING, url_in


async def add(
    store: Store, token: str, key: str | None = None, owner: str = "ann"
) -> RequestRecord | None:
    """Add a request whose task and digest are called after its token."""
    return await Requests(store).add(
        token=token,
        owner=owner,
        task_id=f"task-{token}",
        key=key,
        digest=token.encode() if key else None,
    )


async def test_first_request_of_a_key_is_kept(store: Store) -> None:
    assert await add(store, "one", "k") is None
    earlier = await add(store, "two", "k")
    assert earlier is not None
    assert (earlier.token, earlier.task_id) == ("one", "task-one")
    assert earlier.is_for(b"one")
    assert not earlier.is_for(b"two")
    assert earlier.run_id is None


async def test_key_belongs_to_its_owner(store: Store) -> None:
    assert await add(store, "one", "k") is None
    assert await add(store, "two", "k", owner="bob") is None
    found = await Requests(store).with_key("bob", "k")
    assert found is not None
    assert found.token == "two"
    assert await Requests(store).with_key("eve", "k") is None


async def test_requests_without_a_key_stand_side_by_side(store: Store) -> None:
    assert await add(store, "one") is None
    assert await add(store, "two") is None
    moment = datetime.now(UTC) - timedelta(minutes=1)
    found = await Requests(store).since(moment)
    assert [record.token for record in found] == ["two", "one"]


async def test_token_is_used_once(store: Store) -> None:
    assert await add(store, "one", "k") is None
    with pytest.raises(IntegrityError):
        await add(store, "one")


async def test_of_twenty_at_once_one_is_kept(store: Store, tmp_path: Path) -> None:
    other = Store(url_in(tmp_path), KEYRING)
    adding = [add((store, other)[n % 2], f"t{n}", "k") for n in range(20)]
    found = await asyncio.gather(*adding)
    await other.close()
    assert found.count(None) == 1
    kept = f"t{found.index(None)}"
    assert {record.token for record in found if record} == {kept}


async def test_started_request_knows_its_run(store: Store) -> None:
    await add(store, "one", "k")
    await Requests(store).started("one", "run-1")
    found = await Requests(store).with_key("ann", "k")
    assert found is not None
    assert found.run_id == "run-1"


async def test_failed_start_is_forgotten(store: Store) -> None:
    requests = Requests(store)
    await add(store, "one")
    await requests.forget_start("one")
    assert await requests.since(datetime.now(UTC) - timedelta(minutes=1)) == []


async def test_failed_start_with_a_key_may_be_repeated(store: Store) -> None:
    requests = Requests(store)
    await add(store, "one", "k")
    await requests.forget_start("one")
    assert await requests.with_key("ann", "k") is not None


async def test_start_that_is_known_is_not_forgotten_as_failed(store: Store) -> None:
    requests = Requests(store)
    await add(store, "one")
    await requests.started("one", "run-1")
    await requests.forget_start("one")
    assert len(await requests.since(datetime.now(UTC) - timedelta(minutes=1))) == 1


async def test_key_is_free_when_its_run_is_removed(store: Store) -> None:
    requests = Requests(store)
    await add(store, "one", "k")
    await requests.started("one", "run-1")
    await requests.forget("task-one", "run-0")
    assert await requests.with_key("ann", "k") is not None
    await requests.forget("task-one", "run-1")
    assert await requests.with_key("ann", "k") is None
    assert await add(store, "two", "k") is None


async def test_old_requests_are_pruned(store: Store) -> None:
    requests = Requests(store)
    await add(store, "one", "k")
    now = datetime.now(UTC)
    await requests.prune(now - timedelta(minutes=1), now + timedelta(minutes=1))
    assert await requests.with_key("ann", "k") is not None
    await requests.prune(now + timedelta(minutes=1), now)
    assert await requests.with_key("ann", "k") is None


async def test_requests_to_end_a_task_are_pruned_sooner(store: Store) -> None:
    requests = Requests(store)
    await requests.add_end("ann", "task-one")
    now = datetime.now(UTC)
    long_ago = now - timedelta(days=1)
    await requests.prune(long_ago, long_ago)
    (kept,) = await requests.of_owner_since("ann", long_ago)
    assert (kept.task_id, kept.ends_task) == ("task-one", True)
    assert await requests.of_owner_since("bob", long_ago) == []
    await requests.prune(long_ago, now + timedelta(minutes=1))
    assert await requests.of_owner_since("ann", long_ago) == []


async def test_since_leaves_older_ones_out(store: Store) -> None:
    await add(store, "one")
    assert await Requests(store).since(datetime.now(UTC) + timedelta(seconds=1)) == []


async def test_digests_lie_sealed(store: Store, tmp_path: Path) -> None:
    await Requests(store).add(
        token="t", owner="ann", task_id="x", key="k", digest=b"plainly-readable"
    )
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"plainly-readable" not in kept
