"""Take a source in, as a task: a member only once its credentials proved good."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict

    from activities.sources import SourceActivities, SourceRequest
    from taskfish.redfish.messages import base_message
    from taskfish.redfish.resources import AGGREGATION_SOURCES
    from taskfish.redfish.task import Answer, Outcome, TaskState
    from taskfish.redfish.verdicts import (
        cancelled_outcome,
        failed_answer,
        failed_outcome,
        outcome_of_answer,
        overdue_outcome,
        with_note,
    )
    from workflows import policies
    from workflows.events import TaskEvents
    from workflows.orders import Cancels
    from workflows.task import (
        conclude,
        finished,
        is_cancel_requested,
        pause,
        reason_of,
        show,
        until_or_cancel,
    )


class NewSource(BaseModel):
    """What the API starts: the Id of a source whose row waits in the store.

    `uri` is the URI it will have; `answer` what its client gets when it is there. After
    `deadline` seconds it is not tried again; after `ends_within` the task ends,
    whatever is under way (tasks that an earlier version started have no such limit).
    """

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    answer: Answer
    deadline: float
    ends_within: float | None = None
    heartbeat_timeout: float
    logs_events: bool = False


@workflow.defn(name="AggregationSource.Create")
class AddAggregationSource(Cancels):
    """Reads what the source has, then makes it a member, or forgets it again."""

    @workflow.run
    async def run(self, new: NewSource) -> Answer:
        """Admit, watch, conclude; what fails or is cancelled leaves nothing behind."""
        self._request = SourceRequest(source=new.source, task_id=self._id, uri=new.uri)
        self._heartbeat_timeout = timedelta(seconds=new.heartbeat_timeout)
        events = TaskEvents("POST", AGGREGATION_SOURCES, logs=new.logs_events)
        self._end = _after(new.ends_within)
        show(TaskState.RUNNING, f"Reads what {new.source} has.")
        events.show(TaskState.RUNNING)
        outcome = await self._admit(new)
        if outcome.state is TaskState.COMPLETED:
            await self._call(SourceActivities.start_watch, "start its watcher")
        else:
            await self._call(SourceActivities.discard_source, "forget it again")
        return conclude(await events.end(outcome))

    async def _admit(self, new: NewSource) -> Outcome:
        """Try until it answers, or its time is over, or somebody cancels."""
        give_up = workflow.now() + timedelta(seconds=new.deadline)
        wait, trouble = policies.FIRST_RETRY_PAUSE, "it has not answered"
        while not (is_cancel_requested() or self._left == 0):
            admitting = self._start_admission()
            await until_or_cancel(admitting.done, self._left, "its deadline")
            if not admitting.done():
                admitting.cancel()
                break
            try:
                await finished(admitting)
            except ActivityError as error:
                is_last = workflow.now() >= give_up and self._left != 0
                if is_last or not _may_work_later(error):
                    return failed_outcome(self._id, _answer_of(error))
                trouble = reason_of(error)
                workflow.set_current_details(f"Will try again: {trouble}.")
                await pause(self._at_most(wait), "before trying again")
                wait = min(wait * 2, policies.LONGEST_RETRY_PAUSE)
            else:
                return self._added(new.answer)
        return self._ended_early(new, trouble)

    def _added(self, answer: Answer) -> Outcome:
        """Say that it is there, and who wanted to cancel that in vain."""
        outcome = outcome_of_answer(self._id, answer)
        if not is_cancel_requested():
            return outcome
        words = f"{self.cancelled_by} has asked to cancel it, but it was added first."
        return with_note(outcome, self._id, words)

    def _ended_early(self, new: NewSource, trouble: str) -> Outcome:
        """Say who has cancelled it, or that its time is over."""
        if is_cancel_requested():
            words = f"It was cancelled by {self.cancelled_by}; nothing is kept."
            return cancelled_outcome(self._id, words)
        limit = f"{new.ends_within:g} s"
        words = f"The source was not added within {limit}: {trouble}. Nothing is kept."
        return overdue_outcome(self._id, words)

    @property
    def _left(self) -> float | None:
        """For how many seconds it may still go on, None without a limit."""
        if self._end is None:
            return None
        return max(0, (self._end - workflow.now()).total_seconds())

    def _at_most(self, seconds: float) -> float:
        return seconds if self._left is None else min(seconds, self._left)

    @property
    def _id(self) -> str:
        return workflow.info().workflow_id

    def _start_admission(self) -> workflow.ActivityHandle[int]:
        return workflow.start_activity_method(
            SourceActivities.admit_source,
            self._request,
            start_to_close_timeout=policies.AN_ADMISSION_AT_MOST,
            heartbeat_timeout=self._heartbeat_timeout,
            retry_policy=policies.ONCE,
            summary="prove the credentials and read the inventory",
        )

    async def _call(self, call: Callable[..., Awaitable[None]], summary: str) -> None:
        """Carry out a last step that a cancel does not stop."""
        calling = workflow.start_activity_method(
            call,
            self._request,
            start_to_close_timeout=policies.A_CALL_AT_MOST,
            heartbeat_timeout=self._heartbeat_timeout,
            retry_policy=policies.UNTIL_DONE,
            summary=summary,
        )
        await finished(calling)


def _after(seconds: float | None) -> datetime | None:
    return None if seconds is None else workflow.now() + timedelta(seconds=seconds)


def _may_work_later(error: ActivityError) -> bool:
    """Say whether another try makes sense: also after a lost worker."""
    cause = error.cause
    return not (isinstance(cause, ApplicationError) and cause.non_retryable)


def _answer_of(error: ActivityError) -> Answer:
    """Return the final answer that the failed activity gave, or one for its absence."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError) and cause.details:
            return Answer.model_validate(cause.details[0])
        cause = cause.__cause__
    message = base_message("OperationTimeout")
    return failed_answer(message)
