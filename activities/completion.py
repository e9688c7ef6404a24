"""Wait for a source's own task (D3): one long activity, whatever the task takes."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.errors import answer_to, as_application_errors
from activities.finishing import finish
from activities.heartbeat import Beat, heartbeating
from activities.machine_state import MachineState
from activities.news import Listening, NewsDesk
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
from taskfish.redfish.echoes import Echoes
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.messages import Message
from taskfish.redfish.task import PluginTask, TaskReport, TaskState
from taskfish.redfish.task_events import TaskSubject
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal, JournalKey
from taskfish.store.secret_bodies import SecretBodies
from taskfish.temporal import RPC_TIMEOUT

FIRST_PAUSE = 0.2
LONGEST_RETRY_AFTER = 60.0
SHORTEST_AFTER_NEWS = 0.1
"""How long a task is left alone after a poll, whatever its source tells; doubled with
each poll that news caused and that showed nothing new, up to the usual pause."""
AFTER_NEWS = 1.0
"""How soon is asked again after a poll that news caused, whatever Retry-After says: an
event may be a moment before the task that it is about."""
LONGEST_SILENT_PAUSE = 10.0
"""How long a source that does not answer is left alone at most."""
A_PROGRESS_AT_LEAST = 1.0
"""How many seconds lie between two events of a task's progress."""
LEAST_POLL = 1.0
"""How long a poll may take however little time is left: it may bring what its source
says only once."""
LAST_POLL_AT_MOST = 5.0
"""How long the stop of a worker waits for a poll: it may bring a final answer that
its source gives only once."""
_CANCELLED = (TaskState.CANCELLED, TaskState.KILLED)
SUSPENDED_MEMO = "suspended"
"""The memo's key under which a workflow says who has suspended it."""
SOURCE_CANCELLED = "the source has cancelled its task"
"""The fixed words with which a task is cancelled that its source has cancelled."""


# What a poll may meet on the way: a BMC that restarts answers all kinds of things.
_OUT_OF_REACH = (
    TransientError,
    CredentialsRefusedError,
    PrivilegeMissingError,
    UnreadableAnswerError,
)


class Progress(BaseModel):
    """What was last seen: the heartbeat's details, which readers show as they are.

    `sequence` counts the states; `percent` never goes back; `started` is the source's
    StartTime, by which a recycled id is told from the task that had it before.
    `abortable` is False if the source says so of its task; `pausable` if it offers to
    suspend it. `left` is for how many seconds after `as_of` the task may go on, None
    without a deadline; while `stands_still` no time is counted. `silent_since` is since
    when the source is out of reach, once that interrupts the task, `silence` how.
    """

    model_config = ConfigDict(frozen=True)

    state: TaskState
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    messages: tuple[Message, ...] = ()
    sequence: int = 0
    started: datetime | None = None
    abortable: bool | None = None
    pausable: bool = False
    left: float | None = None
    as_of: datetime | None = None
    stands_still: bool = False
    silent_since: datetime | None = None
    silence: str = ""


class FollowRequest(BaseModel):
    """Which task of which source. `uri` is what the change was made to.

    `interrupted_after` is for how many seconds the source may be out of reach before
    the task shows as Interrupted. After `deadline` it is not waited for any longer.
    `grace_after` is what an earlier wait had seen at its own deadline: this one is the
    time to abort it, and nothing stops its clock. `secret_body` refers to the body with
    its secrets, which the source's words are not to repeat. `subject` is what the
    events of its progress are about, None if there are to be none.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    task: PluginTask
    key: JournalKey
    state: TaskState
    interrupted_after: float
    deadline: datetime | None = None
    grace_after: Progress | None = None
    secret_body: str | None = None
    subject: TaskSubject | None = None


class Ended(BaseModel):
    """The source's task has ended; `report.answer` is the final answer.

    `power_state` is the machine's, read after the end.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["ended"] = "ended"
    report: TaskReport
    power_state: str | None = None


class Lost(BaseModel):
    """The source does not know its task any more, and how it ended was not seen."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["lost"] = "lost"
    reason: str
    percent: int = 0
    power_state: str | None = None


class DeadlinePassed(BaseModel):
    """The task goes on at the source, but its time is over."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["deadline_passed"] = "deadline_passed"
    progress: Progress
    power_state: str | None = None


Completion = Annotated[Ended | Lost | DeadlinePassed, Field(discriminator="kind")]


class Observed(BaseModel):
    """A change of state, as the waiting activity signals it to its workflow.

    `run_id` is the workflow's: a reset brings the signals of the run before it.
    """

    model_config = ConfigDict(frozen=True)

    sequence: int
    state: TaskState
    run_id: str | None = None
    percent: int = 0


class CompletionActivities:
    """The activity that waits, given what it needs by the composition root."""

    def __init__(
        self,
        client: Client,
        connections: Connections,
        journal: Journal,
        secret_bodies: SecretBodies,
        machine_state: MachineState,
        event_log: EventLog,
        news: NewsDesk,
    ) -> None:
        self._client = client
        self._connections = connections
        self._journal = journal
        self._secret_bodies = secret_bodies
        self._machine_state = machine_state
        self._event_log = event_log
        self._news = news

    @activity.defn
    async def await_completion(self, request: FollowRequest) -> Completion:
        """Poll until the task has ended; a retry goes on from the heartbeat's details.

        A source that cannot be reached is waited for; only the source or the deadline
        can end this.
        """
        with as_application_errors(request.uri):
            entry = await self._journal.entry(request.key)
            progress = _resumed() or _first_progress(request)
            async with heartbeating(progress) as beat:
                if entry is not None and entry.final is not None:
                    report = TaskReport.model_validate(entry.final)
                    completion: Completion = Ended(report=report)
                else:
                    echoes = await self._echoes(request)
                    with self._news.listening(request.task) as listening:
                        waiting = _Waiting(
                            self, request, progress, beat, echoes, listening
                        )
                        completion = await self._wait(request, waiting)
                power_state = await self._power_state(request, completion)
            if isinstance(completion, Ended) and completion.report.state in _CANCELLED:
                await self._cancel_workflow()
            return completion.model_copy(update={"power_state": power_state})

    async def _power_state(
        self, request: FollowRequest, completion: Completion
    ) -> str | None:
        """Read the machine's PowerState after the end, or at the end of the grace; a
        stop of the worker breaks this off no more than the last poll.
        """
        if isinstance(completion, DeadlinePassed) and request.grace_after is None:
            return None
        reading = self._machine_state.refresh(request.source, request.uri)
        return await finish(reading)

    async def _wait(self, request: FollowRequest, waiting: "_Waiting") -> Completion:
        """Poll until the end and journal it; a stop of the worker breaks off neither
        the poll that brings it nor the journaling.
        """
        completion = await waiting.until_ended()
        if isinstance(completion, Ended):
            await finish(self._keep(request, completion.report))
        return completion

    async def _echoes(self, request: FollowRequest) -> Echoes:
        """Return the request's secrets, which are kept until its task has ended."""
        if request.secret_body is None:
            return Echoes(None)
        return Echoes(await self._secret_bodies.get(request.secret_body))

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

    async def poll(
        self, source: str, task: PluginTask, listening: Listening
    ) -> tuple[TaskReport, float]:
        """Ask the source once; return its report and the usual pause between polls.

        Its news are listened to from then on, and those of the plugin before it.
        """
        async with self._connections.open(source) as connection:
            listening.listen_to(source, connection.access.source.options.plugin)
            if connection.refused:
                raise SourceUnreachableError(
                    "the source refused the gateway's credentials; it is not asked "
                    "again until they are changed"
                )
            pause = connection.access.source.options.poll_seconds
            return await connection.poll(task), pause

    async def is_suspended(self) -> bool:
        """Say whether an operator has suspended the task, as its memo tells."""
        try:
            found = await self._workflow().describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            activity.logger.info("the memo was not read: %s", error.status.name)
            return False
        return (await found.memo()).get(SUSPENDED_MEMO) is not None

    async def tell_workflow(self, observed: Observed) -> None:
        """Signal a change of state; a lost one is made good by the next."""
        try:
            await self._workflow().signal("observed", observed, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            activity.logger.info("the state was not signalled: %s", error.status.name)

    async def tell_progress(self, subject: TaskSubject, percent: int) -> bool:
        """Append the progress to the event log; say whether that worked: a lost one
        is made good by the next.
        """
        try:
            await self._event_log.append(subject.progressed(percent, datetime.now(UTC)))
        except StoreUnavailableError as error:
            activity.logger.info("the progress is not in the event log: %s", error)
            return False
        return True

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
                started=report.started,
            )
        except StoreUnavailableError:
            activity.logger.warning("the end of %s is not journaled", request.key)


class _Waiting:
    """One wait: what was seen, since when the source is silent, how long to pause."""

    def __init__(
        self,
        activities: CompletionActivities,
        request: FollowRequest,
        progress: Progress,
        beat: Beat,
        echoes: Echoes,
        listening: Listening,
    ) -> None:
        self._activities = activities
        self._request = request
        self._progress = progress
        self._beat = beat
        self._echoes = echoes
        self._listening = listening
        self._pause = FIRST_PAUSE
        self._after_news = False
        self._alone = SHORTEST_AFTER_NEWS
        self._silent_since: float | None = None
        self._told = progress.percent
        self._told_at = -A_PROGRESS_AT_LEAST

    async def until_ended(self) -> Completion:
        """Poll, tell what changed, pause; return how it ended."""
        while True:
            self._listening.begin()
            try:
                found, usual = await finish(self._poll(), LAST_POLL_AT_MOST)
                report = self._echoes.report(found)
            except PluginTaskGoneError as error:
                return Lost(reason=str(error), percent=self._progress.percent)
            except (*_OUT_OF_REACH, TimeoutError) as error:
                await self._out_of_reach(str(error) or "it does not answer in time")
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
            left = self._left()
            if left is not None and left <= 0:
                return DeadlinePassed(progress=self._progress)
            if activity.is_cancelled() or activity.is_worker_shutdown():
                raise asyncio.CancelledError
            pause = self._next_pause(usual, retry_after)
            await self._rest(pause if left is None else min(pause, left), usual)

    async def _rest(self, pause: float, usual: float) -> None:
        """Leave the source alone until it is time, or until it has news of its task.

        News say when to ask and nothing else. A flood of them makes no storm of polls.
        """
        alone = min(pause, self._alone)
        await asyncio.sleep(alone)
        self._after_news = await self._listening.heard(pause - alone)
        if self._after_news:
            self._alone = min(self._alone * 2, usual)

    async def _poll(self) -> tuple[TaskReport, float]:
        """Ask once; a source that stays silent is not waited for after the deadline."""
        left = None if self._progress.stands_still else self._left()
        at_most = None if left is None else max(left, LEAST_POLL)
        async with asyncio.timeout(at_most):
            return await self._activities.poll(
                self._request.source, self._task(), self._listening
            )

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
            abortable=report.abortable,
            pausable=report.pausable,
            silent_since=None,
            silence="",
        )

    async def _show(self, state: TaskState, **seen: Any) -> None:
        """Beat what is new; tell the workflow of a new state."""
        before = self._progress
        changed = state is not before.state
        update: dict[str, Any] = {"state": state, **seen}
        if changed:
            update |= await self._clock_in(state)
            update["sequence"] = before.sequence + 1
        self._progress = before.model_copy(update=update)
        if self._progress != before:
            self._beat(self._progress)
            self._pause = FIRST_PAUSE
            self._alone = SHORTEST_AFTER_NEWS
        await self._tell_progress()
        if changed:
            await self._activities.tell_workflow(
                Observed(
                    sequence=self._progress.sequence,
                    state=state,
                    run_id=activity.info().workflow_run_id,
                    percent=self._progress.percent,
                )
            )

    async def _tell_progress(self) -> None:
        """Tell subscribers how far it is, at most once a second."""
        subject, percent = self._request.subject, self._progress.percent
        now = time.monotonic()
        is_new = percent > self._told and now - self._told_at >= A_PROGRESS_AT_LEAST
        if (
            subject is not None
            and is_new
            and await self._activities.tell_progress(subject, percent)
        ):
            self._told, self._told_at = percent, now

    async def _clock_in(self, state: TaskState) -> dict[str, Any]:
        """Stop or start the clock: no time counts while the task is Pending, nor
        while an operator has suspended it (contracts.md 3).
        """
        if self._progress.left is None or self._request.grace_after is not None:
            return {}
        stands_still = state is TaskState.PENDING or (
            state is TaskState.SUSPENDED and await self._activities.is_suspended()
        )
        return {
            "left": self._left(),
            "as_of": datetime.now(UTC),
            "stands_still": stands_still,
        }

    def _left(self) -> float | None:
        """Return for how many seconds the task may still go on."""
        progress = self._progress
        if progress.left is None or progress.as_of is None or progress.stands_still:
            return progress.left
        return progress.left - (datetime.now(UTC) - progress.as_of).total_seconds()

    async def _out_of_reach(self, how: str) -> None:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        seconds = now - self._silent_since
        is_known = self._progress.silent_since is not None
        if seconds >= self._request.interrupted_after and not is_known:
            since = datetime.now(UTC) - timedelta(seconds=seconds)
            await self._show(TaskState.INTERRUPTED, silent_since=since, silence=how)

    def _last(self, report: TaskReport) -> TaskReport:
        """Return the last report: its answer not too long, its percent no less, its
        StartTime as it was seen.
        """
        assert report.answer is not None, "an ended task has an answer"
        return report.model_copy(
            update={
                "answer": cut(report.answer),
                "percent": max(self._progress.percent, report.percent or 0),
                "started": report.started or self._progress.started,
            }
        )

    def _next_pause(self, usual: float, retry_after: float | None) -> float:
        """Return Retry-After if the source gave one, else back off up to the usual.

        News that have shown nothing may have been early: then it is cut short.
        """
        if retry_after is not None:
            longest = AFTER_NEWS if self._after_news else LONGEST_RETRY_AFTER
            return min(max(retry_after, FIRST_PAUSE), longest)
        pause = min(self._pause, usual)
        self._pause = pause * 1.5
        return pause * random.uniform(0.9, 1.1)


def _first_progress(request: FollowRequest) -> Progress:
    """Return what is known before the first poll, and how long this wait may last."""
    now = datetime.now(UTC)
    seen = request.grace_after or Progress(state=request.state)
    is_grace = request.grace_after is not None
    stands_still = seen.state is TaskState.PENDING and not is_grace
    left = None
    if request.deadline is not None:
        left = (request.deadline - now).total_seconds()
    clock = {"left": left, "as_of": now, "stands_still": stands_still}
    return seen.model_copy(update=clock)


def _resumed() -> Progress | None:
    """Return what the attempt before this one had last seen."""
    details = activity.info().heartbeat_details
    return Progress.model_validate(details[0]) if details else None
