"""The audit log in the store: what is kept, in which order, for how long."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from taskfish.store.audit import AuditEvent, AuditLog, AuditRecord
from taskfish.store.database import Store
from tests.store.stores import opened

NOW = datetime.now(UTC)


def record(age: timedelta = timedelta(0), event: AuditEvent = "Change") -> AuditRecord:
    """Return a record of so long ago."""
    return AuditRecord(
        at=NOW - age,
        event=event,
        user="eve",
        address="https://10.0.0.7",
        method="POST",
        path="/redfish/v1/Systems/a.1/Actions/ComputerSystem.Reset",
        status=202,
        request_id="r-1",
        task_id="t-1",
    )


async def test_record_is_read_as_it_was_written(store: Store) -> None:
    log = AuditLog(store)
    number = await log.add(record())
    found = await log.get(number)
    assert found is not None
    assert found.model_dump(exclude={"id"}) == record().model_dump()
    assert await log.get(number + 1) is None


async def test_newest_come_first_and_pages_do_not_overlap(store: Store) -> None:
    log = AuditLog(store)
    numbers = [await log.add(record()) for _ in range(7)]
    first = [each.id for each in await log.page(3)]
    second = [each.id for each in await log.page(3, first[-1])]
    assert first + second == sorted(numbers, reverse=True)[:6]
    assert await log.page(3, numbers[0]) == []
    assert await log.count() == 7


async def test_repetitions_are_added_up(store: Store) -> None:
    log = AuditLog(store)
    number = await log.add(record())
    await log.repeat(number, 2)
    await log.repeat(number, 3)
    await log.repeat(number + 1, 9)
    found = await log.get(number)
    assert found is not None
    assert found.repeated == 5


async def test_old_records_go(store: Store) -> None:
    log = AuditLog(store)
    old = await log.add(record(timedelta(days=3)))
    young = await log.add(record(timedelta(days=1)))
    await log.prune(NOW - timedelta(days=2), keep=100)
    assert await log.get(old) is None
    assert await log.get(young) is not None


async def test_all_but_the_newest_go(store: Store) -> None:
    log = AuditLog(store)
    numbers = [await log.add(record()) for _ in range(9)]
    await log.prune(NOW - timedelta(days=2), keep=4)
    assert [each.id for each in await log.page(100)] == numbers[:4:-1]
    await log.prune(NOW - timedelta(days=2), keep=4)
    assert await log.count() == 4


async def test_noise_makes_no_change_go(store: Store) -> None:
    log = AuditLog(store)
    changes = [await log.add(record()) for _ in range(2)]
    await log.add(record(event="Decode"))
    noise: tuple[AuditEvent, ...] = ("Login", "LoginFailed", "Logout", "Refused")
    for event in noise * 3:
        await log.add(record(event=event))
    await log.prune(NOW - timedelta(days=2), keep=2)
    kept = await log.page(100)
    assert [each.id for each in kept if each.event == "Change"] == changes[::-1]
    assert sorted(each.event for each in kept) == sorted(
        ["Change", "Change", "Decode", *noise, *noise]
    )


async def test_number_of_a_record_that_has_gone_is_not_given_again(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        log = AuditLog(store)
        last = [await log.add(record()) for _ in range(3)][-1]
        await log.prune(NOW + timedelta(days=1), keep=1)
        assert await log.count() == 0
        assert await log.add(record()) > last
