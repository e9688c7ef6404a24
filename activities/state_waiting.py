"""Read a resource until it is there, and shows what is wanted of it."""

import asyncio
import random

from jsonpointer import JsonPointer, JsonPointerException
from pydantic import BaseModel, ConfigDict, JsonValue
from temporalio import activity

from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from activities.progress import Progress
from taskfish.errors import TransientError
from taskfish.plugins.connections import Connections
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.messages import task_message
from taskfish.redfish.steps import Condition
from taskfish.redfish.task import Answer, TaskState

LONGEST_PAUSE = 30.0
_NOT_THERE = (404, 410)
_SHOWN = 200
"""Characters of a value that are told of."""


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
                shown, pause = "", 0.0
                while True:
                    answer, words = await self._read(request)
                    if answer is not None:
                        return answer
                    if words != shown:
                        shown = words
                        beat(_waits(words))
                    pause = await self._pause(request.source, pause)

    async def _read(self, request: StateRequest) -> tuple[Answer | None, str]:
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
        value = _value_at(until.pointer, answer.body)
        if value == until.value:
            return cut(answer, MAX_JOURNAL_BODY), ""
        words = f"Waits until {uri} shows {until.value} at {until.pointer}: it shows "
        return None, f"{words}{str(value)[:_SHOWN]}."

    async def _pause(self, source: str, before: float) -> float:
        """Wait as often as the source is to be polled, then ever longer."""
        async with self._connections.open(source) as connection:
            first = connection.access.source.options.poll_seconds
        pause = min(max(before * 1.2, first), max(LONGEST_PAUSE, first))
        await asyncio.sleep(pause * random.uniform(0.9, 1.1))
        return pause


def _value_at(pointer: str, body: JsonValue) -> JsonValue:
    """Return the value there, None for none."""
    try:
        value: JsonValue = JsonPointer(pointer).resolve(body)
    except JsonPointerException:
        return None
    return value


def _waits(words: str) -> Progress:
    name = activity.info().workflow_id or ""
    message = task_message("TaskProgressChanged", name, "0", text=words)
    return Progress(state=TaskState.RUNNING, messages=(message,))
