"""Take a source in, as a task: a member only once its credentials proved good."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

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
    )
    from workflows import policies
    from workflows.events import TaskEvents
    from workflows.task import (
        conclude,
        finished,
        is_cancel_requested,
        pause,
        show,
        until_cancelled,
    )


class NewSource(BaseModel):
    """What the API starts: the Id of a source whose row waits in the store.

    `uri` is the URI it will have; `answer` what its client gets when it is there.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    answer: Answer
    deadline: float
    heartbeat_timeout: float
    logs_events: bool = False


@workflow.defn(name="AggregationSource.Create")
class AddAggregationSource:
    """Reads what the source has, then makes it a member, or forgets it again."""

    @workflow.run
    async def run(self, new: NewSource) -> Answer:
        """Admit, watch, conclude; what fails or is cancelled leaves nothing behind."""
        self._request = SourceRequest(
            source=new.source, task_id=workflow.info().workflow_id, uri=new.uri
        )
        self._heartbeat_timeout = timedelta(seconds=new.heartbeat_timeout)
        events = TaskEvents("POST", AGGREGATION_SOURCES, logs=new.logs_events)
        show(TaskState.RUNNING, f"Reads what {new.source} has.")
        events.show(TaskState.RUNNING)
        outcome = await self._admit(new)
        if outcome.state is TaskState.COMPLETED:
            await self._call(SourceActivities.start_watch, "start its watcher")
        else:
            await self._call(SourceActivities.discard_source, "forget it again")
        return conclude(await events.end(outcome))

    async def _admit(self, new: NewSource) -> Outcome:
        """Try until it answers, or the deadline has passed, or somebody cancels."""
        task_id = workflow.info().workflow_id
        deadline = workflow.now() + timedelta(seconds=new.deadline)
        wait = policies.FIRST_RETRY_PAUSE
        while not is_cancel_requested():
            admitting = self._start_admission()
            await until_cancelled(admitting)
            if not admitting.done():
                admitting.cancel()
                break
            try:
                await finished(admitting)
            except ActivityError as error:
                if workflow.now() >= deadline or not _may_work_later(error):
                    return failed_outcome(task_id, _answer_of(error))
                workflow.set_current_details(f"Will try again: {error.cause}.")
                await pause(wait, "before trying again")
                wait = min(wait * 2, policies.LONGEST_RETRY_PAUSE)
            else:
                return outcome_of_answer(task_id, new.answer)
        return cancelled_outcome(task_id, "It was cancelled; nothing is kept.")

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
