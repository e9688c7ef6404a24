"""Readers near the end of the log share one reading; those behind do it themselves."""

import pytest
from sqlalchemy import update

from taskfish.store.database import Store
from taskfish.store.event_log import EventLog
from taskfish.store.log_end import LogEnd
from taskfish.store.tables import events
from tests.activities.deliveries import progress

SOON = 5.0


async def tell(log: EventLog, *percents: int) -> None:
    """Append the progress of a task."""
    await log.append(*(progress("task-1", each) for each in percents))


async def positions(end: LogEnd, after: int, limit: int = 100) -> list[int]:
    """Return the positions behind one, as soon as there are any."""
    return [each.position for each in await end.after(after, limit, SOON)]


async def test_reader_gets_what_is_behind_its_position(store: Store) -> None:
    log = EventLog(store)
    end = LogEnd(log)
    assert await end.after(0, 100, seconds=0.1) == []
    await tell(log, 1, 2, 3)
    assert await positions(end, 0) == [1, 2, 3]
    assert await positions(end, 2) == [3]
    assert await positions(end, 0, limit=2) == [1, 2]
    await end.close()


async def test_reader_far_behind_gets_everything_in_order(store: Store) -> None:
    log = EventLog(store)
    await tell(log, 1, 2, 3)
    end = LogEnd(log, kept=2)
    await positions(end, 0)
    await tell(log, 4, 5, 6, 7)
    assert await positions(end, 3) == [4, 5, 6, 7]
    assert await positions(end, 0, limit=3) == [1, 2, 3]
    for position in range(7):
        assert await positions(end, position) == list(range(position + 1, 8))
    await end.close()


async def test_unreadable_row_is_told_as_lost_and_hides_no_other(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    log = EventLog(store)
    end = LogEnd(log)
    await tell(log, 1, 2, 3)
    async with store.write() as connection:
        strange = update(events).where(events.c.position == 2).values(kind="Strange")
        await connection.execute(strange)
    found = await end.after(0, 100, SOON)
    assert [each.position for each in found] == [1, 2, 3]
    assert found[1].event.message.message_id.endswith(".EventBufferExceeded")
    assert "the event 2 cannot be read" in caplog.text
    await end.close()


async def test_reader_waits_no_longer_than_it_says(store: Store) -> None:
    end = LogEnd(EventLog(store))
    assert await end.after(0, 100, seconds=0.01) == []
    await end.close()
