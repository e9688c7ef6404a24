"""The newest events in memory: the log is read once a process, whoever follows it."""

from collections import deque
from itertools import takewhile

from taskfish.redfish.events import LoggedEvent
from taskfish.store.event_log import EventLog
from taskfish.store.tail import Tail

KEPT = 2000
"""How many events are kept in memory; who is further behind reads the log."""
_READ_AT_ONCE = 500


class LogEnd:
    """What those read who follow the log near its end.

    While somebody waits the log is read on, once for all of them.
    """

    def __init__(self, event_log: EventLog, kept: int = KEPT) -> None:
        self._event_log = event_log
        self._newest: deque[LoggedEvent] = deque(maxlen=kept)
        self._from: int | None = None
        self._tail = Tail(self._read_on)
        event_log.when_appended(self._tail.look_now)

    async def after(
        self, position: int, limit: int, seconds: float
    ) -> list[LoggedEvent]:
        """Return events behind a position, the oldest first, at most `limit`.

        Waits for so many seconds for the first one; raises StoreUnavailableError if it
        has to read the log itself.
        """
        if not await self._tail.beyond(position, seconds):
            return []
        if self._from is None or position < self._from:
            return await self._event_log.after(position, limit)
        newer = takewhile(lambda each: each.position > position, reversed(self._newest))
        return list(newer)[: -limit - 1 : -1]

    async def close(self) -> None:
        """End the reading."""
        await self._tail.close()

    async def _read_on(self) -> int:
        """Read what is new; return how far the log goes in memory."""
        if self._from is None:
            self._from = await self._event_log.newest()
        last = self._newest[-1].position if self._newest else self._from
        found = await self._event_log.after(last, _READ_AT_ONCE)
        for each in found:
            if len(self._newest) == self._newest.maxlen:
                self._from = self._newest[0].position
            self._newest.append(each)
        return found[-1].position if found else last
