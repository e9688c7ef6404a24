"""What is done to a running task from outside: signals, cancel, terminate.

A bulk operation may go on as a new run meanwhile: then that is told.

Reasons are fixed words, because Temporal keeps them in clear text; who has asked is
an argument, which is encrypted (contracts.md 3).
"""

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.client import Client, WorkflowHandle

from activities.task_subjects import first_run_of
from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS, says_no_such_run, unavailable
from taskfish.redfish.step_plan import step_workflow
from taskfish.temporal import RPC_TIMEOUT

CANCEL_SIGNAL = "Cancel"
SUSPEND_SIGNAL = "Suspend"
RESUME_SIGNAL = "Resume"
SET_TAGS_SIGNAL = "SetTags"
PAUSE_BEFORE_SIGNAL = "PauseBefore"
_CANCELLED = "cancelled through Redfish"
_KILLED = "killed through Redfish"
MOST_RUNS_MET = 5
"""How many runs of a task are tried that end one after the other meanwhile."""

Run = WorkflowHandle[Any, Any]


class TaskCommands:
    """Commands to one task. Each returns False, and does nothing, if it has ended.

    Raises `TemporalUnavailableError` when Temporal is silent; any may be repeated.
    """

    def __init__(self, client: Client, view: TaskView) -> None:
        self._client = client
        self._view = view
        self._handle = client.get_workflow_handle(view.id, run_id=view.run_id)

    async def cancel(self, by: str) -> bool:
        """Ask it to cancel; once its source has refused an abort, by signal only.

        The signal goes first: with the cancel the workflow knows who has asked.
        """
        if not await self._signal(CANCEL_SIGNAL, by):
            return False
        if self._view.abort_refused:
            return True
        return await self._done(
            lambda run: run.cancel(reason=_CANCELLED, rpc_timeout=RPC_TIMEOUT)
        )

    async def suspend(self, by: str) -> bool:
        """Ask it to begin nothing more, and its source to pause what runs."""
        return await self._signal(SUSPEND_SIGNAL, by)

    async def resume(self, by: str) -> bool:
        """Ask it to go on."""
        return await self._signal(RESUME_SIGNAL, by)

    async def set_tags(self, tags: list[str]) -> bool:
        """Ask it to show other tags."""
        return await self._signal(SET_TAGS_SIGNAL, tags)

    async def pause_before(self, steps: list[str], by: str) -> bool:
        """Ask it to hold before these steps."""
        return await self._signal(PAUSE_BEFORE_SIGNAL, steps, by)

    async def tell_steps_of_kill(self, by: str) -> None:
        """Tell the steps that run who ends them: Temporal cancels them without a name
        when their operation is killed.
        """
        who = f"{by}, who has killed its operation,"
        for name in self._view.running:
            step = self._client.get_workflow_handle(step_workflow(self._view.id, name))
            await _told(step.signal(CANCEL_SIGNAL, who, rpc_timeout=RPC_TIMEOUT))

    async def kill(self, by: str) -> bool:
        """End it at once, whatever its source does; keep who did and how far it was."""
        return await self._done(
            lambda run: run.terminate(
                by, self._view.percent, reason=_KILLED, rpc_timeout=RPC_TIMEOUT
            )
        )

    async def _signal(self, name: str, *said: Any) -> bool:
        return await self._done(
            lambda run: run.signal(name, args=said, rpc_timeout=RPC_TIMEOUT)
        )

    async def _done(self, call: Callable[[Run], Awaitable[None]]) -> bool:
        """Tell the run, or the one that the task has gone on as since."""
        for _ in range(MOST_RUNS_MET):
            if await _told(call(self._handle)):
                return True
            if not await self._has_gone_on():
                return False
        return False

    async def _has_gone_on(self) -> bool:
        """Say whether the task runs on as another run; then that is told from now."""
        newest = self._client.get_workflow_handle(self._view.id)
        try:
            found = await newest.describe(rpc_timeout=RPC_TIMEOUT)
        except TEMPORAL_FAULTS as error:
            if says_no_such_run(error):
                return False
            raise unavailable(error) from error
        is_another = found.run_id != self._handle.run_id
        if found.close_time is not None or not is_another:
            return False
        if first_run_of(found) != self._view.first_run_id:
            return False
        self._handle = self._client.get_workflow_handle(
            self._view.id, run_id=found.run_id
        )
        return True


async def _told(call: Awaitable[None]) -> bool:
    """Say whether a run was there to be told; raise `TemporalUnavailableError`."""
    try:
        await call
    except TEMPORAL_FAULTS as error:
        if says_no_such_run(error):
            return False
        raise unavailable(error) from error
    return True
