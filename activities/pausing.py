"""Tell a source to suspend its task, or to go on with it."""

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from taskfish.errors import PauseRefusedError, PluginTaskGoneError
from taskfish.plugins.connections import Connections
from taskfish.redfish.task import PluginTask


class PauseRequest(BaseModel):
    """Which task of which source; `uri` is what the change was made to.

    `resumes` asks it to go on.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    task: PluginTask
    resumes: bool


class PauseAnswer(BaseModel):
    """Whether the source has taken it on; `reason` is why not."""

    model_config = ConfigDict(frozen=True)

    accepted: bool
    reason: str = ""


class PauseActivities:
    """The activity that pauses, given what it needs by the composition root."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @activity.defn
    async def pause_task(self, request: PauseRequest) -> PauseAnswer:
        """Ask the source to suspend or resume; asking twice does no harm."""
        with as_application_errors(request.uri):
            async with heartbeating():
                return await self._ask(request)

    async def _ask(self, request: PauseRequest) -> PauseAnswer:
        async with self._connections.open(request.source) as connection:
            ask = connection.resume if request.resumes else connection.pause
            try:
                await ask(request.task)
            except (PauseRefusedError, PluginTaskGoneError) as error:
                return PauseAnswer(accepted=False, reason=str(error))
        return PauseAnswer(accepted=True)
