"""Wake those who wait for new rows: one loop a process, whoever appends them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

POLL = 0.05
"""Seconds between two looks, while anybody waits."""
AFTER_A_FAULT = 1.0
"""Seconds between two looks after one that has failed."""

logger = logging.getLogger(__name__)


class Tail:
    """The end of an append-only table, whose `newest` says how far it goes."""

    def __init__(self, newest: Callable[[], Awaitable[int]]) -> None:
        self._newest = newest
        self._position = 0
        self._moved = asyncio.Condition()
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None
        self._hinted = asyncio.Event()

    def look_now(self) -> None:
        """Take a hint that there is a new row, from who has appended it here."""
        self._hinted.set()

    async def beyond(self, position: int, seconds: float) -> bool:
        """Wait until there is a row behind a position, for so many seconds at most.

        Returns whether there is one. While a look fails there is none.
        """
        self._waiting += 1
        try:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds), self._moved:
                    await self._moved.wait_for(lambda: self._position > position)
        finally:
            self._waiting -= 1
        return self._position > position

    async def close(self) -> None:
        """End the loop."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _look(self) -> None:
        while self._waiting:
            self._hinted.clear()
            pause = POLL
            try:
                found = await self._newest()
            except Exception as error:  # whatever it is, the next look may do
                logger.warning("new rows are not seen: %r", error)
                pause = AFTER_A_FAULT
            else:
                if found > self._position:
                    async with self._moved:
                        self._position = found
                        self._moved.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._hinted.wait()
