"""One change of one machine, as a durable task (D2, D3, D4, D6)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from pydantic import JsonValue

    from activities.abort import AbortAnswer
    from activities.completion import (
        SOURCE_CANCELLED,
        Completion,
        Ended,
        Lost,
        Observed,
    )
    from activities.submission import NotSent, Submission, Unchanged, Unknown
    from taskfish.plugins.protocol import Accepted, Answered
    from taskfish.redfish.operations import is_operation_name
    from taskfish.redfish.task import Answer, Outcome, PluginTask, TaskState
    from taskfish.redfish.verdicts import (
        cancelled_outcome,
        failed_outcome,
        outcome_of_answer,
        outcome_of_report,
        unknown_outcome,
    )
    from taskfish.store.journal import JournalKey
    from taskfish.temporal import MAX_SEARCH_ATTRIBUTE, PLUGIN_TASK
    from workflows import plugin_calls, policies
    from workflows.operation import Operation
    from workflows.task import (
        ABORT_REFUSED_MEMO,
        PERCENT_MEMO,
        conclude,
        finished,
        is_cancel_requested,
        pause,
        show,
        until_cancelled,
    )

_UNCHANGED = "its answer was lost twice, and the resource is as it was before"


@workflow.defn(dynamic=True)
class PluginOperation:
    """Sends one change once and stays with it until the source has ended it.

    Its workflow type is the Redfish operation (`ComputerSystem.Reset`).
    """

    def __init__(self) -> None:
        """Begin before `run` does: a workflow reset brings signals before it."""
        self._state = TaskState.NEW
        self._source_state = TaskState.RUNNING
        self._seen = 0
        self._unchanged: Unchanged | None = None

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Send, follow, conclude; the result is the answer that the client gets."""
        self._operation = _read_operation(args)
        self._id = workflow.info().workflow_id
        self._key = self._journal_key(1)
        outcome = await self._outcome_of(await self._send_once())
        if self._operation.secret_body is not None:
            await finished(plugin_calls.forget_secrets(self._operation))
        return conclude(outcome)

    @workflow.signal
    def observed(self, observed: Observed) -> None:
        """Take note of a state that the source's task was seen in."""
        if observed.sequence <= self._seen:
            return
        self._seen = observed.sequence
        self._source_state = observed.state
        if self._state is not TaskState.CANCELLING:
            self._show(observed.state, f"The source says {observed.state.value}.")

    @workflow.query(name="task")
    def task(self) -> dict[str, str]:
        """Return state and request for the Web UI; `GET Task` needs no worker."""
        change = self._operation.change
        return {"TaskState": self._state, "Request": f"{change.method} {change.uri}"}

    async def _send_once(self) -> Submission:
        """Send until it has left, or may have; a cancel before that sends nothing."""
        deadline = self._new_deadline()
        wait, sending = policies.FIRST_RETRY_PAUSE, 1
        change = self._operation.change
        self._show(TaskState.STARTING, f"Sends {change.method} {change.uri}.")
        submission: Submission = NotSent(reason="it was cancelled before it was sent")
        while not is_cancel_requested():
            submission = await self._send(sending)
            if isinstance(submission, NotSent) and workflow.now() < deadline:
                self._say(f"Not sent yet, will try again: {submission.reason}.")
                left = (deadline - workflow.now()).total_seconds()
                seconds = min(submission.retry_after or wait, left)
                await pause(seconds, "before sending again")
                wait = min(wait * 2, policies.LONGEST_RETRY_PAUSE)
            elif isinstance(submission, Unchanged) and self._unchanged is None:
                self._unchanged, deadline = submission, self._new_deadline()
            else:
                return submission
            sending += 1
        return submission

    async def _send(self, number: int) -> Submission:
        """Send once; where the answer or the worker was lost, look what came of it."""
        self._key = self._journal_key(number)
        try:
            sending = plugin_calls.submit(self._operation, self._key, self._expected)
            submission: Submission = await finished(sending)
        except ActivityError:
            submission = Unknown(reason="the worker was lost while sending it")
        if isinstance(submission, Accepted) and not submission.task.uri:
            submission = Unknown(reason="the source accepted it and named no task")
        if isinstance(submission, Unknown):
            self._say(f"Looks what became of it: {submission.reason}.")
            submission = await self._look(submission.reason)
        return submission

    async def _outcome_of(self, submission: Submission) -> Outcome:
        change = self._operation.change
        if isinstance(submission, Accepted):
            return await self._follow(submission)
        if isinstance(submission, Answered):
            return outcome_of_answer(self._id, submission.answer)
        if isinstance(submission, NotSent) and is_cancel_requested():
            return cancelled_outcome(self._id, "It was cancelled; nothing was sent.")
        if isinstance(submission, Unchanged) and is_cancel_requested():
            words = "It was cancelled; the resource is as it was before."
            return cancelled_outcome(self._id, words)
        if isinstance(submission, NotSent) and submission.answer:
            return failed_outcome(self._id, submission.answer)
        reason = _UNCHANGED if isinstance(submission, Unchanged) else submission.reason
        return unknown_outcome(self._id, change.method, change.uri, reason)

    async def _follow(self, accepted: Accepted) -> Outcome:
        """Wait for the source's task; a cancel tells the source and waits on (D6)."""
        self._show_followed(accepted)
        self._seen = 0
        waiting = self._await_completion(accepted)
        await until_cancelled(waiting)
        aborted = self._must_abort(waiting) and await self._abort(
            accepted.task, waiting
        )
        completion = await finished(waiting)
        if isinstance(completion, Ended):
            return outcome_of_report(self._id, completion.report)
        return await self._outcome_of_lost(completion, aborted)

    async def _abort(
        self, task: PluginTask, waiting: workflow.ActivityHandle[Completion]
    ) -> bool:
        """Tell the source to abort; say whether it has taken that on."""
        self._show(TaskState.CANCELLING, "Asks the source to abort its task.")
        aborting = plugin_calls.abort(self._operation, task)
        first = workflow.wait([aborting, waiting], return_when="FIRST_COMPLETED")
        await finished(asyncio.ensure_future(first))
        if not aborting.done():
            completion = await finished(waiting)
            if isinstance(completion, Ended):
                aborting.cancel()
                return False
        try:
            answer = await finished(aborting)
        except ActivityError as error:
            answer = AbortAnswer(kind="refused", reason=str(error.cause))
        if answer.kind == "refused":
            workflow.upsert_memo({ABORT_REFUSED_MEMO: True})
            self._show(self._source_state, f"It goes on: {answer.reason}.")
        return answer.kind == "accepted"

    def _must_abort(self, waiting: workflow.ActivityHandle[Completion]) -> bool:
        """Say whether the source is to be told: not if it has cancelled by itself."""
        return not waiting.done() and workflow.cancellation_reason() != SOURCE_CANCELLED

    async def _outcome_of_lost(self, lost: Lost, aborted: bool) -> Outcome:
        """Judge a task that the source forgot by what the machine shows.

        One that it aborted may have been done before: one look tells.
        """
        workflow.upsert_memo({PERCENT_MEMO: lost.percent})
        look = await self._look(lost.reason, task_is_lost=True, once=aborted)
        if isinstance(look, Answered):
            return outcome_of_answer(self._id, look.answer)
        change = self._operation.change
        if aborted:
            words = "The source has taken the abort on and dropped its task."
            outcome = cancelled_outcome(self._id, words)
        else:
            outcome = unknown_outcome(self._id, change.method, change.uri, lost.reason)
        return outcome.model_copy(update={"percent": lost.percent})

    async def _look(
        self, reason: str, *, task_is_lost: bool = False, once: bool = False
    ) -> Submission:
        """Look what became of the last sending; a look that fails tells nothing."""
        looking = plugin_calls.look(
            self._operation, self._key, reason, task_is_lost=task_is_lost, once=once
        )
        try:
            return await finished(looking)
        except ActivityError as error:
            return Unknown(reason=f"{reason}; and the look failed: {error.cause}")

    def _await_completion(
        self, accepted: Accepted
    ) -> workflow.ActivityHandle[Completion]:
        return plugin_calls.await_completion(
            self._operation, self._key, accepted.task, self._state
        )

    def _new_deadline(self) -> datetime:
        return workflow.now() + timedelta(seconds=self._operation.submit_deadline)

    def _show_followed(self, accepted: Accepted) -> None:
        """Show the source's own state, and under which name the source knows it."""
        self._source_state = self._state = accepted.report.state
        name = f"{self._operation.source} {accepted.task.uri}"[:MAX_SEARCH_ATTRIBUTE]
        words = f"The source works on it: {accepted.task.uri}."
        show(self._state, words, PLUGIN_TASK.value_set(name))

    def _show(self, state: TaskState, words: str) -> None:
        self._state = state
        show(state, words)

    def _say(self, words: str) -> None:
        workflow.set_current_details(words)

    def _journal_key(self, sending: int) -> JournalKey:
        """Name a sending: the first execution's run id outlives a workflow reset."""
        info = workflow.info()
        return JournalKey(
            workflow_id=info.workflow_id,
            run_id=info.first_execution_run_id,
            step=f"submit-{sending}",
        )

    @property
    def _expected(self) -> JsonValue:
        """What a repeated sending must still find; None for the first."""
        return self._unchanged.before if self._unchanged else None


def _read_operation(args: Sequence[RawValue]) -> Operation:
    """Read the input; what is not ours fails the workflow task, never the workflow.

    So a newer worker may still take a workflow type that this one does not know.
    """
    workflow_type = workflow.info().workflow_type
    if not is_operation_name(workflow_type) or len(args) != 1:
        raise RuntimeError(f"this worker does not know the operation {workflow_type}")
    operation = workflow.payload_converter().from_payload(args[0].payload, Operation)
    if operation.operation != workflow_type:
        raise RuntimeError(f"{workflow_type} was started as {operation.operation}")
    return operation
