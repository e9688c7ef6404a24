"""Wait until a change waits for a reset of its machine: then the reset may be sent."""

import asyncio

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError

from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from taskfish.errors import TemporalUnavailableError
from taskfish.store.reset_waits import ResetWaits
from taskfish.temporal import PLUGIN_TASK, RPC_TIMEOUT

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


class HeldChange(BaseModel):
    """The workflow of the change, and the token of its start."""

    model_config = ConfigDict(frozen=True)

    workflow_id: str
    token: str
    system: str


class HeldActivities:
    """The activity, given what it needs by the composition root."""

    def __init__(self, client: Client, waits: ResetWaits) -> None:
        self._client = client
        self._waits = waits

    @activity.defn
    async def await_held(self, change: HeldChange) -> None:
        """Return once the change waits at the gateway or at its source, or has ended.

        At the gateway it does when the store has its row, which a reset looks for.
        """
        pause = FIRST_PAUSE
        with as_application_errors(change.system):
            async with heartbeating():
                while not await self._is_held(change):
                    await asyncio.sleep(pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)

    async def _is_held(self, change: HeldChange) -> bool:
        waits = await self._waits.on(change.system)
        if any(wait.token == change.token for wait in waits):
            return True
        run = await self._described(change.workflow_id)
        is_at_source = run.typed_search_attributes.get(PLUGIN_TASK) is not None
        return is_at_source or run.close_time is not None

    async def _described(self, workflow_id: str) -> WorkflowExecutionDescription:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            return await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailableError("Temporal does not answer") from error
