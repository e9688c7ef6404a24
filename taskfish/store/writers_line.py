"""The line of a process's writers to a database that lets in one at a time."""

import asyncio
import time
from typing import Literal


class WritersLine:
    """First come, first served, for as long as the line moves on.

    SQLite has one writer, and lets those who wait try by chance: of many at once some
    would not get it in time. Use it as `async with line`. Raises `TimeoutError` for
    who waits while nobody has come out for `standstill` seconds.
    """

    def __init__(self, standstill: float) -> None:
        self._standstill = standstill
        self._writer = asyncio.Lock()
        self._moved = 0.0

    async def __aenter__(self) -> None:
        """Wait for one's turn."""
        came = time.monotonic()
        acquiring = asyncio.ensure_future(self._writer.acquire())
        try:
            while not acquiring.done():
                left = self._standstill - (time.monotonic() - max(came, self._moved))
                if left <= 0:
                    raise TimeoutError("nobody has written in time")
                await asyncio.wait({acquiring}, timeout=left)
        except BaseException:
            self._step_out(acquiring)
            raise

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Let the next one write; who has not managed to write has moved nothing."""
        if error is None:
            self._moved = time.monotonic()
        self._writer.release()

    def _step_out(self, acquiring: asyncio.Task[Literal[True]]) -> None:
        """Leave the line, also if the turn has come at the same moment."""
        if not acquiring.cancel():
            self._writer.release()
