"""The steps of one multi-step operation: begun when they may, ended, undone."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.exceptions import (
    FailureError,
    WorkflowAlreadyStartedError,
)

with workflow.unsafe.imports_passed_through():
    from pydantic import JsonValue

    from activities.held import HeldActivities, HeldChange
    from activities.submission import SubmitActivities
    from taskfish.redfish.expressions import (
        ExpressionError,
    )
    from taskfish.redfish.operations import RESET_ACTION
    from taskfish.redfish.steps import (
        UNDO,
        Plan,
        Step,
        StepRequest,
        Together,
        steps_of,
    )
    from taskfish.redfish.task import Answer, TaskState
    from taskfish.temporal import waiting_queue
    from workflows import policies
    from workflows.composite import Composite
    from workflows.machine_turn import MachineTurn
    from workflows.orders import Orders
    from workflows.shown_plan import ShownPlan
    from workflows.step_calls import (
        StepHandle,
        place_of,
        start_step,
        step_id,
        step_token,
    )
    from workflows.step_ends import StepEnd, end_of
    from workflows.step_requests import ready_request
    from workflows.task import finished, given_up, is_cancel_requested, until

LEAVES_FOR_RESET = "leaves-for-reset"
"""The patch since which an operation that waits for a reset only holds no machine."""
Show = Callable[[TaskState, str], None]
Tell = Callable[[int], None]
"""Shows how many percent of the steps have ended."""


class StepsStoppedError(Exception):
    """No further step begins: one has failed, or the operation is to end."""


@dataclass
class _Record:
    """What is known of one step: `handle` once it has begun, which takes a moment,
    `end` once it ended.
    """

    step: Step
    is_begun: bool = False
    handle: StepHandle | None = None
    end: StepEnd | None = None
    is_undo: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether it has ended without being done, and nobody has taken note yet."""
        if self.handle is None or not self.is_over or self.end is not None:
            return False
        return not end_of(self.handle).is_done

    @property
    def is_over(self) -> bool:
        """Whether its workflow has ended."""
        return self.handle is not None and self.handle.done()

    @property
    def state(self) -> TaskState:
        if self.end is not None:
            return self.end.state
        return TaskState.NEW if self.handle is None else TaskState.RUNNING


class Steps:
    """Runs the steps of a plan, and remembers how each ended."""

    def __init__(
        self,
        composite: Composite,
        plan: Plan,
        orders: Orders,
        turn: MachineTurn,
        show: Show,
        tell: Tell,
    ) -> None:
        self._composite = composite
        self._plan = plan
        self._orders = orders
        self._turn = turn
        self._show = show
        self._tell = tell
        self._records = {step.name: _Record(step) for step in steps_of(plan)}
        self._shown = ShownPlan(plan)
        self._pauses: dict[str, str] = {}
        self._is_pausing = False
        self._done: list[str] = []
        self._undone: dict[str, StepEnd] = {}
        self._held: dict[str, int] = {}
        self._kept = frozenset[str]().union(
            *(
                request.refers_to
                for step in steps_of(plan)
                for request in (step.request, step.undo)
                if request is not None
            )
        )
        self._first_begun: datetime | None = None
        self._furthest = 0
        self._refusal: Answer | None = None
        self._has_failed = False
        self._is_overdue = False
        self._is_cancelled_first = False
        self._is_stopping = False

    def __getitem__(self, name: str) -> Step:
        """Return a step of the plan by its name."""
        return self._records[name].step

    async def run_all(self) -> None:
        """Run the plan in its order."""
        for part in self._plan:
            if isinstance(part, Together):
                await self.run_together(*part.steps)
            else:
                await self.run(part)

    async def run(self, step: Step) -> StepEnd | None:
        """Run a step to its end; raise `StepsStoppedError` if no other may follow it.

        It may differ from the planned one of its name, or be none that was planned.
        One that waits for a reset of its machine (OnReset) is only begun: None. It is
        waited for by the steps that refer to it, and at the operation's end.
        """
        await self._until_it_may(step)
        record = self._records.setdefault(step.name, _Record(step))
        assert not record.is_begun, f"the step {step.name} runs once"
        record.step = step
        await self._begin(record, step.request)
        if step.request.waits_for_reset and await self._is_held(record):
            self._held[step.name] = len(self._done)
            return None
        return await self._ended(record)

    async def run_together(self, *steps: Step) -> None:
        """Run steps at the same time; one that fails ends the others too."""
        await together([self.run(step) for step in steps])

    async def end_of(self, step: Step) -> StepEnd:
        """Wait for a step that has begun and waits for a reset; raise as `run`."""
        return await self._ended(self._records[step.name])

    def fail(self) -> NoReturn:
        """End the operation as the failure of a step does: what is done is undone."""
        self._has_failed = self._has_failed or not self.must_stop
        raise StepsStoppedError

    def leave_out(self, *names: str) -> None:
        """Drop steps of the plan that are not needed: they are listed no more."""
        for name in names:
            self._records.pop(name, None)
        self._shown.leave_out(names)

    async def settle(self) -> None:
        """Wait for what has waited for a reset; raise `StepsStoppedError` as `run`.

        While nothing else runs its machines are left to others: one of them may be
        that reset.
        """
        only_waits = self._open and not self._running
        if only_waits and workflow.patched(LEAVES_FOR_RESET):
            await self._turn.leave()
        await together([self._ended(each) for each in self._open])

    async def end_all(self) -> None:
        """Wait for the end of all that was told to end."""
        await together([self._awaited(each) for each in self._open])

    async def undo(self) -> None:
        """Take back what is done, the last first; no cancel keeps it from that."""
        self._is_stopping = True
        undone = [name for name in reversed(self._done) if self[name].undo is not None]
        if undone:
            await self._turn.take_at_once()
        for name in undone:
            step = self[name]
            assert step.undo is not None, "only such steps are undone"
            self._show(TaskState.STOPPING, f"Undoes {name}.")
            undoing = Step.model_construct(
                name=f"{UNDO}{name}", request=step.undo, seconds=None, undo=None
            )
            record = self._records[undoing.name] = _Record(undoing, is_undo=True)
            await self._begin(record, step.undo)
            self._undone[name] = await self._awaited(record)

    async def forget_secrets(self) -> None:
        """Forget what was kept for steps that have never begun."""
        for name, reference in self._composite.secrets.items():
            record = self._records.get(name.partition(":")[0])
            if record is None or record.handle is None:
                forgetting = workflow.start_activity_method(
                    SubmitActivities.forget_secrets,
                    reference,
                    start_to_close_timeout=policies.A_CALL_AT_MOST,
                    heartbeat_timeout=self._heartbeat_timeout,
                    retry_policy=policies.UNTIL_DONE,
                    summary="forget the secrets of a step",
                )
                await finished(forgetting)

    def pause_before(self, names: Sequence[str], by: str) -> None:
        """Hold the operation before these steps, should they not have begun."""
        self._pauses.update(dict.fromkeys(names, by))

    @property
    def must_stop(self) -> bool:
        """Whether no other step may begin."""
        return self._stops > 0

    @property
    def has_failed(self) -> bool:
        """Whether a step has failed that the operation does not go on without."""
        return self._has_failed

    @property
    def refusal(self) -> Answer | None:
        """What its client gets where, after a pause, its turn did not come again."""
        return self._refusal

    @property
    def is_overdue(self) -> bool:
        """Whether the operation's time is over, and nobody had cancelled it before."""
        return self._is_overdue and not self._is_cancelled_first

    @property
    def ends(self) -> dict[str, StepEnd]:
        """How the steps ended that have, in the plan's order; undoing left out."""
        return {
            name: record.end
            for name, record in self._records.items()
            if record.end is not None and not record.is_undo
        }

    @property
    def undone(self) -> dict[str, StepEnd]:
        """What became of the undoing, by the names of the steps undone."""
        return self._undone

    @property
    def done(self) -> Sequence[str]:
        """The names of the steps that are done, in the order of their ends."""
        return self._done

    @property
    def percent(self) -> int:
        """Return the share of the steps that have ended; it never goes back, though
        there may be more steps than were planned.
        """
        steps = [each for each in self._records.values() if not each.is_undo]
        ended = sum(each.end is not None for each in steps)
        self._furthest = max(self._furthest, 100 * ended // max(1, len(steps)))
        return self._furthest

    @property
    def states(self) -> dict[str, TaskState]:
        """The state of every step, in their order."""
        return {name: record.state for name, record in self._records.items()}

    @property
    def _stops(self) -> int:
        """How often it was asked to stop: each time is passed on to what runs."""
        if self._is_stopping:
            return 0
        return self._orders.times_cancelled + self._has_failed + self._is_overdue

    @property
    def _deadline(self) -> datetime | None:
        seconds = self._composite.deadline
        if seconds is None or self._first_begun is None:
            return None
        return self._first_begun + timedelta(seconds=seconds)

    @property
    def _left(self) -> float | None:
        """For how many seconds it may still go on, None without a limit."""
        if self._deadline is None or self._is_overdue or self._is_stopping:
            return None
        return max(0.0, (self._deadline - workflow.now()).total_seconds())

    @property
    def _heartbeat_timeout(self) -> timedelta:
        return timedelta(seconds=self._composite.limits.heartbeat_timeout)

    async def _until_it_may(self, step: Step) -> None:
        """Wait for an operator, and for the steps that it refers to."""
        while not self.must_stop:
            if step.name in self._pauses:
                who = self._pauses.pop(step.name)
                self._orders.suspend(f"{who}, before the step {step.name}")
            if self._orders.is_suspended:
                await self._pause(step)
                continue
            needed = self._needed_by(step)
            if needed is None:
                return
            await self._ended(needed)
        raise StepsStoppedError

    def _needed_by(self, step: Step) -> _Record | None:
        """Return a held step that has to end before this one begins: it refers to it,
        or the held one has failed meanwhile.
        """
        for name in self._held:
            record = self._records[name]
            if name in step.request.refers_to or record.is_lost:
                return record
        return None

    async def _pause(self, step: Step) -> None:
        """Wait until somebody resumes it. Once nothing runs it is shown as suspended,
        its machines are left to others until then, and its time stands still. Of steps
        that are to begin together one does that for all.
        """
        if self._is_pausing:
            while self._is_pausing:
                await until(lambda: not self._is_pausing)
            return
        orders, words = self._orders, f"Suspended by {self._orders.suspended_by}"

        def goes_on() -> bool:
            return not orders.is_suspended or self.must_stop

        self._is_pausing = True
        if self._running:
            self._show(TaskState.RUNNING, f"{words}, once what runs has ended.")
            await self._until(lambda: goes_on() or not self._running)
        if not goes_on():
            since = workflow.now()
            self._show(TaskState.SUSPENDED, f"{words}; {step.name} is next.")
            await self._turn.leave()
            await until(goes_on)
            if not self.must_stop:
                self._refusal = await self._turn.take()
                self._has_failed |= self._refusal is not None
            if self._first_begun is not None:
                self._first_begun += workflow.now() - since
        self._is_pausing = False
        if not self.must_stop:
            self._show(TaskState.RUNNING, f"Goes on with {step.name}.")

    async def _begin(self, record: _Record, request: StepRequest) -> None:
        """Begin a step, or note why it cannot."""
        step, record.is_begun = record.step, True
        if self._first_begun is None:
            self._first_begun = workflow.now()
        self._shown.add(step, self._begun)
        try:
            ready, place = ready_request(self._composite, request, self._answers)
            started = start_step(
                self._composite,
                step.model_copy(update={"request": ready}),
                place,
                keeps_body=step.name in self._kept,
            )
            record.handle = await finished(asyncio.ensure_future(started))
        except (ExpressionError, PermissionError) as error:
            self._refuse(record, str(error))
        except WorkflowAlreadyStartedError:
            words = f"an earlier task with the Id of this one still has {step.name}"
            self._refuse(record, words)

    @property
    def _answers(self) -> dict[str, JsonValue]:
        """What expressions of later steps point into, by the names of the steps."""
        return {name: end.document for name, end in self.ends.items() if end.is_done}

    def _refuse(self, record: _Record, why: str) -> None:
        """End a step that has not begun."""
        self._note_end(record, StepEnd(TaskState.EXCEPTION, why=why))
        self._shown.refuse(record.step, why)

    async def _is_held(self, record: _Record) -> bool:
        """Wait until a change waits for the reset of its machine, and say so; False if
        it has ended instead.
        """
        if record.handle is None:
            return False
        name, place = record.step.name, place_of(record.step.request)
        waiting = workflow.start_activity_method(
            HeldActivities.await_held,
            HeldChange(
                workflow_id=step_id(name),
                token=step_token(self._composite, name),
                system=(place.member if place else None) or "",
            ),
            task_queue=waiting_queue(workflow.info().task_queue),
            start_to_close_timeout=policies.A_WAIT_AT_MOST,
            heartbeat_timeout=self._heartbeat_timeout,
            retry_policy=policies.UNTIL_DONE,
            summary=f"wait until {name} waits for the reset",
        )
        handle = record.handle
        await self._until(lambda: waiting.done() or handle.done() or self.must_stop)
        if waiting.done() and not handle.done() and not self.must_stop:
            return True
        await given_up(waiting)
        return False

    async def _ended(self, record: _Record) -> StepEnd:
        """Return how a step ended; raise `StepsStoppedError` where that ends all.

        Without a step that it goes on without it does so only if nobody has ended it.
        """
        end = await self._awaited(record)
        if record.step.name in self._held:
            del self._held[record.step.name]
        if end.is_done or (record.step.goes_on and not self.must_stop):
            return end
        self.fail()

    async def _awaited(self, record: _Record) -> StepEnd:
        """Wait for a step's end, and pass on to it what people ask of the operation."""
        handle, passed_on = record.handle, 0

        def is_news() -> bool:
            assert handle is not None, "a step without a workflow has ended"
            return handle.done() or self._stops > passed_on

        while record.end is None and handle is not None:
            await self._until(is_news)
            if handle.done():
                self._note_end(record, end_of(handle))
            elif self._stops > passed_on:
                passed_on = self._stops
                await self._stop(handle)
        assert record.end is not None, "a step without a workflow has ended"
        return record.end

    def _note_end(self, record: _Record, end: StepEnd) -> None:
        """Note a step's end, and show how far the operation is."""
        if record.end is None:
            record.end = end
            if end.is_done and not record.is_undo:
                self._done.append(record.step.name)
            if not record.is_undo:
                self._tell(self.percent)

    async def _stop(self, handle: StepHandle) -> None:
        """Cancel what runs, in the name of whoever has cancelled the operation."""
        if is_cancel_requested():
            who, state = self._orders.cancelled_by, TaskState.CANCELLING
        elif self._has_failed:
            who = "its operation, of which another step has failed"
            state = TaskState.STOPPING
        else:
            who, state = "its operation, whose time is over", TaskState.STOPPING
        self._show(state, f"Ends what runs, for {who}.")
        with suppress(FailureError):  # It may have ended meanwhile.
            await finished(asyncio.ensure_future(handle.signal("Cancel", who)))
        handle.cancel()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, or the operation's time is over."""
        while not condition():
            left = self._left
            await until(condition, left, "its deadline")
            if left is not None and self._left == 0 and not condition():
                self._is_overdue = True
                self._is_cancelled_first = is_cancel_requested()

    @property
    def _begun(self) -> list[str]:
        """The names of what runs or has run."""
        return [name for name, each in self._records.items() if each.handle is not None]

    @property
    def _running(self) -> list[_Record]:
        """What is open and does not wait for a reset, as far as its workflow goes."""
        return [
            each
            for each in self._open
            if not (each.is_over or self._waits_for_reset(each))
        ]

    def _waits_for_reset(self, record: _Record) -> bool:
        """Whether a step is held, and none of those that were done since then was the
        reset of its machine.
        """
        name, place = record.step.name, place_of(record.step.request)
        if name not in self._held:
            return False
        since = (self[done].request for done in self._done[self._held[name] :])
        return not any(
            each.uri.endswith(f"/{RESET_ACTION}") and place_of(each) == place
            for each in since
        )

    @property
    def _open(self) -> list[_Record]:
        """What has begun, or is just beginning, and has not ended."""
        return [
            each
            for each in self._records.values()
            if each.is_begun and each.end is None
        ]


async def together(work: Sequence[Coroutine[Any, Any, Any]]) -> None:
    """Do several things at once, and wait for all; then raise what one of them did.

    The cancel of the workflow breaks none of them off.
    """
    doing = [asyncio.create_task(each) for each in work]
    while not all(each.done() for each in doing):
        await until(lambda: all(each.done() for each in doing))
    errors = [each.exception() for each in doing]
    for error in filter(None, errors):
        raise error
