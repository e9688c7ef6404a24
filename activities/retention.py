"""Remove ended tasks: each after its time, or all that somebody wants gone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.batches import in_batches
from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from activities.memos import UNREADABLE
from activities.removal import TaskRemoval
from taskfish.errors import TemporalUnavailableError
from taskfish.store.monitor_reads import Run
from taskfish.store.service_settings import ServiceSettings
from taskfish.temporal import RPC_TIMEOUT, time_in_query

REMOVE_ENDED_TASKS = "RemoveEndedTasks"
"""The workflow type that removes all: the API starts it by name."""
TASKS_QUERY = (
    "TaskOperation IS NOT NULL AND ParentWorkflowId IS NULL "
    "AND ExecutionStatus != 'ContinuedAsNew'"
)
"""What is a task (contracts.md 4)."""
AT_ONCE = 8
"""Removals begun at once: Temporal has more to do than to delete."""
PAGE_SIZE = 500

logger = logging.getLogger(__name__)


class EndedTasks(BaseModel):
    """Which tasks are to go: those that ended before a moment, all or of a source."""

    model_config = ConfigDict(frozen=True)

    ended_before: datetime
    source: str | None = None

    @property
    def query(self) -> str:
        """The visibility query for them."""
        moment = time_in_query(self.ended_before)
        its = f" AND TaskSource = '{self.source}'" if self.source else ""
        ended = "ExecutionStatus != 'Running'"
        return f"{TASKS_QUERY} AND {ended} AND CloseTime < '{moment}'{its}"


def _now() -> datetime:
    return datetime.now(UTC)


class RetentionActivities:
    """The activities that remove tasks. Killed at any moment, they begin anew."""

    def __init__(
        self,
        client: Client,
        service_settings: ServiceSettings,
        removal: TaskRemoval,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._client = client
        self._service_settings = service_settings
        self._removal = removal
        self._clock = clock

    @activity.defn
    async def remove_expired(self) -> int:
        """Remove all tasks whose time has passed; return how many went.

        However many end in a minute, what is due goes: a sweep that lasts longer than
        that is not started a second time.
        """
        with as_application_errors("retention"):
            options = await self._service_settings.read()
            if options.kept_for is None:
                return 0
            before = self._clock() - options.kept_for
            removed = await self._remove(EndedTasks(ended_before=before))
            async with heartbeating():
                await self._removal.orphans(before)
            return removed

    @activity.defn
    async def remove_ended(self, wanted: EndedTasks) -> int:
        """Remove all of these tasks, however many; return how many went."""
        with as_application_errors("retention"):
            return await self._remove(wanted)

    async def _remove(self, wanted: EndedTasks) -> int:
        """Remove them in Temporal's order, the last ended first: it knows no other."""
        removed = 0
        async with heartbeating():
            async for batch in in_batches(self._runs(wanted), AT_ONCE):
                removing = (self._begin(*run) for run in batch)
                removed += sum(await asyncio.gather(*removing))
        return removed

    async def _begin(self, task_id: str, run_id: str) -> bool:
        """Begin to remove one; one that cannot be read keeps no other here."""
        try:
            return await self._removal.begin(task_id, run_id)
        except UNREADABLE as error:
            logger.warning("%s is not removed: %r", task_id, error)
            return False

    async def _runs(self, wanted: EndedTasks) -> AsyncIterator[Run]:
        try:
            async for run in self._client.list_workflows(
                wanted.query, page_size=PAGE_SIZE, rpc_timeout=RPC_TIMEOUT
            ):
                yield run.id, run.run_id
        except (RPCError, RuntimeError) as error:
            text = f"Temporal lists no tasks: {error}"
            raise TemporalUnavailableError(text) from error
