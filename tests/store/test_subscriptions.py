"""Subscriptions: changes touch nothing else, cursors go forward, removal is told of."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import update

from taskfish.encryption import Keyring, generate_key
from taskfish.redfish.events import (
    resource_created,
    resource_removed,
    subscription_uri,
)
from taskfish.store.database import Store
from taskfish.store.event_log import EventLog
from taskfish.store.subscription_revisions import SubscriptionRevisions
from taskfish.store.subscriptions import Subscription, Subscriptions
from taskfish.store.tables import subscriptions as subscriptions_table
from tests.store.stores import opened


def subscription(name: str, **changes: Any) -> Subscription:
    """Return a subscription that nobody delivers."""
    return Subscription.model_validate(
        {
            "id": name,
            "kind": "RedfishEvent",
            "owner": "ada",
            "destination": "http://listener.example.com/events",
            "http_headers": {"Authorization": "s3cret"},
            "cursor": 0,
            "created_at": datetime.now(UTC),
            **changes,
        }
    )


async def test_change_changes_what_it_names_and_the_revision(store: Store) -> None:
    subscriptions = Subscriptions(store)
    await subscriptions.add(subscription("one"))
    changed = await subscriptions.change("one", context="new")
    assert changed == await subscriptions.get("one")
    assert changed == subscription("one").model_copy(
        update={
            "context": "new",
            "revision": 2,
            "created_at": changed.created_at if changed else None,
        }
    )
    assert await subscriptions.change("one", only_if=1, context="late") is None
    assert await subscriptions.change("two", context="nobody's") is None


async def test_one_that_cannot_be_read_hides_no_other(
    store: Store, tmp_path: Path
) -> None:
    await Subscriptions(store).add(subscription("one"))
    async with opened(tmp_path, Keyring([SecretStr(generate_key())])) as other:
        subscriptions = Subscriptions(other)
        await subscriptions.add(subscription("two"))
        await subscriptions.add(subscription("three"))
        await keep_strange_filters(other, "three")
        found = await subscriptions.all()
        assert [each.id for each in found if each.is_readable] == ["two"]
        assert {each.destination for each in found} == {found[0].destination}
        await subscriptions.change("one", context="new")
        assert not await is_readable(subscriptions, "one")
        mended = await subscriptions.change("one", http_headers={"X-Mine": "1"})
        assert mended == await subscriptions.get("one")
        assert await is_readable(subscriptions, "one")


async def keep_strange_filters(store: Store, name: str) -> None:
    """Give a subscription the filters of a version that is not there yet."""
    its = subscriptions_table.c.id == name
    strange = update(subscriptions_table).where(its).values(filters={"origins": 7})
    async with store.write() as connection:
        await connection.execute(strange)


async def is_readable(subscriptions: Subscriptions, name: str) -> bool:
    """Say whether a subscription is there and can be read."""
    found = await subscriptions.get(name)
    return found is not None and found.is_readable


async def test_cursors_of_many_go_forward_only(store: Store) -> None:
    subscriptions = Subscriptions(store)
    names = [f"s{number}" for number in range(20)]
    for name in names:
        await subscriptions.add(subscription(name))
    await asyncio.gather(*(subscriptions.advance(each, 7) for each in names))
    await subscriptions.advance("s0", 5)
    assert {each.cursor for each in await subscriptions.all()} == {7}


async def test_removal_is_told_of_once(store: Store) -> None:
    subscriptions, log = Subscriptions(store), EventLog(store)
    await subscriptions.add(subscription("one"))
    told = resource_removed(subscription_uri("one"))
    assert await subscriptions.remove("one", told)
    assert not await subscriptions.remove("one", told)
    (logged,) = await log.after(0)
    assert logged.event.origin == "/redfish/v1/EventService/Subscriptions/one"


async def test_revision_of_what_is_not_there_is_none(store: Store) -> None:
    subscriptions = Subscriptions(store)
    await subscriptions.add(subscription("one"))
    revisions = SubscriptionRevisions(subscriptions)
    assert await revisions.of("one") == 1
    assert await revisions.of("two") is None


async def test_headers_are_sealed(store: Store) -> None:
    await Subscriptions(store).add(subscription("one"))
    async with store.read() as connection:
        found = await connection.exec_driver_sql("SELECT * FROM subscriptions")
        assert "s3cret" not in str(found.all())


async def test_new_one_begins_behind_what_tells_of_it(store: Store) -> None:
    subscriptions, log = Subscriptions(store), EventLog(store)
    told = resource_created(subscription_uri("one"))
    await log.append(told, told)
    assert await subscriptions.add(subscription("one"), None, told)
    added = await subscriptions.get("one")
    assert added is not None
    assert added.cursor == await log.newest() == 3


async def test_one_too_many_of_a_kind_is_not_added(store: Store) -> None:
    subscriptions, log = Subscriptions(store), EventLog(store)
    told = resource_created(subscription_uri("x"))
    added = await asyncio.gather(
        *(subscriptions.add(subscription(f"s{number}"), 2, told) for number in range(5))
    )
    assert sorted(added) == [False] * 3 + [True] * 2
    assert len(await log.after(0)) == 2
    assert await subscriptions.add(subscription("stream", kind="SSE"), 1)


async def test_removal_of_another_version_is_none(store: Store) -> None:
    subscriptions, log = Subscriptions(store), EventLog(store)
    await subscriptions.add(subscription("one"))
    await subscriptions.change("one", context="new")
    told = resource_removed(subscription_uri("one"))
    assert not await subscriptions.remove("one", told, only_if=1)
    assert await log.newest() == 0
    assert await subscriptions.remove("one", told, only_if=2)
    assert await log.newest() == 1


async def test_streams_that_nobody_shows_to_be_open_go(store: Store) -> None:
    subscriptions, now = Subscriptions(store), datetime.now(UTC)
    old = now - timedelta(minutes=1)
    await subscriptions.add(subscription("hook", seen_at=None))
    for name in ("open", "dead", "closed"):
        await subscriptions.add(subscription(name, kind="SSE", seen_at=old))
    assert await subscriptions.note_open({"open", "gone"}) == {"open"}
    await subscriptions.remove_streams({"closed"})
    await subscriptions.forget_streams(now - timedelta(seconds=30))
    assert [each.id for each in await subscriptions.all("SSE")] == ["open"]
    assert [each.id for each in await subscriptions.all("RedfishEvent")] == ["hook"]


async def test_all_are_listed_the_oldest_first(store: Store) -> None:
    subscriptions, now = Subscriptions(store), datetime.now(UTC)
    for name, seconds in (("b", 2), ("a", 3), ("c", 1)):
        made = now + timedelta(seconds=seconds)
        await subscriptions.add(subscription(name, created_at=made))
    assert [each.id for each in await subscriptions.all()] == ["c", "b", "a"]
