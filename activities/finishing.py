"""Calls that must not be broken off when an activity is cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


async def finish(call: Awaitable[Result], at_most: float | None = None) -> Result:
    """Await a call that must not be broken off: a cancel waits until it is done.

    With `at_most` it waits for so many seconds; then the call is broken off after all.
    """
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        if at_most is None:
            return await task
        await asyncio.wait({task}, timeout=at_most)
        if not task.done():
            task.cancel()
            raise
        return await task
