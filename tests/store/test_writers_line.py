"""The line of writers: it serves in order, and waits for no one who never ends."""

import asyncio
import time
from contextlib import suppress

import pytest

from taskfish.store.writers_line import WritersLine

STANDSTILL = 0.2


async def write(line: WritersLine, seconds: float, written: list[int], n: int) -> None:
    async with line:
        await asyncio.sleep(seconds)
        written.append(n)


async def fail(line: WritersLine, seconds: float) -> None:
    with suppress(ConnectionError):
        async with line:
            await asyncio.sleep(seconds)
            raise ConnectionError("locked by another process")


async def test_long_line_that_moves_serves_all_in_order() -> None:
    line, written = WritersLine(STANDSTILL), list[int]()
    await asyncio.gather(*(write(line, 0.03, written, n) for n in range(20)))
    assert written == list(range(20))


async def test_line_that_stands_still_is_left() -> None:
    line, written = WritersLine(STANDSTILL), list[int]()
    holder = asyncio.create_task(write(line, 3 * STANDSTILL, written, 1))
    await asyncio.sleep(0)
    waiting = (write(line, 0, written, n) for n in (2, 3))
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [TimeoutError, TimeoutError]
    await holder
    await write(line, 0, written, 4)
    assert written == [1, 4]


async def test_writer_that_fails_does_not_count_as_movement() -> None:
    line, began = WritersLine(STANDSTILL), time.monotonic()
    tries = (fail(line, 0.9 * STANDSTILL) for _ in range(5))
    found = await asyncio.gather(*tries, return_exceptions=True)
    # The second came to its turn in time; the others have not waited for all.
    assert [type(each) for each in found[2:]] == [TimeoutError] * 3
    assert time.monotonic() - began < 4 * STANDSTILL


@pytest.mark.parametrize("loops", range(6))
async def test_cancelled_writer_leaves_the_line_to_the_next(loops: int) -> None:
    """Cancelled while it waits, and at the moment at which its turn comes."""
    line, written = WritersLine(STANDSTILL), list[int]()
    first = asyncio.create_task(write(line, 0.01, written, 1))
    await asyncio.sleep(0)
    second = asyncio.create_task(write(line, 0, written, 2))
    if loops:
        await first
    for _ in range(loops):
        await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({second})
    await write(line, 0, written, 3)
    assert [n for n in written if n != 2] == [1, 3]
