"""Subscriptions: changes touch nothing else, cursors go forward, removal is told of."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from taskfish.redfish.events import resource_removed, subscription_uri
from taskfish.store.database import Store
from taskfish.store.event_log import EventLog
from taskfish.store.subscription_revisions import SubscriptionRevisions
from taskfish.store.subscriptions import Subscription, Subscriptions


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
