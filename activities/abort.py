"""Tell a source to abort its task (D6). Whether it has ended, only the wait knows."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from taskfish.errors import AbortRefusedError, PluginTaskGoneError
from taskfish.plugins.connections import Connections
from taskfish.redfish.task import PluginTask


class AbortRequest(BaseModel):
    """Which task of which source; `uri` is what the change was made to."""

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    task: PluginTask


class AbortAnswer(BaseModel):
    """Whether the source aborts: "refused" means that its task goes on, "over" that
    it does not know it (any more).
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["accepted", "refused", "over"]
    reason: str = ""


class AbortActivities:
    """The activity that aborts, given what it needs by the composition root."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @activity.defn
    async def abort(self, request: AbortRequest) -> AbortAnswer:
        """Ask the source to abort; asking twice does no harm, so it is retried."""
        with as_application_errors(request.uri):
            async with heartbeating():
                return await self._abort(request)

    async def _abort(self, request: AbortRequest) -> AbortAnswer:
        async with self._connections.open(request.source) as connection:
            try:
                await connection.abort(request.task)
            except AbortRefusedError as error:
                return AbortAnswer(kind="refused", reason=str(error))
            except PluginTaskGoneError:
                # An attempt before this one may have been the end of it.
                is_first = activity.info().attempt == 1
                return AbortAnswer(kind="over" if is_first else "accepted")
        return AbortAnswer(kind="accepted")
