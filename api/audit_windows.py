"""Which records of the audit log are alike, and for how long that is remembered."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from taskfish.store.audit import AuditRecord

Key = tuple[str, ...]
Place = tuple[Key, float]
"""A key, and how many windows may be open for a new one to have that key."""


@dataclass(eq=False)
class Window:
    """What is alike for a while. Times are the clock's.

    `left` is how many more are written, each by itself; what comes after is only
    counted, in `uncounted` until the log knows of it. `number` is that of the newest
    record written: None before `tried`, and after it if the store did not answer.
    """

    key: Key
    record: AuditRecord
    until: float
    left: int
    number: int | None = None
    uncounted: int = 0
    tried: asyncio.Event = field(default_factory=asyncio.Event)


class Windows:
    """Windows of one length in seconds, which each let `apart` records through."""

    def __init__(
        self,
        seconds: float,
        apart: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._apart = apart
        self._clock = clock
        self._open: dict[Key, Window] = {}

    def of(self, record: AuditRecord, places: Sequence[Place]) -> Window:
        """Return the window of a record, opened if need be.

        Its key is the first of `places` that is open or for which there is room.
        """
        now = self._clock()
        self._close_until(now)
        key = next(
            key for key, most in places if key in self._open or len(self._open) < most
        )
        if key not in self._open:
            window = Window(key, record, now + self._seconds, self._apart)
            self._open[key] = window
        return self._open[key]

    def close(self, window: Window) -> None:
        """Forget a window: the next like record is the first of a new one."""
        if self._open.get(window.key) is window:
            del self._open[window.key]

    def _close_until(self, now: float) -> None:
        """Forget what is over: all last as long, so the oldest come first."""
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.until > now:
                return
            del self._open[oldest.key]
