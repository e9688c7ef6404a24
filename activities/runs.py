"""Runs in Temporal as the removal sees them: described, and deleted."""

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from taskfish.errors import TemporalUnavailableError
from taskfish.temporal import RPC_TIMEOUT

_NO_SUCH_RUN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


async def described(
    client: Client, workflow_id: str, run_id: str | None = None
) -> WorkflowExecutionDescription | None:
    """Return a run, the newest without `run_id`; None if Temporal knows none.

    Raises `TemporalUnavailableError`.
    """
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    try:
        return await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except (RPCError, RuntimeError) as error:
        if isinstance(error, RPCError) and error.status in _NO_SUCH_RUN:
            return None
        raise removal_unavailable(error) from error


async def delete_run(client: Client, workflow_id: str, run_id: str) -> None:
    """Have Temporal delete a run, which it does in the background; one that is gone is
    no fault. Raises `TemporalUnavailableError`.
    """
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
    )
    try:
        await client.workflow_service.delete_workflow_execution(
            request, timeout=RPC_TIMEOUT
        )
    except (RPCError, RuntimeError) as error:
        if isinstance(error, RPCError) and error.status in _NO_SUCH_RUN:
            return
        raise removal_unavailable(error) from error


def removal_unavailable(error: Exception) -> TemporalUnavailableError:
    """Return what is raised while Temporal is silent."""
    return TemporalUnavailableError(f"Temporal does not remove tasks: {error}")
