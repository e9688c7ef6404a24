"""What is done to a running task from outside: signals, cancel, terminate.

Reasons are fixed words, because Temporal keeps them in clear text; who has asked is
an argument, which is encrypted (contracts.md 3).
"""

from collections.abc import Awaitable

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from taskfish.temporal import RPC_TIMEOUT

CANCEL_SIGNAL = "Cancel"
SUSPEND_SIGNAL = "Suspend"
RESUME_SIGNAL = "Resume"
SET_TAGS_SIGNAL = "SetTags"
PAUSE_BEFORE_SIGNAL = "PauseBefore"
_CANCELLED = "cancelled through Redfish"
_KILLED = "killed through Redfish"


class TaskCommands:
    """Commands to one run. Each returns False, and does nothing, if it has ended.

    Raises `TemporalUnavailableError` when Temporal is silent; any may be repeated.
    """

    def __init__(self, client: Client, view: TaskView) -> None:
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
        return await _done(
            self._handle.cancel(reason=_CANCELLED, rpc_timeout=RPC_TIMEOUT)
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

    async def kill(self, by: str) -> bool:
        """End it at once, whatever its source does; keep who did and how far it was."""
        return await _done(
            self._handle.terminate(
                by, self._view.percent, reason=_KILLED, rpc_timeout=RPC_TIMEOUT
            )
        )

    async def _signal(self, name: str, *said: str | list[str]) -> bool:
        return await _done(
            self._handle.signal(name, args=said, rpc_timeout=RPC_TIMEOUT)
        )


async def _done(call: Awaitable[None]) -> bool:
    try:
        await call
    except TEMPORAL_FAULTS as error:
        if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise unavailable(error) from error
    return True
