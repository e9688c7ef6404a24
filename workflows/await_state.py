"""A step that waits until a resource is there, or shows what is wanted of it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict

    from activities.state_waiting import StateActivities, StateRequest
    from taskfish.redfish.messages import base_message
    from taskfish.redfish.task import Answer, Outcome, TaskState
    from taskfish.redfish.verdicts import (
        cancelled_outcome,
        failed_answer,
        failed_outcome,
        outcome_of_answer,
        overdue_outcome,
        with_note,
    )
    from taskfish.temporal import waiting_queue
    from workflows import policies
    from workflows.events import TaskEvents
    from workflows.orders import Cancels
    from workflows.task import (
        conclude,
        finished,
        given_up,
        is_cancel_requested,
        reason_of,
        show,
        until_or_cancel,
    )

AWAIT_STATE = "Taskfish.AwaitState"
"""The workflow type: it changes nothing, so no operation of Redfish has its name."""


class StateWait(BaseModel):
    """What the step waits for, for how many seconds, and how often it shows a sign."""

    model_config = ConfigDict(frozen=True)

    request: StateRequest
    seconds: float
    heartbeat_timeout: float


@workflow.defn(name=AWAIT_STATE)
class AwaitState(Cancels):
    """Reads until the resource is as wanted; its result is what it was then."""

    @workflow.run
    async def run(self, wait: StateWait) -> Answer:
        """Wait, conclude."""
        events = TaskEvents("GET", wait.request.uri, logs=True)
        show(TaskState.RUNNING, f"Waits for {wait.request.uri}.")
        events.show(TaskState.RUNNING)
        outcome = await self._outcome(wait)
        return conclude(await events.end(outcome))

    async def _outcome(self, wait: StateWait) -> Outcome:
        task_id = workflow.info().workflow_id
        seeing = workflow.start_activity_method(
            StateActivities.await_state,
            wait.request,
            task_queue=waiting_queue(workflow.info().task_queue),
            start_to_close_timeout=policies.A_WAIT_AT_MOST,
            heartbeat_timeout=timedelta(seconds=wait.heartbeat_timeout),
            retry_policy=policies.UNTIL_DONE,
            summary=f"wait for {wait.request.uri}",
        )
        await until_or_cancel(seeing.done, wait.seconds, "its deadline")
        if seeing.done():
            try:
                outcome = outcome_of_answer(task_id, await finished(seeing))
            except ActivityError as error:
                message = base_message("OperationFailed", text=reason_of(error))
                outcome = failed_outcome(task_id, failed_answer(message))
            if not is_cancel_requested():
                return outcome
            words = f"{self.cancelled_by} has asked to cancel it, but it ended first."
            return with_note(outcome, task_id, words)
        await given_up(seeing)
        if is_cancel_requested():
            words = f"It was cancelled by {self.cancelled_by}; it changes nothing."
            return cancelled_outcome(task_id, words)
        return overdue_outcome(task_id, self._missed(wait))

    def _missed(self, wait: StateWait) -> str:
        until, uri = wait.request.until, wait.request.uri
        if until is None:
            return f"{uri} was not there within {wait.seconds:g} s."
        return f"It was not so within {wait.seconds:g} s that {uri} {until.words}."
