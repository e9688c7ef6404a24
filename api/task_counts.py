"""How many tasks there are, without having Temporal count them for every page.

It lists a page by an index, but counts row by row: of 20,000 tasks that takes several
times as long as a page of them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from taskfish.temporal import RPC_TIMEOUT

KEPT_A_TASK = timedelta(milliseconds=1)
"""How long a count is kept for each task that it has: the longer it takes, and the less
one task matters."""
KEPT_AT_MOST = timedelta(seconds=10)
LISTED_AFTER = timedelta(seconds=2)
"""How long after a change Temporal counts it, at the latest."""
MOST = 200
"""How many queries have their counts kept, the last counted."""


@dataclass(frozen=True)
class Count:
    """What Temporal has counted, and when it was asked to."""

    number: int
    at: datetime

    def is_good(self, now: datetime, changed_at: datetime | None) -> bool:
        """Say whether it holds for who has last changed something at a moment."""
        if changed_at is not None and self.at < changed_at + LISTED_AFTER:
            return False
        return now - self.at < min(self.number * KEPT_A_TASK, KEPT_AT_MOST)


class TaskCounts:
    """The counts of this process. Raises `TemporalUnavailableError`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: dict[str, Count] = {}

    async def number(self, query: str, changed_at: datetime | None) -> int:
        """Return how many tasks a query finds, as visibility counts them.

        Never from before `changed_at`, when the caller has last started or ended a
        task; what others have done may be missing for a millisecond a task, 10 seconds
        at most.
        """
        now = datetime.now(UTC)
        kept = self._kept.get(query)
        if kept is not None and kept.is_good(now, changed_at):
            return kept.number
        number = await self._counted(query)
        self._kept.pop(query, None)
        self._kept[query] = Count(number, now)
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]
        return number

    async def _counted(self, query: str) -> int:
        try:
            found = await self._client.count_workflows(query, rpc_timeout=RPC_TIMEOUT)
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        return found.count
