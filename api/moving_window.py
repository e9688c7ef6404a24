"""How often something has happened within the last seconds, by key."""

import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile

from taskfish.rates import Rate

MOST_KEYS = 10_000
"""How many keys are counted at once."""


class MovingWindow:
    """The times of what happened, as long as they count. It belongs to one process.

    A key whose times have all passed goes. When there are too many keys, the one with
    the fewest times goes, of those the one whose last is the longest ago: who fails
    under ever new keys does not get rid of what is counted for one of them.
    """

    def __init__(
        self,
        rate: Rate,
        most_keys: int = MOST_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count nothing yet. `clock` gives seconds."""
        self._rate = rate
        self._most_keys = most_keys
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def __len__(self) -> int:
        """Return how many keys are counted."""
        return len(self._times)

    def seconds_to_wait(self, key: str) -> float:
        """Return for how long it may not happen again for a key, 0 if it may."""
        times = self._times.get(key)
        if times is None or len(times) < self._rate.amount:
            return 0
        return max(0, times[0] + self._rate.seconds - self._clock())

    def note(self, key: str) -> None:
        """Count one more now."""
        now = self._clock()
        self._forget(now - self._rate.seconds)
        times = self._times.pop(key, None)
        if times is None:
            times = deque(maxlen=self._rate.amount)
            if len(self) >= self._most_keys:
                del self._times[min(self._times, key=self._number)]
        times.append(now)
        # At the end: the keys are in the order of their last times.
        self._times[key] = times

    def _forget(self, until: float) -> None:
        """Let go of the keys that have only times up to a moment."""
        for key in list(
            takewhile(lambda key: self._times[key][-1] <= until, self._times)
        ):
            del self._times[key]

    def _number(self, key: str) -> int:
        return len(self._times[key])
