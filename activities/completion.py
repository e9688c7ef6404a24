"""Wait for a source's own task (D3): one long activity, whatever the task takes."""

import asyncio
import random
import time
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.errors import answer_to, as_application_errors
from activities.finishing import finish
from activities.heartbeat import Beat, heartbeating
from activities.machine_state import MachineState
from taskfish.errors import (
    CredentialsRefusedError,
    ForeignUriError,
    PermanentError,
    PluginTaskGoneError,
    PrivilegeMissingError,
    SourceUnreachableError,
    StoreUnavailableError,
    TemporalUnavailableError,
    TransientError,
    UnreadableAnswerError,
)
from taskfish.plugins.connections import Connections
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.messages import Message
from taskfish.redfish.task import PluginTask, TaskReport, TaskState
from taskfish.store.journal import Journal, JournalKey
from taskfish.temporal import RPC_TIMEOUT

FIRST_PAUSE = 0.2
LONGEST_RETRY_AFTER = 60.0
LONGEST_SILENT_PAUSE = 10.0
"""How long a source that does not answer is left alone at most."""
LAST_POLL_AT_MOST = 5.0
"""How long the stop of a worker waits for a poll: it may bring a final answer that
its source gives only once."""
_CANCELLED = (TaskState.CANCELLED, TaskState.KILLED)
SOURCE_CANCELLED = "the source has cancelled its task"
"""The fixed words with which a task is cancelled that its source has cancelled."""


# What a poll may meet on the way: a BMC that restarts answers all kinds of things.
_OUT_OF_REACH = (
    TransientError,
    CredentialsRefusedError,
    PrivilegeMissingError,
    UnreadableAnswerError,
)


class FollowRequest(BaseModel):
    """Which task of which source. `uri` is what the change was made to.

    `interrupted_after` is for how many seconds the source may be out of reach before
    the task shows as Interrupted.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    task: PluginTask
    key: JournalKey
    state: TaskState
    interrupted_after: float


class Ended(BaseModel):
    """The source's task has ended; `report.answer` is the final answer."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["ended"] = "ended"
    report: TaskReport


class Lost(BaseModel):
    """The source does not know its task any more, and how it ended was not seen."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["lost"] = "lost"
    reason: str
    percent: int = 0


Completion = Annotated[Ended | Lost, Field(discriminator="kind")]


class Progress(BaseModel):
    """What was last seen: the heartbeat's details, which readers show as they are.

    `sequence` counts the states; `percent` never goes back; `started` is the source's
    StartTime, by which a recycled id is told from the task that had it before.
    """

    model_config = ConfigDict(frozen=True)

    state: TaskState
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    messages: tuple[Message, ...] = ()
    sequence: int = 0
    started: datetime | None = None


class Observed(BaseModel):
    """A change of state, as the waiting activity signals it to its workflow."""

    model_config = ConfigDict(frozen=True)

    sequence: int
    state: TaskState


class CompletionActivities:
    """The activity that waits, given what it needs by the composition root."""

    def __init__(
        self,
        client: Client,
        connections: Connections,
        journal: Journal,
        machine_state: MachineState,
    ) -> None:
        self._client = client
        self._connections = connections
        self._journal = journal
        self._machine_state = machine_state

    @activity.defn
    async def await_completion(self, request: FollowRequest) -> Completion:
        """Poll until the task has ended; a retry goes on from the heartbeat's details.

        A source that cannot be reached is waited for; only the source can end this.
        """
        with as_application_errors(request.uri):
            entry = await self._journal.entry(request.key)
        completion: Completion
        if entry is not None and entry.final is not None:
            completion = Ended(report=TaskReport.model_validate(entry.final))
        else:
            completion = await self._wait(request)
        if isinstance(completion, Ended) and completion.report.state in _CANCELLED:
            with as_application_errors(request.uri):
                await self._cancel_workflow()
        return completion

    async def _wait(self, request: FollowRequest) -> Completion:
        """Poll until the end and journal it; a stop of the worker breaks off neither
        the poll that brings it nor the journaling.
        """
        progress = _resumed() or Progress(state=request.state)
        async with heartbeating(progress) as beat:
            completion = await _Waiting(self, request, progress, beat).until_ended()
            if isinstance(completion, Ended):
                await finish(self._keep(request, completion.report))
        return completion

    async def _cancel_workflow(self) -> None:
        """Have the workflow end as cancelled, as only Temporal can make it end."""
        try:
            await self._workflow().cancel(
                reason=SOURCE_CANCELLED, rpc_timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            raise TemporalUnavailableError(str(error)) from error

    def _workflow(self) -> WorkflowHandle[Any, Any]:
        info = activity.info()
        assert info.workflow_id is not None, "started by a workflow"
        return self._client.get_workflow_handle(
            info.workflow_id, run_id=info.workflow_run_id
        )

    async def poll(self, source: str, task: PluginTask) -> tuple[TaskReport, float]:
        """Ask the source once; return its report and the usual pause between polls."""
        async with self._connections.open(source) as connection:
            if connection.refused:
                raise SourceUnreachableError(
                    "the source refused the gateway's credentials; it is not asked "
                    "again until they are changed"
                )
            pause = connection.access.source.options.poll_seconds
            return await connection.poll(task), pause

    async def tell_workflow(self, observed: Observed) -> None:
        """Signal a change of state; a lost one is made good by the next."""
        try:
            await self._workflow().signal("observed", observed, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            activity.logger.info("the state was not signalled: %s", error.status.name)

    async def _keep(self, request: FollowRequest, report: TaskReport) -> None:
        assert report.answer is not None, "an ended task has an answer"
        short = report.model_copy(
            update={"answer": cut(report.answer, MAX_JOURNAL_BODY)}
        )
        try:
            await self._journal.finished(
                request.key,
                short.model_dump(mode="json", by_alias=True),
                created=next(iter(report.created), None),
            )
        except StoreUnavailableError:
            activity.logger.warning("the end of %s is not journaled", request.key)
        await self._machine_state.refresh(request.source, request.uri)


class _Waiting:
    """One wait: what was seen, since when the source is silent, how long to pause."""

    def __init__(
        self,
        activities: CompletionActivities,
        request: FollowRequest,
        progress: Progress,
        beat: Beat,
    ) -> None:
        self._activities = activities
        self._request = request
        self._progress = progress
        self._beat = beat
        self._pause = FIRST_PAUSE
        self._silent_since: float | None = None

    async def until_ended(self) -> Completion:
        """Poll, tell what changed, pause; return how it ended."""
        while True:
            try:
                poll = self._activities.poll(self._request.source, self._task())
                report, usual = await finish(poll, LAST_POLL_AT_MOST)
            except PluginTaskGoneError as error:
                return Lost(reason=str(error), percent=self._progress.percent)
            except _OUT_OF_REACH as error:
                await self._out_of_reach()
                retry_after = getattr(error, "retry_after", None)
                usual = LONGEST_SILENT_PAUSE
            except ForeignUriError as error:
                answer = answer_to(error, self._request.uri)
                state = TaskState.EXCEPTION
                return Ended(report=self._last(TaskReport(state=state, answer=answer)))
            except PermanentError as error:
                return Lost(reason=str(error), percent=self._progress.percent)
            else:
                self._silent_since = None
                retry_after = report.retry_after
                if report.answer is not None:
                    return Ended(report=self._last(report))
                await self._show_report(report)
            if activity.is_cancelled() or activity.is_worker_shutdown():
                raise asyncio.CancelledError
            await asyncio.sleep(self._next_pause(usual, retry_after))

    def _task(self) -> PluginTask:
        """Return the task to ask for, with the StartTime once it is known."""
        started = self._request.task.started or self._progress.started
        return self._request.task.model_copy(update={"started": started})

    async def _show_report(self, report: TaskReport) -> None:
        before = self._progress
        await self._show(
            report.state,
            percent=max(before.percent, report.percent or 0),
            messages=report.messages or before.messages,
            started=before.started or report.started,
        )

    async def _show(self, state: TaskState, **seen: Any) -> None:
        """Beat what is new; tell the workflow of a new state."""
        before = self._progress
        changed = state is not before.state
        sequence = before.sequence + changed
        update = {"state": state, "sequence": sequence, **seen}
        self._progress = before.model_copy(update=update)
        if self._progress != before:
            self._beat(self._progress)
            self._pause = FIRST_PAUSE
        if changed:
            await self._activities.tell_workflow(
                Observed(sequence=self._progress.sequence, state=state)
            )

    async def _out_of_reach(self) -> None:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        if now - self._silent_since >= self._request.interrupted_after:
            await self._show(TaskState.INTERRUPTED)

    def _last(self, report: TaskReport) -> TaskReport:
        """Return the last report: its answer not too long, its percent no less."""
        assert report.answer is not None, "an ended task has an answer"
        percent = max(self._progress.percent, report.percent or 0)
        return report.model_copy(
            update={"answer": cut(report.answer), "percent": percent}
        )

    def _next_pause(self, usual: float, retry_after: float | None) -> float:
        """Return Retry-After if the source gave one, else back off up to the usual."""
        if retry_after is not None:
            return min(max(retry_after, FIRST_PAUSE), LONGEST_RETRY_AFTER)
        pause = min(self._pause, usual)
        self._pause = pause * 1.5
        return pause * random.uniform(0.9, 1.1)


def _resumed() -> Progress | None:
    """Return what the attempt before this one had last seen."""
    details = activity.info().heartbeat_details
    return Progress.model_validate(details[0]) if details else None
