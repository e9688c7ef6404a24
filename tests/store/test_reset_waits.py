"""Changes that wait for a reset: known to it once, forgotten when they are sent."""

import asyncio
from datetime import UTC, datetime, timedelta

from taskfish.store.database import Store
from taskfish.store.reset_waits import ResetWaits

ONE, TWO = "/redfish/v1/Systems/rack7.1", "/redfish/v1/Systems/rack7.2"


async def test_wait_is_seen_by_its_systems_only(store: Store) -> None:
    waits = ResetWaits(store)
    await waits.add([ONE, TWO], "task", "token")
    assert [wait.task_id for wait in await waits.on(ONE)] == ["task"]
    assert [wait.system for wait in await waits.of("token")] == [ONE, TWO]
    assert await waits.on("/redfish/v1/Systems/rack7.3") == []
    assert await waits.of("other") == []


async def test_wait_begun_again_keeps_its_reset(store: Store) -> None:
    waits = ResetWaits(store)
    await waits.add([ONE], "task", "token")
    (wait,) = await waits.on(ONE)
    await waits.announce(wait, "reset")
    await waits.add([ONE], "task", "token")
    (again,) = await waits.on(ONE)
    assert (again.resetting, again.since) == ("reset", wait.since)


async def test_wait_begun_afresh_forgets_an_old_reset(store: Store) -> None:
    waits = ResetWaits(store)
    await waits.add([ONE], "task", "token")
    (wait,) = await waits.on(ONE)
    await waits.announce(wait, "reset")
    await waits.add([ONE], "task", "token", afresh=True)
    assert [wait.resetting for wait in await waits.on(ONE)] == [None]


async def test_reset_is_announced_on_its_own_system_only(store: Store) -> None:
    waits = ResetWaits(store)
    await waits.add([ONE, TWO], "task", "token")
    await waits.add([ONE], "other", "another")
    (mine,) = [wait for wait in await waits.on(ONE) if wait.token == "token"]
    await waits.announce(mine, "reset")
    assert [wait.resetting for wait in await waits.of("token")] == ["reset", None]
    assert [wait.resetting for wait in await waits.of("another")] == [None]


async def test_announcement_to_what_is_gone_changes_nothing(store: Store) -> None:
    waits = ResetWaits(store)
    await waits.add([ONE], "task", "token")
    (wait,) = await waits.on(ONE)
    await waits.forget("token")
    await waits.announce(wait, "reset")
    assert await waits.on(ONE) == []


async def test_forgetting_leaves_the_others(store: Store) -> None:
    waits = ResetWaits(store)
    await waits.add([ONE, TWO], "task", "token")
    await waits.add([ONE], "other", "another")
    await waits.forget("token")
    await waits.forget("token")
    assert [wait.token for wait in await waits.on(ONE)] == ["another"]
    assert await waits.on(TWO) == []


async def test_wait_begun_by_many_at_once_has_one_row(store: Store) -> None:
    waits = ResetWaits(store)
    await asyncio.gather(*(waits.add([ONE, ONE], "task", "token") for _ in range(10)))
    assert len(await waits.on(ONE)) == 1


async def test_old_waits_can_be_found(store: Store) -> None:
    waits, minute = ResetWaits(store), timedelta(minutes=1)
    await waits.add([ONE], "task", "token")
    now = datetime.now(UTC)
    assert await waits.before(now - minute) == []
    assert [wait.token for wait in await waits.before(now + minute)] == ["token"]
