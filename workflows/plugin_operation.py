"""One change of one machine, as a durable task (D2, D3, D4, D6)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.submission import NotSent, Submission, Unchanged, Unknown
    from taskfish.plugins.protocol import Accepted, Answered
    from taskfish.redfish.operations import is_forced_power_off, is_operation_name
    from taskfish.redfish.task import Answer, Outcome, TaskState
    from taskfish.redfish.verdicts import (
        cancelled_outcome,
        failed_outcome,
        outcome_of_answer,
        overdue_outcome,
        step_answer,
        unknown_outcome,
        with_note,
        with_words,
    )
    from taskfish.store.journal import JournalKey
    from workflows import plugin_calls, policies
    from workflows.due import Due
    from workflows.events import TaskEvents
    from workflows.following import Following
    from workflows.operation import Operation
    from workflows.source_task import SourceTask
    from workflows.task import (
        conclude,
        end_others,
        finished,
        is_cancel_requested,
        until_or_cancel,
    )

STEPS_SUPERSEDE = "steps-supersede"
"""The patch since which a step that cuts the power ends graceful resets."""
_UNCHANGED = "its answer was lost twice, and the resource is as it was before"


@workflow.defn(dynamic=True)
class PluginOperation(SourceTask):
    """Sends one change once and stays with it until the source has ended it.

    Its workflow type is the Redfish operation (`ComputerSystem.Reset`).
    """

    def __init__(self) -> None:
        """Begin before `run` does: a workflow reset brings signals before it."""
        super().__init__()
        self._unchanged: Unchanged | None = None
        self._first_sent: datetime | None = None
        self._tries = 0

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """Wait until it is due, send, follow, conclude; the result is what the client
        gets.
        """
        self._operation = _read_operation(args)
        self._id = workflow.info().workflow_id
        self._key = self._journal_key(1)
        change = self._operation.change
        self._events = TaskEvents(
            change.method, change.uri, logs=self._operation.logs_events
        )
        self._due = Due(self._operation, self, self._show)
        submission = await self._due.time() or await self._send_once()
        outcome = await self._outcome_of(submission)
        has_secret = self._operation.secret_body is not None
        if has_secret and not self._operation.shares_secret:
            await finished(plugin_calls.forget_secrets(self._operation))
        outcome = await self._events.end(outcome)
        answer, operation = conclude(outcome), self._operation
        if operation.root_run is None:
            return answer
        return step_answer(outcome, keeps_body=operation.keeps_body)

    @workflow.query(name="task")
    def task(self) -> dict[str, str]:
        """Return state and request for the Web UI; `GET Task` needs no worker."""
        change = self._operation.change
        return {"TaskState": self._state, "Request": f"{change.method} {change.uri}"}

    async def _send_once(self) -> Submission:
        """Send until it has left, or may have; a cancel before that sends nothing."""
        wait, give_up = policies.FIRST_RETRY_PAUSE, self._new_limit()
        submission: Submission = NotSent(reason="it was cancelled before it was sent")
        while not is_cancel_requested():
            began = workflow.now()
            kept_back = await self._due.turn()
            if kept_back is not None:
                return kept_back
            superseded = await self._superseded()
            if is_cancel_requested():
                break
            give_up = self._put_off(give_up, workflow.now() - began)
            submission = await self._send(superseded)
            limit = min(give_up, self._deadline or give_up)
            if isinstance(submission, NotSent) and workflow.now() < limit:
                self._say(f"Not sent yet, will try again: {submission.reason}.")
                left = (limit - workflow.now()).total_seconds()
                seconds = min(submission.retry_after or wait, left)
                words = "before sending again"
                await until_or_cancel(lambda: self.is_suspended, seconds, words)
                if self._is_overdue:
                    return submission
                wait = min(wait * 2, policies.LONGEST_RETRY_PAUSE)
            elif isinstance(submission, Unchanged) and self._unchanged is None:
                self._unchanged, give_up = submission, self._new_limit()
            else:
                return submission
        return submission

    async def _send(self, superseded: Sequence[str]) -> Submission:
        """Send once, and end what that makes pointless; where the answer or the worker
        was lost, look what came of it.
        """
        change = self._operation.change
        self._tries += 1
        self._key = self._journal_key(self._tries)
        if self._state is not TaskState.STARTING:
            self._show(TaskState.STARTING, f"Sends {change.method} {change.uri}.")
        if self._first_sent is None:
            self._first_sent = workflow.now()
            await finished(asyncio.ensure_future(end_others(superseded)))
        try:
            sending = plugin_calls.submit(
                self._operation,
                self._key,
                expected=self._unchanged.before if self._unchanged else None,
                deadline=self._deadline,
                source_applies=self._due.source_applies,
            )
            submission: Submission = await finished(sending)
        except ActivityError:
            submission = Unknown(reason="the worker was lost while sending it")
        if isinstance(submission, Accepted) and not submission.task.uri:
            submission = Unknown(reason="the source accepted it and named no task")
        if isinstance(submission, Unknown):
            self._say(f"Looks what became of it: {submission.reason}.")
            reason, deadline = submission.reason, self._deadline
            submission = await plugin_calls.look(
                self._operation, self._key, reason, deadline=deadline
            )
        return submission

    async def _superseded(self) -> Sequence[str]:
        """Find what its sending makes pointless; the API has found that, if it is no
        step.
        """
        operation, change = self._operation, self._operation.change
        is_step_on_systems = operation.root_run is not None and operation.turn.systems
        if (
            self._first_sent is None
            and is_step_on_systems
            and is_forced_power_off(change.uri, change.body)
            and workflow.patched(STEPS_SUPERSEDE)
        ):
            with suppress(ActivityError):
                return await finished(plugin_calls.superseded(operation))
        return operation.supersedes

    async def _outcome_of(self, submission: Submission) -> Outcome:
        """Return how it ends, and who has asked to cancel that in vain."""
        if isinstance(submission, Accepted):
            return await self._follow(submission)
        outcome = self._judged(submission)
        if not is_cancel_requested() or outcome.state is TaskState.CANCELLED:
            return outcome
        is_known = isinstance(submission, Answered)
        why = (
            "its source ended it first" if is_known else "it may have been sent before"
        )
        words = f"{self.cancelled_by} has asked to cancel it, but {why}."
        return with_note(outcome, self._id, words)

    def _judged(self, submission: Answered | NotSent | Unchanged | Unknown) -> Outcome:
        """Judge by the source's answer, or by what is known without one."""
        change = self._operation.change
        if isinstance(submission, Answered):
            return outcome_of_answer(self._id, submission.answer)
        if is_cancel_requested() and isinstance(submission, NotSent | Unchanged):
            sent = isinstance(submission, Unchanged)
            so = "the resource is as it was before" if sent else "nothing was sent"
            words = f"It was cancelled by {self.cancelled_by}; {so}."
            return cancelled_outcome(self._id, words)
        if isinstance(submission, NotSent) and submission.answer:
            return self._unsent_outcome(submission.reason, submission.answer)
        reason = _UNCHANGED if isinstance(submission, Unchanged) else submission.reason
        outcome = unknown_outcome(self._id, change.method, change.uri, reason)
        if self._is_overdue:
            why, *_ = outcome.messages
            return overdue_outcome(self._id, why.message, why.resolution)
        return outcome

    def _unsent_outcome(self, reason: str, answer: Answer) -> Outcome:
        """Say that nothing was carried out, why, and how often it was tried."""
        outcome = failed_outcome(self._id, answer)
        if self._is_overdue:
            limit = f"{self._operation.deadline:g} s"
            words = f"The change was not taken on within {limit}: {reason}."
            outcome = overdue_outcome(self._id, words)
        if not self._tries:
            return outcome
        times = "once" if self._tries == 1 else f"{self._tries} times"
        words = f"It was tried {times}; nothing was carried out."
        return with_words(outcome, words, "Repeat the request if it is still wanted.")

    async def _follow(self, accepted: Accepted) -> Outcome:
        """Stay with the source's task until it has ended."""
        following = Following(
            self._operation,
            self._key,
            accepted,
            self,
            self._deadline,
            self._show,
            self._events.subject if self._operation.logs_events else None,
        )
        self._following = following
        return await following.outcome()

    def _new_limit(self) -> datetime:
        return workflow.now() + timedelta(seconds=self._operation.submit_deadline)

    def _put_off(self, limit: datetime, waited: timedelta) -> datetime:
        """Return the later limit of what has waited for its turn or an operator: that
        is not its own time, and the deadline is put off too.
        """
        if self._first_sent is not None:
            self._first_sent += waited
        return limit + waited

    @property
    def _deadline(self) -> datetime | None:
        """When the change must have ended; it counts from the first sending."""
        seconds = self._operation.deadline
        if seconds is None or self._first_sent is None:
            return None
        return self._first_sent + timedelta(seconds=seconds)

    @property
    def _is_overdue(self) -> bool:
        return self._deadline is not None and workflow.now() >= self._deadline

    def _say(self, words: str) -> None:
        workflow.set_current_details(words)

    def _journal_key(self, sending: int) -> JournalKey:
        """Name a sending: the first execution's run id outlives a workflow reset, and
        that of the task whose step this is outlives a reset of the task.
        """
        info = workflow.info()
        return JournalKey(
            workflow_id=info.workflow_id,
            run_id=self._operation.root_run or info.first_execution_run_id,
            step=f"submit-{sending}",
        )


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
