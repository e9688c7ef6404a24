"""Keep the apply time of a change that its source does not keep (DSP0266 7.12)."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from temporalio import activity
from temporalio.client import Client

from activities.errors import as_application_errors
from activities.finishing import finish
from activities.heartbeat import Beat, heartbeating
from activities.held_back import held_back
from activities.power_marks import PowerMark, power_mark
from activities.progress import Progress
from taskfish.errors import (
    PermanentError,
    SourceUnknownError,
    StoreUnavailableError,
    TemporalUnavailableError,
    TransientError,
)
from taskfish.plugins.connection import Connection
from taskfish.plugins.connections import Connections
from taskfish.plugins.protocol import Change
from taskfish.redfish.apply_time_support import action_of, supported_values
from taskfish.redfish.messages import base_message
from taskfish.redfish.operations import RESET_ACTION, owner_of_action
from taskfish.redfish.task import TaskState
from taskfish.store.reset_waits import ResetWait, ResetWaits

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 1.0
"""How late at most a change learns of a reset that waits for it."""
LONGEST_SILENT_PAUSE = 10.0
"""How long a source that does not answer is left alone."""


class ApplyTimesRequest(BaseModel):
    """A change of which the source is asked when it can apply it.

    One that does not answer is asked again for so many seconds.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    change: Change
    seconds: float = 120


class ResetWaitRequest(BaseModel):
    """Who waits for a reset of one of these systems, and until when at most.

    `systems` are URIs as in `/Systems/rack7.1`; `token` is the task's start.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    systems: tuple[str, ...]
    token: str
    task_id: str
    until: datetime | None = None


class ResetComing(BaseModel):
    """The task of this Id is about to reset the system, and waits for the change."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["reset_coming"] = "reset_coming"
    task: str


class ResetSeen(BaseModel):
    """The system was reset, by somebody who does not wait."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["reset_seen"] = "reset_seen"
    system: str


class WindowOver(BaseModel):
    """The window has closed, and no reset has come within it."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["window_over"] = "window_over"


class SourceGone(BaseModel):
    """The source of the systems was removed: no reset of theirs will be seen."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["source_gone"] = "source_gone"


ResetWaited = Annotated[
    ResetComing | ResetSeen | WindowOver | SourceGone, Field(discriminator="kind")
]


class ResetProgress(Progress):
    """What readers see of the wait, and what each system showed when it began."""

    before: dict[str, PowerMark] = {}


class ApplyTimeActivities:
    """Activities that keep apply times, given what they need by the worker."""

    def __init__(
        self, client: Client, connections: Connections, waits: ResetWaits
    ) -> None:
        self._client = client
        self._connections = connections
        self._waits = waits

    @activity.defn
    async def apply_times(self, request: ApplyTimesRequest) -> tuple[str, ...]:
        """Return the apply times that the source offers for the change.

        Empty if it offers none, or what it offers cannot be read. A source out of
        reach is an error that Temporal retries, until its time is over.
        """
        with as_application_errors(request.change.uri):
            async with heartbeating():
                try:
                    async with self._connections.open(request.source) as connection:
                        return await _offered(connection, request.change)
                except PermanentError:
                    return ()
                except TransientError:
                    if _seconds_since_the_first_attempt() < request.seconds:
                        raise
                    return ()

    @activity.defn
    async def await_reset(self, request: ResetWaitRequest) -> ResetWaited:
        """Wait until a system is about to be reset through the gateway, or was reset
        by somebody else; a retry goes on from the heartbeat's details.

        The rows stay only for a reset that is coming, which waits until the change is
        sent: one that was seen is over, and the next one is not to wait.
        """
        progress = _resumed() or _first_progress(request)
        with as_application_errors(request.systems[0]):
            async with heartbeating(progress) as beat:
                try:
                    waiting = _ResetWait(self, request, progress, beat)
                    waited = await waiting.until_reset()
                except asyncio.CancelledError:
                    if not activity.is_worker_shutdown():
                        await finish(self._waits.forget(request.token))
                    raise
                if not isinstance(waited, ResetComing):
                    await finish(self._waits.forget(request.token))
                return waited

    async def announced(self, request: ResetWaitRequest) -> str | None:
        """Return the task that is about to reset a system, None if there is none yet.

        Rows that somebody has taken for abandoned are made again.
        """
        rows = await self._waits.of(request.token)
        if len(rows) < len(set(request.systems)):
            await self.begin(request, afresh=False)
        for row in rows:
            if row.resetting is not None and await self._is_coming(row, row.resetting):
                return row.resetting
        return None

    async def _is_coming(self, wait: ResetWait, task_id: str) -> bool:
        """Say whether an announced reset is still to be made; forget one that is not,
        as when its task was cancelled while it waited.
        """
        if await held_back(self._client, task_id) is None:
            return True
        await self._waits.withdraw(wait)
        return False

    async def begin(self, request: ResetWaitRequest, *, afresh: bool) -> None:
        """Let resets know that the change waits."""
        await self._waits.add(
            request.systems, request.task_id, request.token, afresh=afresh
        )

    async def marks(
        self, request: ResetWaitRequest
    ) -> tuple[dict[str, PowerMark], float]:
        """Read what the systems show now, and how often the source may be asked."""
        found: dict[str, PowerMark] = {}
        async with self._connections.open(request.source) as connection:
            pause = connection.access.source.options.poll_seconds
            if connection.refused:
                return {}, LONGEST_SILENT_PAUSE
            for system in request.systems:
                mark = await power_mark(connection, system)
                if mark is not None:
                    found[system] = mark
        return found, pause


class _ResetWait:
    """One wait: what the systems showed first, and when they are asked again."""

    def __init__(
        self,
        activities: ApplyTimeActivities,
        request: ResetWaitRequest,
        progress: ResetProgress,
        beat: Beat,
    ) -> None:
        self._activities = activities
        self._request = request
        self._progress = progress
        self._beat = beat
        self._next_look = time.monotonic()

    async def until_reset(self) -> ResetWaited:
        """Ask the store often and the machine as often as it likes."""
        await self._activities.begin(self._request, afresh=_is_first_attempt())
        pause = FIRST_PAUSE
        while not self._is_over():
            task = await self._announced()
            if task is not None:
                return ResetComing(task=task)
            seen = await self._look()
            if seen is not None:
                return seen
            left = self._left()
            await asyncio.sleep(pause if left is None else max(0, min(pause, left)))
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return WindowOver()

    async def _announced(self) -> str | None:
        try:
            return await self._activities.announced(self._request)
        except (StoreUnavailableError, TemporalUnavailableError) as error:
            activity.logger.info("whether a reset is coming was not read: %s", error)
            return None

    async def _look(self) -> ResetSeen | SourceGone | None:
        """Look whether a system shows a reset, if it is time to look again."""
        if time.monotonic() < self._next_look:
            return None
        try:
            marks, pause = await self._activities.marks(self._request)
        except SourceUnknownError:
            return SourceGone()
        except (TransientError, PermanentError) as error:
            activity.logger.info("the power was not read: %s", error)
            marks, pause = {}, LONGEST_SILENT_PAUSE
        self._next_look = time.monotonic() + pause
        before = self._progress.before
        for system, mark in marks.items():
            if system in before and mark.tells_reset(before[system]):
                return ResetSeen(system=system)
        self._note(marks | before)
        return None

    def _note(self, before: dict[str, PowerMark]) -> None:
        """Keep what a system showed first, for an attempt after this one."""
        if before != self._progress.before:
            self._progress = self._progress.model_copy(update={"before": before})
            self._beat(self._progress)

    def _is_over(self) -> bool:
        left = self._left()
        return left is not None and left <= 0

    def _left(self) -> float | None:
        until = self._request.until
        return (until - datetime.now(UTC)).total_seconds() if until else None


async def _offered(connection: Connection, change: Change) -> tuple[str, ...]:
    """Read the annotation where it may stand: in the action, in the collection that
    gets a member, in the resource that is changed or in the collection it lies in.
    """
    if connection.refused:
        return ()
    if "/Actions/" in change.uri:
        owner = await _body(connection, owner_of_action(change.uri))
        name = change.uri.partition("/Actions/")[2].removeprefix("Oem/")
        return supported_values(action_of(owner, name))
    values = supported_values(await _body(connection, change.uri))
    if values or change.method == "POST":
        return values
    return supported_values(await _body(connection, change.uri.rpartition("/")[0]))


async def _body(connection: Connection, uri: str) -> JsonValue:
    answer = await connection.read(uri)
    return answer.body if answer.succeeded else None


def _first_progress(request: ResetWaitRequest) -> ResetProgress:
    systems = " or ".join(request.systems)
    message = base_message(
        "ResetRequired",
        f"{request.systems[0]}/Actions/{RESET_ACTION}",
        "ForceRestart",
        text=f"Waits for the next reset of {systems}.",
        resolution="Reset the system, or cancel the task.",
    )
    return ResetProgress(state=TaskState.PENDING, messages=(message,))


def _resumed() -> ResetProgress | None:
    """Return what the attempt before this one had last kept."""
    details = activity.info().heartbeat_details
    return ResetProgress.model_validate(details[0]) if details else None


def _seconds_since_the_first_attempt() -> float:
    return (datetime.now(UTC) - activity.info().scheduled_time).total_seconds()


def _is_first_attempt() -> bool:
    """Say whether the wait begins: a reset announced before was for another wait."""
    return activity.info().attempt == 1
