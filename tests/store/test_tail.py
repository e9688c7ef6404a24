"""The tail of a table: it wakes who waits, and asks only while somebody does."""

import asyncio
import time

import pytest

from taskfish.errors import StoreUnavailableError
from taskfish.store.tail import POLL, Tail


class Table:
    """A table that goes so far; `asked` counts the looks."""

    def __init__(self) -> None:
        self.end = 0
        self.asked = 0
        self.fault: Exception | None = None

    async def newest(self) -> int:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.end


async def test_who_is_behind_does_not_wait() -> None:
    table = Table()
    table.end = 3
    tail = Tail(table.newest)
    assert await tail.beyond(2, 5)
    began = time.monotonic()
    assert await tail.beyond(1, 5)
    assert time.monotonic() - began < 1
    await tail.close()


async def test_all_who_wait_are_woken() -> None:
    table = Table()
    tail = Tail(table.newest)
    waiting = [asyncio.create_task(tail.beyond(0, 5)) for _ in range(50)]
    await asyncio.sleep(POLL)
    table.end = 1
    assert all(await asyncio.gather(*waiting))
    await tail.close()


async def test_nothing_new_is_said_in_time() -> None:
    tail = Tail(Table().newest)
    began = time.monotonic()
    assert not await tail.beyond(0, 0.1)
    assert 0.1 <= time.monotonic() - began < 2
    await tail.close()


async def test_looks_are_shared_and_end_with_who_waits() -> None:
    table = Table()
    tail = Tail(table.newest)
    await asyncio.gather(*(tail.beyond(0, 4 * POLL) for _ in range(50)))
    assert table.asked < 20
    await asyncio.sleep(2 * POLL)
    asked = table.asked
    await asyncio.sleep(4 * POLL)
    assert table.asked == asked
    await tail.close()


@pytest.mark.parametrize("fault", [StoreUnavailableError("away"), KeyError("what")])
async def test_fault_is_told_of_and_waited_out(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    table = Table()
    table.fault, table.end = fault, 7
    tail = Tail(table.newest)
    waiting = asyncio.create_task(tail.beyond(6, 5))
    await asyncio.sleep(2 * POLL)
    assert not waiting.done()
    assert repr(fault) in caplog.text
    table.fault = None
    assert await waiting
    await tail.close()


async def test_cancel_of_one_leaves_the_others_waiting() -> None:
    table = Table()
    tail = Tail(table.newest)
    one, other = (asyncio.create_task(tail.beyond(0, 5)) for _ in range(2))
    await asyncio.sleep(POLL)
    one.cancel()
    table.end = 1
    assert await other
    await tail.close()
