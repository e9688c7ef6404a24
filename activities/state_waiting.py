"""Read a resource until it is there, and shows what is wanted of it."""

import asyncio
import random
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, JsonValue
from temporalio import activity

from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from activities.progress import Progress
from taskfish.errors import TransientError
from taskfish.plugins.connections import Connections
from taskfish.redfish.conditions import Condition, short
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.messages import task_message
from taskfish.redfish.task import Answer, TaskState

LONGEST_PAUSE = 30.0
_NOT_THERE = (404, 410)


class StateRequest(BaseModel):
    """Which resource, and what it is to show; without `until` it must only be there."""

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    until: Condition | None = None


class StateActivities:
    """The activity, given what it needs by the composition root."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @activity.defn
    async def await_state(self, request: StateRequest) -> Answer:
        """Read it again and again until it is as wanted; then return what it is.

        What it shows meanwhile is the heartbeat's details. A source that is out of
        reach is waited for; one that refuses for good (4xx, but not 404) has answered.
        """
        with as_application_errors(request.uri):
            async with heartbeating() as beat:
                shown, pause, settling = "", 0.0, Settling(request.until)
                while True:
                    answer, words = await self._read(request, settling)
                    if answer is not None:
                        return answer
                    if words != shown:
                        shown = words
                        beat(_waits(words))
                    pause = await self._pause(request.source, pause)

    async def _read(
        self, request: StateRequest, settling: "Settling"
    ) -> tuple[Answer | None, str]:
        """Return the answer that ends the wait, or what is still in the way."""
        uri, until = request.uri, request.until
        try:
            async with self._connections.open(request.source) as connection:
                answer = await connection.read(uri)
        except TransientError as error:
            return None, f"Waits until {uri} can be read: {error}."
        if answer.status in _NOT_THERE or answer.status >= 500:
            return None, f"Waits until {uri} is there: it answers {answer.status}."
        if not answer.succeeded or until is None:
            return cut(answer, MAX_JOURNAL_BODY), ""
        if settling.counts(answer.body):
            return cut(answer, MAX_JOURNAL_BODY), ""
        words = f"Waits until {uri} {until.words}"
        if until.holds(answer.body):
            return None, f"{words}, though it may do so from before."
        return None, f"{words}: it shows {short(until.shown(answer.body))}."

    async def _pause(self, source: str, before: float) -> float:
        """Wait as often as the source is to be polled, then ever longer."""
        async with self._connections.open(source) as connection:
            first = connection.access.source.options.poll_seconds
        pause = min(max(before * 1.2, first), max(LONGEST_PAUSE, first))
        await asyncio.sleep(pause * random.uniform(0.9, 1.1))
        return pause


class Settling:
    """Whether what a resource shows counts already (`Condition`).

    A retry of the activity has seen nothing of what was shown before it; its time goes
    on.
    """

    def __init__(self, until: Condition | None) -> None:
        self._until = until
        self._seen_otherwise = False

    def counts(self, body: JsonValue) -> bool:
        """Take note of what is shown now; say whether that is what is waited for."""
        until = self._until
        if until is None or not until.holds(body):
            self._seen_otherwise = True
            return until is None
        is_proven = until.proof is not None and until.proof.holds(body)
        waited = datetime.now(UTC) - activity.info().scheduled_time
        is_settled = waited.total_seconds() >= until.settles
        return is_proven or self._seen_otherwise or is_settled


def _waits(words: str) -> Progress:
    name = activity.info().workflow_id or ""
    message = task_message("TaskProgressChanged", name, "0", text=words)
    return Progress(state=TaskState.RUNNING, messages=(message,))
