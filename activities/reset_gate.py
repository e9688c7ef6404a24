"""What a reset lets go first: the changes that wait for it (contracts.md 4)."""

import asyncio
import logging
import time
from datetime import datetime

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from activities.held_back import held_back
from taskfish.errors import TemporalUnavailableError
from taskfish.redfish.task import TaskState
from taskfish.redfish.task_memo import TASK_MEMO
from taskfish.store.reset_waits import ResetWait, ResetWaits
from taskfish.temporal import RPC_TIMEOUT, TASK_STATE

LONGEST_WAIT = 60.0
"""Seconds after which a reset no longer waits for changes that are not sent."""
MOST_A_SWEEP = 1000
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5
_NO_SUCH_RUN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
_NOT_SENT = (TaskState.NEW, TaskState.PENDING, TaskState.STARTING)
_WAITING_TASKS = (
    "TaskOperation IS NOT NULL AND ExecutionStatus = 'Running' "
    "AND TaskState IN ('Pending', 'Suspended')"
)

logger = logging.getLogger(__name__)


class ResetGate:
    """Where a reset waits until what waits for it has been sent."""

    def __init__(self, client: Client, waits: ResetWaits) -> None:
        self._client = client
        self._waits = waits

    async def let_pass(self, system: str, task_id: str) -> str | None:
        """Announce a reset to the changes that wait for one of this system, and wait
        until they have been answered, for a minute at most.

        Returns why the reset is not to be sent if its task was cancelled or suspended
        meanwhile. Where nothing waits it costs one read of the store. Raises
        StoreUnavailableError.
        """
        given_up_at, pause = time.monotonic() + LONGEST_WAIT, FIRST_PAUSE
        while waits := await self._waits.on(system):
            held_by = [wait for wait in waits if await self._holds(wait, task_id)]
            if not held_by:
                return None
            reason = await self._reason_to_stop(task_id)
            if reason is not None:
                return reason
            if time.monotonic() >= given_up_at:
                tasks = ", ".join(wait.task_id for wait in held_by)
                logger.warning(
                    "%s is reset though %s, which waits for that, was not sent in "
                    "%d seconds",
                    system,
                    tasks,
                    LONGEST_WAIT,
                )
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return None

    async def forget(self, token: str) -> None:
        """Note that a change has been sent and answered."""
        await self._waits.forget(token)

    async def sweep(self, since_before: datetime) -> None:
        """Forget what ended tasks have left behind on systems that nobody resets.

        Looks closer only at what Temporal does not list as waiting, at 1000 at most.
        Raises TemporalUnavailableError.
        """
        by_token = {wait.token: wait for wait in await self._waits.before(since_before)}
        if not by_token:
            return
        waiting = await self._waiting_tasks()
        left = [each for each in by_token.values() if each.task_id not in waiting]
        for wait in left[:MOST_A_SWEEP]:
            await self._state_or_forget(wait)

    async def _waiting_tasks(self) -> set[str]:
        try:
            return {
                run.id
                async for run in self._client.list_workflows(
                    _WAITING_TASKS, page_size=1000, rpc_timeout=RPC_TIMEOUT
                )
            }
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailableError("Temporal lists no tasks") from error

    async def _holds(self, wait: ResetWait, task_id: str) -> bool:
        """Say whether a change is yet to be sent before the reset, and announce it.

        One that is suspended waits for a later reset.
        """
        if await self._state_or_forget(wait) not in _NOT_SENT:
            return False
        if wait.resetting != task_id:
            await self._waits.announce(wait, task_id)
        return True

    async def _state_or_forget(self, wait: ResetWait) -> TaskState | None:
        """Return the state of what waits; one that has ended, or is sent, is forgotten.

        While Temporal is silent it is taken to wait.
        """
        try:
            run = await self._describe(wait.task_id)
            state = await _state_of(run, wait.token) if run else None
        except (RPCError, RuntimeError) as error:
            logger.info("the state of %s was not read: %s", wait.task_id, error)
            return TaskState.PENDING
        if state not in (*_NOT_SENT, TaskState.SUSPENDED):
            await self._waits.forget(wait.token)
        return state

    async def _reason_to_stop(self, task_id: str) -> str | None:
        try:
            return await held_back(self._client, task_id)
        except TemporalUnavailableError:
            return None

    async def _describe(self, task_id: str) -> WorkflowExecutionDescription | None:
        """Return the newest run of a task, None if Temporal knows none."""
        handle = self._client.get_workflow_handle(task_id)
        try:
            return await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status in _NO_SUCH_RUN:
                return None
            raise


async def _state_of(run: WorkflowExecutionDescription, token: str) -> TaskState | None:
    """Return the state of the run that has this token; None if it has ended."""
    request = (await run.memo()).get(TASK_MEMO)
    if not isinstance(request, dict) or request.get("token") != token:
        return None
    if run.close_time is not None:
        return None
    return TaskState(run.typed_search_attributes.get(TASK_STATE) or TaskState.NEW)
