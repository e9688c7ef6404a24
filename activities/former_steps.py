"""End what follows a step for a run of its operation that Temporal has reset."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import as_application_errors
from activities.open_places import token_of
from taskfish.errors import TemporalUnavailableError
from taskfish.temporal import RPC_TIMEOUT

_REASON = "its operation was reset: another run of it goes on with what it has sent"


class FormerStep(BaseModel):
    """The workflow of a step, and the token of its start."""

    model_config = ConfigDict(frozen=True)

    workflow_id: str
    token: str


class FormerSteps:
    """The activity, given what it needs by the composition root."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def end_former_step(self, step: FormerStep) -> bool:
        """Terminate the open run of this very step, if there is one; False if the run
        is that of another task's step.

        A reset of an operation leaves the children of its former run running, and they
        keep their workflow ids. What such a one has sent goes on at its source: the
        next run of the step finds it by the journal and follows it (D4).
        """
        handle = self._client.get_workflow_handle(step.workflow_id)
        with as_application_errors(step.workflow_id):
            try:
                run = await handle.describe(rpc_timeout=RPC_TIMEOUT)
                if await token_of(run) != step.token:
                    return False
                its_run = self._client.get_workflow_handle(run.id, run_id=run.run_id)
                await its_run.terminate(reason=_REASON, rpc_timeout=RPC_TIMEOUT)
            except RPCError as error:
                # It has ended meanwhile.
                if error.status is not RPCStatusCode.NOT_FOUND:
                    words = "Temporal does not answer"
                    raise TemporalUnavailableError(words) from error
        return True
