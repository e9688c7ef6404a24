"""Sends events to one subscriber, one after the other: tried once, never repeated."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

import httpx

from taskfish.plugins.machine.answers import Body

TIMEOUT = 2.0


class Deliveries:
    """The line of events for one subscriber. It begins with the first of them."""

    def __init__(self, destination: str, headers: Mapping[str, str]) -> None:
        self._destination = destination
        self._headers = headers
        self._line: asyncio.Queue[tuple[float, Body]] = asyncio.Queue()
        self._sending: asyncio.Task[None] | None = None

    def put(self, payload: Body, delay: float) -> None:
        """Send a payload after so many seconds, behind all that were put before it."""
        self._line.put_nowait((time.monotonic() + delay, payload))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    async def sent(self) -> None:
        """Wait until nothing is left to send."""
        await self._line.join()

    def cancel(self) -> None:
        """Send nothing any more."""
        if self._sending is not None:
            self._sending.cancel()

    async def aclose(self) -> None:
        """Send nothing any more, and close the connection."""
        self.cancel()
        if self._sending is not None:
            with suppress(asyncio.CancelledError):
                await self._sending

    async def _send(self) -> None:
        # Whom a subscriber's certificate is from is not the matter of an emulator.
        async with httpx.AsyncClient(
            verify=False, trust_env=False, timeout=TIMEOUT
        ) as http:
            while True:
                due, payload = await self._line.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                with suppress(httpx.HTTPError):
                    await http.post(
                        self._destination, json=payload, headers=dict(self._headers)
                    )
                self._line.task_done()
