"""Forget what nothing needs any more: secrets, journal rows, first reads, places."""

from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import as_application_errors
from activities.open_places import OpenPlaces
from activities.reset_gate import ResetGate
from taskfish.errors import TemporalUnavailableError
from taskfish.settings import Settings
from taskfish.store.audit import AuditLog
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.secret_bodies import SecretBodies
from taskfish.temporal import RPC_TIMEOUT

HOUSEKEEPING = "Housekeeping"
"""The workflow type of the housekeeping, scheduled by name: workflows lie above."""
KEPT_FOR = timedelta(days=30)
"""Longer than Temporal keeps a task that needs the row."""
REQUESTS_KEPT_FOR = timedelta(days=400)
"""Longer than any namespace keeps a task: a key is forgotten with its task, or by then
if Temporal has removed the task by itself."""
ENDS_KEPT_FOR = timedelta(minutes=10)
"""Longer than visibility takes to know that a task was cancelled or removed."""
LONGEST_START = timedelta(minutes=10)
"""After which a task that was to use kept secrets has started, or never will."""

LEAST_PLACE = timedelta(minutes=1)
"""How old a place in a queue is before anybody asks whether its task has ended."""


class HousekeepingActivities:
    """The activity that forgets, given what it needs by the composition root."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        monitor_reads: MonitorReads,
        requests: Requests,
        secret_bodies: SecretBodies,
        open_places: OpenPlaces,
        reset_gate: ResetGate,
        audit_log: AuditLog,
        event_log: EventLog,
        settings: Settings,
        longest_start: timedelta = LONGEST_START,
    ) -> None:
        self._client = client
        self._journal = journal
        self._monitor_reads = monitor_reads
        self._requests = requests
        self._secret_bodies = secret_bodies
        self._open_places = open_places
        self._reset_gate = reset_gate
        self._audit_log = audit_log
        self._event_log = event_log
        self._settings = settings
        self._longest_start = longest_start

    @activity.defn
    async def sweep(self) -> int:
        """Forget old rows, and the secrets of tasks that ended without doing so.

        Such a task was terminated, or never started. Returns how many secrets went.
        """
        now = datetime.now(UTC)
        with as_application_errors("housekeeping"):
            await self._journal.prune(now - KEPT_FOR)
            await self._monitor_reads.prune(now - KEPT_FOR)
            ended = now - ENDS_KEPT_FOR
            await self._requests.prune(now - REQUESTS_KEPT_FOR, ended)
            await self._prune_audit(now)
            await self._prune_events(now)
            await self._open_places.sweep(now - LEAST_PLACE)
            await self._reset_gate.sweep(now - LEAST_PLACE)
            return await self._sweep_secrets(now - self._longest_start)

    async def _prune_audit(self, now: datetime) -> None:
        kept_for = timedelta(days=self._settings.audit_days)
        await self._audit_log.prune(now - kept_for, self._settings.audit_entries)

    async def _prune_events(self, now: datetime) -> None:
        kept_for = timedelta(days=self._settings.event_days)
        await self._event_log.prune(now - kept_for, self._settings.event_entries)

    async def _sweep_secrets(self, kept_before: datetime) -> int:
        kept = await self._secret_bodies.kept_before(kept_before)
        swept = 0
        for reference, task_id in kept.items():
            if not await self._is_open(task_id):
                await self._secret_bodies.forget(reference)
                swept += 1
        return swept

    async def _is_open(self, task_id: str) -> bool:
        """Say whether a task may still need its secrets, or one of its steps: those of
        a killed task go on until they have ended.
        """
        its = task_id.replace("'", "''")
        query = f"ExecutionStatus = 'Running' AND WorkflowId STARTS_WITH '{its}:'"
        if await self._is_running(task_id):
            return True
        try:
            steps = self._client.list_workflows(query, rpc_timeout=RPC_TIMEOUT)
            return any([step.id.startswith(f"{task_id}:") async for step in steps])
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailableError(str(error)) from error

    async def _is_running(self, task_id: str) -> bool:
        handle = self._client.get_workflow_handle(task_id)
        try:
            found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise TemporalUnavailableError(str(error)) from error
        return found.close_time is None
