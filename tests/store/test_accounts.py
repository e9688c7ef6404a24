"""Accounts in the store: two who change them at once, failed logins, the rules."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from taskfish.settings import Settings
from taskfish.store.accounts import Account, Accounts, AccountSettings
from taskfish.store.database import Store
from taskfish.store.event_log import EventLog
from taskfish.store.subscriptions import (
    Subscription,
    SubscriptionKind,
    Subscriptions,
)
from taskfish.store.tables import accounts as table
from tests.store.stores import opened

RULES = Settings(account_lockout_threshold=3, account_lockout_counter_reset_after=30)
EVE = Account(name="eve", role="Operator", password="$argon2id$of-eve")


async def with_eve(store: Store, **policy: int) -> Accounts:
    rules = RULES.model_copy(update=policy)
    found = Accounts(store, AccountSettings(store, rules))
    assert await found.add(EVE)
    return found


async def eve_in(found: Accounts) -> Account:
    eve = await found.get("eve")
    assert eve is not None
    return eve


async def long_ago(store: Store, **columns: float) -> None:
    """Put times of eve's row into the past by so many seconds."""
    now = datetime.now(UTC)
    times = {name: now - timedelta(seconds=ago) for name, ago in columns.items()}
    async with store.write() as connection:
        await connection.execute(update(table).values(**times))


async def test_account_comes_back_as_it_was_kept(store: Store) -> None:
    found = await with_eve(store)
    assert await found.get("eve") == EVE
    assert await found.all() == [EVE]
    assert await found.get("EVE") is None


async def test_name_is_taken_once(store: Store) -> None:
    found = await with_eve(store)
    assert not await found.add(EVE.model_copy(update={"role": "Administrator"}))
    assert (await eve_in(found)).role == "Operator"


async def test_one_of_two_who_add_at_once_wins(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        both = [
            Accounts(store, AccountSettings(store, RULES)) for store in (one, other)
        ]
        added = await asyncio.gather(*(found.add(EVE) for found in both))
    assert sorted(added) == [False, True]


async def test_change_of_an_account_that_has_changed_is_refused(store: Store) -> None:
    found = await with_eve(store)
    assert await found.change(EVE, role="ReadOnly")
    assert not await found.change(EVE, role="Administrator")
    assert not await found.remove(EVE)
    eve = await eve_in(found)
    assert (eve.role, eve.revision) == ("ReadOnly", 2)
    assert await found.remove(eve)
    assert await found.get("eve") is None


async def test_hash_is_not_shown_in_logs(store: Store) -> None:
    assert "argon2" not in repr(await eve_in(await with_eve(store)))


async def test_account_is_locked_after_too_many_failures(store: Store) -> None:
    found = await with_eve(store)
    for _ in range(2):
        await found.note_failure("eve")
        assert (await eve_in(found)).may_log_in
    await found.note_failure("eve")
    assert (await eve_in(found)).locked
    assert not (await eve_in(found)).may_log_in


async def test_failures_of_many_processes_are_all_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        both = [await with_eve(one), Accounts(other, AccountSettings(other, RULES))]
        await asyncio.gather(*(both[n % 2].note_failure("eve") for n in range(3)))
        assert (await eve_in(both[0])).locked


async def test_lock_ends_by_itself(store: Store) -> None:
    found = await with_eve(store, account_lockout_threshold=1)
    await found.note_failure("eve")
    assert (await eve_in(found)).locked
    await long_ago(store, locked_until=0)
    assert (await eve_in(found)).may_log_in


async def test_failure_while_locked_does_not_prolong_it(store: Store) -> None:
    found = await with_eve(store, account_lockout_threshold=1)
    await found.note_failure("eve")
    before = (await eve_in(found)).locked_until
    await found.note_failure("eve")
    assert (await eve_in(found)).locked_until == before


async def test_old_failures_are_forgotten(store: Store) -> None:
    found = await with_eve(store)
    for _ in range(2):
        await found.note_failure("eve")
    await long_ago(store, failed_at=31)
    await found.note_failure("eve")
    assert (await eve_in(found)).failed_logins == 1


async def test_success_forgets_failures(store: Store) -> None:
    found = await with_eve(store)
    for _ in range(2):
        await found.note_failure("eve")
    await found.note_success("eve")
    await found.note_failure("eve")
    assert not (await eve_in(found)).locked


@pytest.mark.parametrize(
    "never", [{"account_lockout_threshold": 0}, {"account_lockout_duration": 0}]
)
async def test_zero_locks_never(store: Store, never: dict[str, int]) -> None:
    found = await with_eve(store, **never)
    for _ in range(5):
        await found.note_failure("eve")
    assert (await eve_in(found)).may_log_in


async def test_failure_of_nobody_is_nothing(store: Store) -> None:
    found = Accounts(store, AccountSettings(store, RULES))
    await found.note_failure("nobody")
    assert await found.all() == []


async def test_rules_hold_for_every_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as other:
        first, second = (AccountSettings(store, RULES) for store in (one, other))
        await first.change({"account_lockout_threshold": 1})
        await second.change({"account_lockout_duration": 90})
        rules = await second.read()
        assert rules.account_lockout_threshold == 1
        assert rules.account_lockout_duration == 90
        assert rules.account_lockout_counter_reset_after == 30


async def test_password_is_kept_as_it_was_given(store: Store) -> None:
    await with_eve(store)
    async with store.read() as connection:
        row = (await connection.execute(select(table))).one()
    assert row.password == EVE.password
    assert row.created_at <= datetime.now(UTC)


async def test_subscriptions_go_with_their_account(store: Store) -> None:
    found, subscriptions = await with_eve(store), Subscriptions(store)
    for owner in ("eve", "ada"):
        for kind in ("RedfishEvent", "SSE"):
            await subscriptions.add(subscription(owner, kind))
    assert await found.remove(await eve_in(found))
    left = await subscriptions.all()
    assert [each.owner for each in left] == ["ada", "ada"]
    told = [each.event for each in await EventLog(store).after(0)]
    (removed,) = (each for each in told if each.resource_type == "EventDestination")
    assert removed.message.message_id.endswith(".ResourceRemoved")
    assert removed.origin.endswith("/eve-RedfishEvent")
    assert removed.owner == "eve"


async def test_new_account_inherits_no_subscription(store: Store) -> None:
    """One that came about while the account was removed."""
    subscriptions = Subscriptions(store)
    await subscriptions.add(subscription("eve", "RedfishEvent"))
    await with_eve(store)
    assert await subscriptions.all() == []


def subscription(owner: str, kind: SubscriptionKind) -> Subscription:
    return Subscription(
        id=f"{owner}-{kind}",
        kind=kind,
        owner=owner,
        destination="http://listener.example.com/",
        cursor=0,
        created_at=datetime.now(UTC),
    )
