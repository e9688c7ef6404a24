"""Ctrl-C and SIGTERM, once to end in order and twice to end at once."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any

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
