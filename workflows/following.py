"""The source's own task, from its acceptance to its end (D3, D6)."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.abort import AbortAnswer
    from activities.pausing import PauseAnswer
    from activities.progress import (
        SOURCE_CANCELLED,
        Completion,
        DeadlinePassed,
        Ended,
        Lost,
        Observed,
        Progress,
    )
    from activities.submission import Submission
    from taskfish.plugins.protocol import Accepted, Answered
    from taskfish.redfish.task import Outcome, TaskState
    from taskfish.redfish.task_events import TaskSubject
    from taskfish.redfish.verdicts import (
        cancelled_outcome,
        outcome_of_answer,
        outcome_of_report,
        overdue_outcome,
        unknown_outcome,
        with_note,
        with_words,
    )
    from taskfish.store.journal import JournalKey
    from taskfish.temporal import MAX_SEARCH_ATTRIBUTE, PLUGIN_TASK
    from workflows import plugin_calls
    from workflows.operation import Operation
    from workflows.orders import Orders
    from workflows.task import (
        ABORT_REFUSED_MEMO,
        PERCENT_MEMO,
        finished,
        given_up,
        is_cancel_requested,
        reason_of,
        until,
    )

Show = Callable[..., None]
Waiting = workflow.ActivityHandle[Completion]

RESUMES_SOURCE = "resumes-source"
"""The patch since which Resume is also for what a source has paused by itself."""


class Following:
    """Waits for the source's task, and passes on to it what people ask of ours."""

    def __init__(
        self,
        operation: Operation,
        key: JournalKey,
        accepted: Accepted,
        orders: Orders,
        deadline: datetime | None,
        show: Show,
        subject: TaskSubject | None,
    ) -> None:
        self._operation = operation
        self._key = key
        self._task = accepted.task
        self._known_end = accepted.report if accepted.report.answer else None
        self._orders = orders
        self._deadline = deadline
        self._show = show
        self._subject = subject
        # One that has ended already is not over before its final answer is there.
        ended = accepted.report.state.ended
        self._source_state = TaskState.RUNNING if ended else accepted.report.state
        self._sequence = 0
        self._percent = 0
        self._is_paused = False
        self._resumes = orders.needless_resumes
        self._abort: AbortAnswer | None = None
        self._refusals: list[str] = []
        self._is_cancel_refused = False
        self._is_overdue = False

    async def outcome(self) -> Outcome:
        """Return how it ended: as the source says, or as is known without its word."""
        name = f"{self._operation.source} {self._task.uri}"[:MAX_SEARCH_ATTRIBUTE]
        words = f"The source works on it: {self._task.uri}."
        self._show(self._source_state, words, PLUGIN_TASK.value_set(name))
        waiting = self._wait(self._deadline)
        await self._govern(waiting)
        completion = await finished(waiting)
        if isinstance(completion, DeadlinePassed):
            return await self._end_overdue(completion)
        if isinstance(completion, Ended):
            return self._ended(completion)
        return await self._lost(completion)

    def observe(self, observed: Observed) -> None:
        """Show a state that the source's task was seen in; an older one is too late."""
        is_of_another_run = observed.run_id not in (None, workflow.info().run_id)
        if is_of_another_run or observed.sequence <= self._sequence:
            return
        self._sequence = observed.sequence
        self._source_state, self._percent = observed.state, observed.percent
        if not self._is_aborting:
            words = f"The source says {observed.state.value}."
            self._show(observed.state, words, percent=observed.percent)

    @property
    def _is_aborting(self) -> bool:
        """Whether the source has been told to abort and has not refused."""
        return self._abort is not None and self._abort.kind != "refused"

    async def _govern(self, waiting: Waiting) -> None:
        """Until it has ended: tell the source to abort, to suspend, to resume."""
        orders = self._orders
        while not waiting.done():
            await until(lambda: waiting.done() or self._is_ordered)
            if waiting.done():
                return
            if self._must_abort:
                await self._cancel(waiting)
            elif orders.is_suspended != self._is_paused and not self._is_aborting:
                await self._pass_pause_on(waiting, resumes=self._is_paused)
            elif self._must_resume:
                self._resumes = orders.needless_resumes
                if workflow.patched(RESUMES_SOURCE) and not self._is_aborting:
                    await self._pass_pause_on(waiting, resumes=True)
            else:
                # A cancel is under way: nothing else is asked of the source.
                await until(lambda: waiting.done() or self._must_abort)

    @property
    def _is_ordered(self) -> bool:
        is_pause_new = self._orders.is_suspended != self._is_paused
        return self._must_abort or is_pause_new or self._must_resume

    @property
    def _must_resume(self) -> bool:
        """Whether what the source may have paused by itself is to go on."""
        return self._resumes < self._orders.needless_resumes

    @property
    def _must_abort(self) -> bool:
        """Whether the source is to be told: not if it has cancelled by itself."""
        by_itself = workflow.cancellation_reason() == SOURCE_CANCELLED
        is_needless = by_itself or self._is_aborting
        return self._orders.is_cancel_new and not is_needless

    async def _cancel(self, waiting: Waiting) -> None:
        """Ask the source to abort; if it refuses, the task goes on as it was."""
        self._orders.obey_cancel()
        if self._refusals:
            workflow.upsert_memo({ABORT_REFUSED_MEMO: None})
        who = self._orders.cancelled_by
        self._abort = AbortAnswer(kind="accepted")
        words = f"Cancelled by {who}: asks the source to abort."
        self._show(TaskState.CANCELLING, words, percent=self._percent)
        answer = self._abort = await self._ask_to_abort(waiting)
        self._is_cancel_refused = self._is_refused
        if answer is not None and answer.kind == "refused":
            reason = answer.reason
            workflow.upsert_memo({ABORT_REFUSED_MEMO: reason})
            self._refusals.append(f"{who} has asked to cancel it in vain: {reason}.")
            words = f"It goes on: {reason}."
            self._show(self._source_state, words, percent=self._percent)

    async def _ask_to_abort(self, waiting: Waiting) -> AbortAnswer | None:
        """Return what the source says to it; None if its task ends before.

        What a source says that has lost its task is not waited for without end.
        """
        aborting = plugin_calls.abort(self._operation, self._task)
        while not (aborting.done() or waiting.done()):
            await until(lambda: aborting.done() or waiting.done())
        if not aborting.done():
            completion: Completion = await finished(waiting)
            if isinstance(completion, Lost):
                words = "for what the source says to the abort"
                await until(aborting.done, self._operation.abort_grace, words)
        if not aborting.done():
            await given_up(aborting)
            return None
        try:
            return await finished(aborting)
        except ActivityError as error:
            return AbortAnswer(kind="refused", reason=reason_of(error))

    async def _pass_pause_on(self, waiting: Waiting, *, resumes: bool) -> None:
        """Ask the source to suspend its task or to go on; say so if it does not."""
        orders = self._orders
        asking = plugin_calls.pause(self._operation, self._task, resumes=resumes)
        await until(lambda: asking.done() or waiting.done() or self._must_abort)
        if not asking.done():
            await given_up(asking)
            return
        try:
            answer = await finished(asking)
        except ActivityError as error:
            answer = PauseAnswer(accepted=False, reason=reason_of(error))
        if answer.accepted or resumes:
            self._is_paused = not resumes
        elif orders.is_suspended:
            orders.resume()
        if not answer.accepted:
            words = f"It goes on as it was: {answer.reason}."
            self._show(self._source_state, words, percent=self._percent)

    async def _end_overdue(self, passed: DeadlinePassed) -> Outcome:
        """Have the source abort what has taken too long; what it had finished by then
        is finished (contracts.md 4).
        """
        percent = passed.progress.percent
        workflow.upsert_memo({PERCENT_MEMO: percent})
        words = "Its time is over: asks the source to abort it."
        self._show(TaskState.STOPPING, words, percent=percent)
        self._abort, self._is_overdue = AbortAnswer(kind="accepted"), True
        grace = timedelta(seconds=self._operation.abort_grace)
        waiting = self._wait(workflow.now() + grace, passed.progress)
        self._abort = await self._ask_to_abort(waiting)
        completion = await finished(waiting)
        finished_by_then = await self._finished_by_then(completion)
        if finished_by_then is not None:
            return finished_by_then
        words = (
            f"The change did not end within {self._operation.deadline:g} s; "
            f"{self._told_of_overdue(completion)}.{_power_words(completion)}"
        )
        outcome = overdue_outcome(self._id, words)
        for note in (*self._refusals, *self._cancelled_in_vain("its time was over")):
            outcome = with_note(outcome, self._id, note)
        furthest = max(percent, _percent_of(completion))
        return outcome.model_copy(update={"percent": furthest})

    async def _finished_by_then(self, completion: Completion) -> Outcome | None:
        """Return how it ended that was told to end, if it had been done before."""
        if isinstance(completion, Ended):
            outcome = self._judged(completion)
            return outcome if outcome.state is TaskState.COMPLETED else None
        if isinstance(completion, Lost):
            look = await self._look(completion, once=True)
            if isinstance(look, Answered) and look.answer.succeeded:
                outcome = outcome_of_answer(self._id, look.answer)
                return self._noted(outcome, "it was done first")
        return None

    def _told_of_overdue(self, completion: Completion) -> str:
        """Say what is known of the source's task that was told to end."""
        uri = self._task.uri
        if isinstance(completion, Ended):
            return f"its source ended its task as {completion.report.state.value}"
        if isinstance(completion, Lost):
            return f"its source was told to abort its task {uri} and has dropped it"
        if self._abort is None or self._is_refused:
            return f"its source goes on with its task {uri}"
        return f"its source was told to abort {uri} and has not done so"

    def _ended(self, ended: Ended) -> Outcome:
        """Judge by the source's word; of an abort, say what was aborted and by whom."""
        outcome = self._judged(ended)
        if outcome.state is not TaskState.CANCELLED:
            return outcome
        who = f"cancelled by {self._orders.cancelled_by}"
        by_itself = workflow.cancellation_reason() == SOURCE_CANCELLED
        if by_itself or self._is_told_of_refusal:
            who = "cancelled by its source"
        return with_words(
            outcome,
            f"{self._what} was {who}: the source has aborted its task "
            f"{self._task.uri}.{_power_words(ended)}",
        )

    def _judged(self, ended: Ended) -> Outcome:
        """Judge by the source's word."""
        outcome = outcome_of_report(self._id, ended.report)
        return self._noted(outcome, "its source ended it first")

    def _noted(self, outcome: Outcome, why: str) -> Outcome:
        """Say which cancels came to nothing, the last one because of `why`."""
        notes = list(self._refusals)
        if outcome.state is not TaskState.CANCELLED:
            notes += self._came_too_late(why)
        for note in notes:
            outcome = with_note(outcome, self._id, note)
        return outcome

    def _came_too_late(self, why: str) -> list[str]:
        """Say who wanted to end what could not be ended any more, and why."""
        overdue = [f"Its time was over, but {why}."] if self._is_overdue else []
        return [*overdue, *self._cancelled_in_vain(why)]

    def _cancelled_in_vain(self, why: str) -> list[str]:
        """Say who has asked for a cancel that came to nothing: those that the source
        refused are told of already.
        """
        by_itself = workflow.cancellation_reason() == SOURCE_CANCELLED
        if not is_cancel_requested() or by_itself or self._is_told_of_refusal:
            return []
        return [f"{self._orders.cancelled_by} has asked to cancel it, but {why}."]

    @property
    def _is_told_of_refusal(self) -> bool:
        """Whether the source has refused the last cancel that was asked for."""
        return self._is_cancel_refused and not self._orders.is_cancel_new

    @property
    def _is_refused(self) -> bool:
        """Whether the source has refused to abort, the last time that it was told."""
        return self._abort is not None and self._abort.kind == "refused"

    async def _lost(self, lost: Lost) -> Outcome:
        """Judge a task that the source forgot by what it said of its end before, else
        by what the machine shows.

        One that it aborted may have been done before: one look tells.
        """
        if self._known_end is not None:
            return outcome_of_report(self._id, self._known_end)
        workflow.upsert_memo({PERCENT_MEMO: lost.percent})
        aborted = self._abort is not None and self._abort.kind == "accepted"
        look = await self._look(lost, once=aborted)
        if isinstance(look, Answered):
            outcome = outcome_of_answer(self._id, look.answer)
            return self._noted(outcome, "it was done first")
        if aborted:
            outcome = cancelled_outcome(
                self._id,
                f"{self._what} was cancelled by "
                f"{self._orders.cancelled_by}: the source has taken the abort on and "
                f"dropped its task {self._task.uri}.{_power_words(lost)}",
            )
        else:
            outcome = self._unknown(lost.reason)
            outcome = self._noted(outcome, "its source does not know its task")
        return outcome.model_copy(update={"percent": lost.percent})

    @property
    def _what(self) -> str:
        """What is followed, in words."""
        change = self._operation.change
        return f"{change.method} {change.uri}"

    def _unknown(self, reason: str) -> Outcome:
        """Say that nobody knows how it ended."""
        change = self._operation.change
        return unknown_outcome(self._id, change.method, change.uri, reason)

    async def _look(self, lost: Lost, *, once: bool) -> Submission:
        return await plugin_calls.look(
            self._operation,
            self._key,
            lost.reason,
            deadline=self._deadline,
            task_is_lost=True,
            once=once,
        )

    def _wait(
        self, deadline: datetime | None, grace_after: Progress | None = None
    ) -> Waiting:
        return plugin_calls.await_completion(
            self._operation,
            self._key,
            self._task,
            self._source_state,
            deadline,
            grace_after,
            self._subject,
        )

    @property
    def _id(self) -> str:
        return workflow.info().workflow_id


def _percent_of(completion: Completion) -> int:
    """Return how far the source's task was seen to be."""
    if isinstance(completion, Ended):
        return completion.report.percent or 0
    if isinstance(completion, DeadlinePassed):
        return completion.progress.percent
    return completion.percent


def _power_words(completion: Completion) -> str:
    """Say in which power state the machine really is, where that is known."""
    state = completion.power_state
    return f" The machine's PowerState is {state}." if state else ""
