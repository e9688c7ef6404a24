"""How many tasks of a source and of an account may be under way (contracts.md 8).

Temporal counts what is open, but not once for each request, and it lists a task a
moment after its start. So a count is of the tasks that started before that moment, and
this process adds its own starts since then, one by one (decision record 0011).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from activities.adoption import ADOPTED_TASK
from activities.retention import TASKS_QUERY
from api.errors import RETRY_AFTER, refuse
from api.temporal_faults import TEMPORAL_FAULTS
from api.temporal_queries import quoted
from taskfish.errors import RequestRefusedError
from taskfish.settings import Settings
from taskfish.temporal import RPC_TIMEOUT

COUNTED_FOR = timedelta(seconds=10)
"""How long a count is good for whom it leaves room."""
COUNTED_AGAIN_AFTER = timedelta(seconds=1)
"""How long it is good for whom it would refuse: places become free."""
LISTED_AFTER = timedelta(seconds=2)
"""How long after its start Temporal lists a task, at the latest."""
COUNT_SECONDS = 0.5
"""How long a count may take: a start has to answer within three seconds."""

logger = logging.getLogger(__name__)


class OpenTasks:
    """How many tasks that a query finds have not ended, as far as this process knows.

    `number` is up to date after `refresh`, until the next await.
    """

    def __init__(self, client: Client, query: str) -> None:
        self._client = client
        self._query = query
        self._counted = 0
        self._counted_at: datetime | None = None
        self._started: list[datetime] = []
        self._counting = asyncio.Lock()

    @property
    def number(self) -> int:
        """Those that Temporal has counted, and those started here since."""
        return self._counted + len(self._started)

    async def refresh(self, limit: int) -> None:
        """Count again, if the last count is too old for what it says of a limit."""
        async with self._counting:
            good_for = COUNTED_FOR if self.number < limit else COUNTED_AGAIN_AFTER
            now = datetime.now(UTC)
            if self._counted_at is None or now - self._counted_at > good_for:
                self._counted = await self._count(now - LISTED_AFTER)
                self._counted_at = now
                self._forget_before(now - LISTED_AFTER)

    def add(self) -> datetime:
        """Add a start that is about to be made; returns what takes it back."""
        now = datetime.now(UTC)
        self._forget_before(now - COUNTED_FOR - LISTED_AFTER)
        self._started.append(now)
        return now

    def take_back(self, start: datetime) -> None:
        """Forget a start that was not made."""
        if start in self._started:
            self._started.remove(start)

    async def _count(self, before: datetime) -> int:
        """Return how many are open that started before a moment, 0 if Temporal does not
        say so: what nobody knows is not held against anybody.
        """
        query = f"{self._query} AND StartTime < '{before.isoformat()}'"
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                found = await self._client.count_workflows(
                    query, rpc_timeout=RPC_TIMEOUT
                )
        except (*TEMPORAL_FAULTS, TimeoutError) as error:
            logger.warning("the open tasks are not counted: %s", error)
            return 0
        return found.count

    def _forget_before(self, moment: datetime) -> None:
        """Forget starts that every count to come finds by itself."""
        self._started = [start for start in self._started if start >= moment]


@dataclass(frozen=True)
class Bound:
    """A limit, on the tasks of `whom`."""

    whom: str
    tasks: OpenTasks
    limit: int


class TaskLimits:
    """The limits of the settings. One object a process."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._query = (
            f"{TASKS_QUERY} AND ExecutionStatus = 'Running' "
            f"AND TaskQueue = '{settings.task_queue}' "
            f"AND WorkflowType != '{ADOPTED_TASK}'"
        )
        self._all = OpenTasks(client, self._query)
        self._open: dict[tuple[str, str], OpenTasks] = {}

    @asynccontextmanager
    async def place(
        self, source: str, owner: str, *, always: bool = False
    ) -> AsyncIterator[None]:
        """Hold a place for a task that is about to start, and give it up on an error.

        Raises 503 if the source or the account has as many open tasks as it may have;
        `always` counts a task that starts all the same.
        """
        bounds = self._bounds(source, owner)
        if bounds and not always:
            await self._check(bounds)
        held = [(tasks, tasks.add()) for tasks in self._touched(bounds)]
        try:
            yield
        except BaseException:
            for tasks, start in held:
                tasks.take_back(start)
            raise

    async def _check(self, bounds: Sequence[Bound]) -> None:
        """Raise 503 for a limit that is reached.

        While there are fewer open tasks in all than any limit, one count is enough for
        everybody.
        """
        lowest = min(bound.limit for bound in bounds)
        await self._all.refresh(lowest)
        if self._all.number < lowest:
            return
        for bound in bounds:
            await bound.tasks.refresh(bound.limit)
        for bound in bounds:
            if bound.tasks.number >= bound.limit:
                raise _full(bound)

    def _touched(self, bounds: Sequence[Bound]) -> list[OpenTasks]:
        return [self._all, *(bound.tasks for bound in bounds)] if bounds else []

    def _bounds(self, source: str, owner: str) -> list[Bound]:
        settings = self._settings
        found = (
            (f"source {source}", "TaskSource", source, settings.max_tasks_per_source),
            (f"account {owner}", "TaskOwner", owner, settings.max_tasks_per_account),
        )
        return [
            Bound(whom, self._open_tasks(attribute, value), limit)
            for whom, attribute, value, limit in found
            if limit and value
        ]

    def _open_tasks(self, attribute: str, value: str) -> OpenTasks:
        key = attribute, value
        if key not in self._open:
            query = f"{self._query} AND {attribute} = {quoted(value)}"
            self._open[key] = OpenTasks(self._client, query)
        return self._open[key]


def _full(bound: Bound) -> RequestRefusedError:
    return refuse(
        "ServiceTemporarilyUnavailable",
        str(RETRY_AFTER),
        text=f"The {bound.whom} has {bound.limit} tasks that have not ended, as many "
        "as it may have.",
        resolution="Wait until some of them have ended, or cancel some, then repeat "
        "the request.",
        headers={"Retry-After": str(RETRY_AFTER)},
    )
