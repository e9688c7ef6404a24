"""Many who ask at the same time are served in one go; none is forgotten."""

import asyncio
from collections.abc import Sequence

import pytest

from taskfish.store.together import Together


class Slow:
    """Notes what it does in one go, and waits until it may go on."""

    def __init__(self) -> None:
        self.done: list[list[int]] = []
        self.may_go_on = asyncio.Event()
        self.together = Together(self._do)

    async def _do(self, numbers: Sequence[int]) -> None:
        self.done.append(list(numbers))
        await self.may_go_on.wait()
        if 0 in numbers:
            raise ZeroDivisionError("zero")

    async def ask(self, *numbers: int) -> list[asyncio.Task[None]]:
        """Have several ask, one after the other."""
        tasks = [asyncio.create_task(self.together.ask(each)) for each in numbers]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return tasks


async def test_who_asks_meanwhile_is_served_in_one_go() -> None:
    slow = Slow()
    tasks = await slow.ask(1) + await slow.ask(2, 3, 4)
    slow.may_go_on.set()
    await asyncio.gather(*tasks)
    assert slow.done == [[1], [2, 3, 4]]


async def test_what_goes_wrong_is_told_to_all_of_it() -> None:
    slow = Slow()
    tasks = await slow.ask(1) + await slow.ask(0, 2)
    slow.may_go_on.set()
    await tasks[0]
    for task in tasks[1:]:
        with pytest.raises(ZeroDivisionError):
            await task
    await slow.together.ask(3)


async def test_cancel_of_one_breaks_off_no_other() -> None:
    slow = Slow()
    (first,) = await slow.ask(1)
    second, third = await slow.ask(2, 3)
    first.cancel()
    slow.may_go_on.set()
    await asyncio.gather(second, third)
    assert first.cancelled() or first.done()
    assert slow.done == [[1], [2, 3]]


async def test_owner_that_is_cancelled_twice_keeps_its_place_until_the_end() -> None:
    slow = Slow()
    (first,) = await slow.ask(1)
    (second,) = await slow.ask(2)
    for _ in range(3):
        first.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert slow.done == [[1]]
    slow.may_go_on.set()
    await second
    assert first.cancelled()
    assert slow.done == [[1], [2]]


async def test_what_is_not_begun_goes_with_who_has_asked_for_it() -> None:
    slow = Slow()
    (first,) = await slow.ask(1)
    second, third = await slow.ask(2, 3)
    second.cancel()
    slow.may_go_on.set()
    await asyncio.gather(first, third)
    assert second.cancelled()
    assert slow.done == [[1], [3]]
