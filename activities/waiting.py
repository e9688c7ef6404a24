"""One wait for a source's task: what was seen, how long the source is left alone."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from temporalio import activity

from activities.errors import answer_to
from activities.finishing import finish
from activities.heartbeat import Beat
from activities.news import Listening
from activities.progress import (
    Completion,
    DeadlinePassed,
    Ended,
    FollowRequest,
    Lost,
    Observed,
    Progress,
)
from taskfish.errors import (
    CredentialsRefusedError,
    ForeignUriError,
    PermanentError,
    PluginTaskGoneError,
    PrivilegeMissingError,
    TransientError,
    UnreadableAnswerError,
)
from taskfish.redfish.echoes import Echoes
from taskfish.redfish.limits import cut
from taskfish.redfish.task import PluginTask, TaskReport, TaskState
from taskfish.redfish.task_events import TaskSubject

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
# What a poll may meet on the way: a BMC that restarts answers all kinds of things.
_OUT_OF_REACH = (
    TransientError,
    CredentialsRefusedError,
    PrivilegeMissingError,
    UnreadableAnswerError,
)


class Follower(Protocol):
    """What a wait asks of the activity that it is of."""

    async def poll(
        self, source: str, task: PluginTask, listening: Listening
    ) -> tuple[TaskReport, float]:
        """Ask the source once; return its report and the usual pause between polls."""

    async def is_suspended(self) -> bool:
        """Say whether an operator has suspended the task."""

    async def tell_workflow(self, observed: Observed) -> None:
        """Tell a change of state; a lost one is made good by the next."""

    async def tell_progress(self, subject: TaskSubject, percent: int) -> bool:
        """Tell how far it is; say whether that worked."""


class Waiting:
    """One wait: what was seen, since when the source is silent, how long to pause."""

    def __init__(
        self,
        follower: Follower,
        request: FollowRequest,
        progress: Progress,
        beat: Beat,
        echoes: Echoes,
        listening: Listening,
    ) -> None:
        self._follower = follower
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
            return await self._follower.poll(
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
            await self._follower.tell_workflow(
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
            and await self._follower.tell_progress(subject, percent)
        ):
            self._told, self._told_at = percent, now

    async def _clock_in(self, state: TaskState) -> dict[str, Any]:
        """Stop or start the clock: no time counts while the task is Pending, nor
        while an operator has suspended it (contracts.md 3).
        """
        if self._progress.left is None or self._request.grace_after is not None:
            return {}
        if state is TaskState.INTERRUPTED:
            return {}  # As before: whoever cannot be asked has not resumed it.
        stands_still = state is TaskState.PENDING or (
            state is TaskState.SUSPENDED and await self._follower.is_suspended()
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
