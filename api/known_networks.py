"""From which networks an account was logged in to of late."""

import time
from collections.abc import Callable
from itertools import takewhile

KNOWN_SECONDS = 86_400
"""How long a right login counts."""
MOST_NETWORKS = 100
"""How many networks are known of one account."""


class KnownNetworks:
    """The networks of right logins, of one process.

    Of each name the latest are kept, so that no account takes the room of another;
    names are those of accounts.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet. `clock` gives seconds."""
        self._clock = clock
        self._logins: dict[str, dict[str, float]] = {}

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Say whether a name was logged in to from a network within the last day."""
        name, network = pair
        at = self._logins.get(name, {}).get(network)
        return at is not None and at > self._clock() - KNOWN_SECONDS

    def __len__(self) -> int:
        """Return how many logins are remembered."""
        return sum(map(len, self._logins.values()))

    def note(self, name: str, network: str) -> None:
        """Remember a right login. Names and their networks stay in order of time."""
        now = self._clock()
        logins = self._logins.pop(name, {})
        logins.pop(network, None)
        if len(logins) >= MOST_NETWORKS:
            del logins[next(iter(logins))]
        logins[network] = now
        self._logins[name] = logins
        self._forget(now - KNOWN_SECONDS)

    def _forget(self, until: float) -> None:
        """Let go of the names that were logged in to only up to a moment."""
        for name in list(
            takewhile(lambda name: self._last(name) <= until, self._logins)
        ):
            del self._logins[name]

    def _last(self, name: str) -> float:
        return next(reversed(self._logins[name].values()))
