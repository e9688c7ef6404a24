"""Whether a change is still to be made: asked of Temporal just before it counts."""

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.progress import SUSPENDED_MEMO
from taskfish.errors import TemporalUnavailableError
from taskfish.temporal import RPC_TIMEOUT

_NO_SUCH_RUN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


async def held_back(
    client: Client, task_id: str, run_id: str | None = None
) -> str | None:
    """Return why the change of a task is not to be sent now, None if it is.

    Without `run_id` the task's newest run is asked for. Raises
    `TemporalUnavailableError`: as long as Temporal is silent nobody knows.
    """
    handle = client.get_workflow_handle(task_id, run_id=run_id)
    try:
        run = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except (RPCError, RuntimeError) as error:
        if isinstance(error, RPCError) and error.status in _NO_SUCH_RUN:
            return "its task was removed before it was sent"
        raise TemporalUnavailableError(
            "Temporal does not say whether the change is still wanted"
        ) from error
    if run.close_time is not None:
        return "its task had ended before it was sent"
    if run.raw_description.workflow_extended_info.cancel_requested:
        return "it was cancelled before it was sent"
    if (await run.memo()).get(SUSPENDED_MEMO) is not None:
        return "it was suspended before it was sent"
    return None
