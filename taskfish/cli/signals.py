"""Ctrl-C and SIGTERM, once to end in order and twice to end at once."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

EXIT_INTERRUPTED = 130
Result = TypeVar("Result")
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run_until_signal(
    work: Coroutine[Any, Any, None], kill: Callable[[], None]
) -> None:
    """Run `work`; the first signal cancels it, and each later one calls `kill`.

    Return when it has ended by itself or by a signal; raise what else it raised.
    """
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()

    def receive() -> None:
        if task.cancelling():
            kill()
        else:
            task.cancel()

    for number in ENDING:
        loop.add_signal_handler(number, receive)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def unless_interrupted(work: Coroutine[Any, Any, Result]) -> Result | None:
    """Return what `work` returns, None if a signal has ended it before."""
    task, loop = asyncio.create_task(work), asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return None
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
