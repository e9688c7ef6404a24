"""Tell of the ends of tasks that could not tell themselves: of terminated ones, say."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.batches import in_batches
from activities.heartbeat import heartbeating
from activities.memos import UNREADABLE
from activities.task_subjects import end_of, first_run_of, is_told_of
from taskfish.redfish.task_events import is_told_of_id
from taskfish.store.event_log import EventLog, Run
from taskfish.temporal import RPC_TIMEOUT, time_in_query

RECONCILE_EVENTS = "ReconcileEvents"
"""The workflow type of the reconciler, started by name: workflows lie above."""
EVERY = 2.0
"""Seconds between two looks: a killed task is told of within 10 (contracts.md 4)."""
DELIVERIES_EVERY = 60.0
"""Seconds after which a subscription without a delivery gets one."""
OVERLAP = timedelta(minutes=1)
"""How late Temporal may list a run that was closed, at most."""
A_FIRST_LOOK_BACK = timedelta(hours=1)
PAGE_SIZE = 1000
_TASKS_AND_STEPS = "TaskOperation IS NOT NULL AND ExecutionStatus != 'ContinuedAsNew'"

logger = logging.getLogger(__name__)


class Reconciled(BaseModel):
    """The heartbeat: up to which end the log is known to be whole."""

    model_config = ConfigDict(frozen=True)

    whole_until: datetime
    appended: int = 0
    error: str | None = None


class EventReconciler:
    """The activity that compares what Temporal has closed with what the log tells."""

    def __init__(
        self,
        client: Client,
        event_log: EventLog,
        task_queue: str,
        deliver_all: Callable[[], Awaitable[None]],
    ) -> None:
        self._client = client
        self._event_log = event_log
        self._task_queue = task_queue
        self._deliver_all = deliver_all
        self._known: dict[Run, datetime] = {}

    async def start(self) -> None:
        """Start the workflow that does it once for all workers, if it does not run."""
        try:
            await self._client.start_workflow(
                RECONCILE_EVENTS,
                id=f"events:{self._task_queue}",
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary="Tells of the ends of killed tasks",
                rpc_timeout=RPC_TIMEOUT,
            )
        except RPCError as error:
            logger.warning("nobody tells of the ends of killed tasks: %s", error)

    @activity.defn
    async def reconcile_events(self) -> None:
        """Look every other second, without end; a fault only puts a look off.

        Every minute also whether each subscription has its delivery.
        """
        seen = Reconciled(whole_until=datetime.now(UTC) - A_FIRST_LOOK_BACK)
        if details := activity.info().heartbeat_details:
            seen = Reconciled.model_validate(details[0])
        deliveries_due = time.monotonic()
        async with heartbeating(seen) as beat:
            while True:
                began = datetime.now(UTC)
                try:
                    if time.monotonic() >= deliveries_due:
                        deliveries_due = time.monotonic() + DELIVERIES_EVERY
                        await self._deliver_all()
                    added = await self._look(seen.whole_until - OVERLAP)
                    seen = Reconciled(whole_until=began, appended=seen.appended + added)
                except Exception as error:  # whatever it is, the next look may do
                    if repr(error) != seen.error:
                        logger.warning("no ends of tasks are looked for: %r", error)
                    seen = seen.model_copy(update={"error": repr(error)})
                beat(seen)
                await asyncio.sleep(EVERY)

    async def _look(self, since: datetime) -> int:
        """Append the ends that are missing since a moment; return how many.

        Page by page: what a fault breaks off goes on behind the pages that were done.
        """
        query = (
            f"{_TASKS_AND_STEPS} AND TaskQueue = '{self._task_queue}' "
            "AND ExecutionStatus != 'Running' "
            f"AND CloseTime >= '{time_in_query(since)}'"
        )
        self._known = {run: at for run, at in self._known.items() if at >= since}
        found = self._client.list_workflows(
            query, page_size=PAGE_SIZE, rpc_timeout=RPC_TIMEOUT
        )
        appended = 0
        async for page in in_batches(found, PAGE_SIZE):
            runs = {
                (listed.id, listed.run_id): listed
                for listed in page
                if is_told_of_id(listed.id)
            }
            for known in runs.keys() & self._known.keys():
                del runs[known]
            appended += await self._tell_missing(runs, since)
        return appended

    async def _tell_missing(
        self, runs: Mapping[Run, WorkflowExecution], since: datetime
    ) -> int:
        """Append the ends of these runs that are missing; return how many."""
        told = await self._event_log.ended(runs)
        appended = 0
        for run, listed in runs.items():
            try:
                if run not in told or (told[run] and _is_killed(listed)):
                    appended += await self._tell(listed)
            except UNREADABLE as error:
                logger.warning("the end of %s cannot be told: %r", listed.id, error)
                continue
            self._known[run] = listed.close_time or since
        return appended

    async def _tell(self, listed: WorkflowExecution) -> bool:
        """Append the end of a run; not of one that goes on as a later run of a reset
        task, nor of one that was removed, or of which nobody is told.
        """
        handle = self._client.get_workflow_handle(listed.id, run_id=listed.run_id)
        newest = self._client.get_workflow_handle(listed.id)
        try:
            run = await handle.describe(rpc_timeout=RPC_TIMEOUT)
            last = await newest.describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        if last.run_id != run.run_id and first_run_of(last) == first_run_of(run):
            return False
        if not await is_told_of(run):
            return False
        end = await end_of(run)
        if not _is_killed(run):
            logger.info("the end of %s was not told by itself", listed.id)
        await self._event_log.append(end)
        return True


def _is_killed(run: WorkflowExecution) -> bool:
    """Say whether a run was terminated: maybe after it had told of another end."""
    return run.status is WorkflowExecutionStatus.TERMINATED
