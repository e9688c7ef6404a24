"""The steps of a bulk operation: begun batch by batch, counted as they end.

What is kept of a step that has ended is a number, and a message if it has failed: so
the next run of the operation takes along little, however many machines there are.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from taskfish.redfish.bulk import MOST_AT_ONCE, Bulk
    from taskfish.redfish.messages import Message, base_message
    from taskfish.redfish.task import Answer, TaskState
    from taskfish.redfish.task_events import task_or_step_uri
    from workflows.composite import Carried, Composite
    from workflows.machine_turn import MachineTurn
    from workflows.orders import Orders
    from workflows.step_calls import StepHandle, place_of, start_step, step_id
    from workflows.step_ends import StepEnd, end_of
    from workflows.steps import Show, Tell
    from workflows.task import finished, is_cancel_requested, until

MOST_MESSAGES = 100
"""How many failures are told of one by one."""
MOST_STARTING = 10
"""Steps that Temporal is told to start at once: it starts them one after the other, and
what others start meanwhile would come behind all of them.
"""


class BulkSteps:
    """Runs the steps, however they end, until all have or somebody stops it."""

    def __init__(
        self,
        composite: Composite,
        bulk: Bulk,
        orders: Orders,
        turn: MachineTurn,
        show: Show,
        tell: Tell,
    ) -> None:
        carried = composite.carried or Carried()
        self._composite = composite
        self._bulk = bulk
        self._orders = orders
        self._turn = turn
        self._show = show
        self._tell = tell
        self._next = carried.begun
        self._failed = carried.failed
        self._messages = list(carried.messages)
        self._batch_end = carried.batch_end
        self._goes_on_at = carried.goes_on_at
        self._first_begun = carried.first_begun
        self._deadline = _deadline(composite, carried.first_begun)
        self._open: dict[str, StepHandle] = {}
        self._running = set[asyncio.Task[None]]()
        self._begun_here = 0
        self._passed_on = 0
        self._was_stopped = False
        self._is_overdue = False
        self._fault: BaseException | None = None
        self._refusal: Answer | None = None
        self._percent = self.percent
        if composite.carried is None:
            self._note_refused()

    async def run(self) -> None:
        """Begin what may begin in this run, and wait until all that has begun has
        ended.
        """
        while (
            self._next < len(self._bulk) and not self._is_stopped and not self._is_full
        ):
            if self._orders.is_suspended:
                await self._pause()
            elif self._next == self._batch_end:
                await self._begin_batch()
            elif self._has_room:
                self._begin_next()
            else:
                await self._until(lambda: self._has_room or self._orders.is_suspended)
        await self._drained()
        self._note_end_of_batch()

    @property
    def goes_on(self) -> bool:
        """Whether there is more to begin, in another run."""
        return self._next < len(self._bulk) and not self._is_stopped

    @property
    def carried(self) -> Carried:
        """What the next run has to know."""
        orders = self._orders
        return Carried(
            begun=self._next,
            failed=self._failed,
            messages=tuple(self._messages),
            batch_end=self._batch_end,
            goes_on_at=self._goes_on_at,
            first_begun=self._first_begun,
            suspended_by=orders.suspended_by,
            cancelled_by=orders.cancelled_by,
        )

    @property
    def was_broken_off(self) -> bool:
        """Whether steps were ended, or never begun, because it was to stop."""
        return self._was_stopped or self._next < len(self._bulk)

    @property
    def refusal(self) -> Answer | None:
        """What its client gets where, after a pause, its turn did not come again."""
        return self._refusal

    @property
    def total(self) -> int:
        """The number of all steps."""
        return self._bulk.total

    @property
    def failed(self) -> int:
        """The number of steps that have ended without being done."""
        return self._failed

    @property
    def done(self) -> int:
        """The number of steps that are done."""
        return self._ended - self._failed

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is told of the first steps that have failed."""
        return tuple(self._messages)

    @property
    def percent(self) -> int:
        """The share of the steps that have ended."""
        return 100 * self._ended // max(1, self.total)

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the steps that run."""
        return tuple(self._open)

    @property
    def _ended(self) -> int:
        never_begun = self.total - len(self._bulk)
        return never_begun + self._next - len(self._running)

    @property
    def _has_room(self) -> bool:
        """Whether another step may begin at once."""
        starting = len(self._running) - len(self._open)
        most = min(self._bulk.at_once, MOST_AT_ONCE)
        return len(self._running) < most and starting < MOST_STARTING

    @property
    def _is_full(self) -> bool:
        """Whether another run has to begin what is left (Temporal's history limits)."""
        most = self._bulk.most_a_run
        is_full = most > 0 and self._begun_here >= most
        return is_full or workflow.info().is_continue_as_new_suggested()

    @property
    def _stops(self) -> int:
        """How often it was asked to stop: each time is passed on to what runs."""
        no_turn = self._refusal is not None
        return self._orders.times_cancelled + self._is_overdue + no_turn

    @property
    def _is_stopped(self) -> bool:
        return self._stops > 0

    def _note_refused(self) -> None:
        """Count the steps that never begin."""
        for each in self._bulk.refused:
            for name in each.names:
                self._note(name, StepEnd(TaskState.EXCEPTION, why=each.why))

    async def _begin_batch(self) -> None:
        """Open the next batch, once the one before has ended and its delay is over."""
        await self._drained()
        self._note_end_of_batch()
        left = _seconds_until(self._goes_on_at)
        if left > 0:
            await self._until(
                lambda: self._orders.is_suspended, left, "the delay between batches"
            )
        elif not self._orders.is_suspended:
            self._goes_on_at = None
            size = self._bulk.batch_size or len(self._bulk)
            self._batch_end = min(self._next + size, len(self._bulk))

    def _note_end_of_batch(self) -> None:
        """Note when the next batch begins, now that this one has ended."""
        is_between = 0 < self._next == self._batch_end < len(self._bulk)
        if is_between and self._goes_on_at is None:
            delay = timedelta(seconds=self._bulk.delay)
            self._goes_on_at = workflow.now() + delay

    async def _pause(self) -> None:
        """Wait until somebody resumes it. Once nothing runs it is shown as suspended,
        its machines are left to others, and its time stands still.
        """
        words = f"Suspended by {self._orders.suspended_by}"
        self._show(TaskState.RUNNING, f"{words}, once what runs has ended.")
        await self._until(lambda: not self._running or not self._orders.is_suspended)
        if not self._orders.is_suspended or self._is_stopped:
            return
        since = workflow.now()
        self._show(TaskState.SUSPENDED, f"{words}.")
        await self._turn.leave()
        await until(lambda: not self._orders.is_suspended or is_cancel_requested())
        if is_cancel_requested():
            return
        self._refusal = await self._turn.take()
        if self._deadline is not None:
            self._deadline += workflow.now() - since
        if self._first_begun is not None:
            self._first_begun += workflow.now() - since
        self._show(TaskState.RUNNING, "Goes on.")

    def _begin_next(self) -> None:
        if self._first_begun is None:
            self._first_begun = workflow.now()
            self._deadline = _deadline(self._composite, self._first_begun)
        running = asyncio.create_task(self._run_step(self._next))
        self._next += 1
        self._begun_here += 1
        self._running.add(running)
        running.add_done_callback(self._has_ended)

    def _has_ended(self, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        self._fault = self._fault or running.exception()
        percent = self.percent
        if percent > self._percent:
            self._percent = percent
            self._tell(percent)

    async def _run_step(self, number: int) -> None:
        """Run one step to its end, and count that."""
        step = self._bulk.step(number)
        place = place_of(step.request)
        assert place is not None, "its URI was checked before"
        try:
            handle = await start_step(self._composite, step, place, keeps_body=False)
        except WorkflowAlreadyStartedError:
            words = "an earlier task with the Id of this one still has this step"
            self._note(step.name, StepEnd(TaskState.EXCEPTION, why=words))
            return
        self._open[step.name] = handle
        if self._is_stopped:
            await self._stop(handle)
        await workflow.wait([handle])
        del self._open[step.name]
        self._note(step.name, end_of(handle))

    def _note(self, name: str, end: StepEnd) -> None:
        """Count how a step ended, and keep why it has failed."""
        if end.is_done:
            return
        self._failed += 1
        if self._is_stopped and end.state is TaskState.CANCELLED:
            self._was_stopped = True
        if len(self._messages) < MOST_MESSAGES:
            self._messages.append(_failure(name, end))

    async def _drained(self) -> None:
        """Wait until nothing runs, and pass on to it what people ask for."""
        while self._running:
            await self._until(lambda: not self._running)
        if self._fault is not None:
            raise self._fault

    async def _until(
        self,
        condition: Callable[[], bool],
        seconds: float | None = None,
        summary: str = "its deadline",
    ) -> None:
        """Wait until something is so, for so many seconds at most, or until it is to
        stop: that is passed on to what runs.
        """
        limits = [each for each in (seconds, self._left) if each is not None]

        def is_over() -> bool:
            return condition() or self._stops > self._passed_on

        await until(is_over, min(limits, default=None), summary)
        if self._left == 0:
            self._is_overdue = True
        if self._stops > self._passed_on:
            self._passed_on = self._stops
            await self._stop_all()

    @property
    def _left(self) -> float | None:
        """For how many seconds it may still go on, None without a limit."""
        if self._deadline is None or self._is_overdue:
            return None
        return max(0.0, _seconds_until(self._deadline))

    async def _stop_all(self) -> None:
        """End what runs; nothing more begins."""
        state = TaskState.CANCELLING if is_cancel_requested() else TaskState.STOPPING
        self._show(state, f"Ends what runs, for {self._who}.")
        stopping = [self._stop(each) for each in self._open.values()]
        await finished(asyncio.gather(*stopping))

    async def _stop(self, handle: StepHandle) -> None:
        """Cancel a step, in the name of whoever has cancelled the operation."""
        try:
            await handle.signal("Cancel", self._who)
        except FailureError:
            return  # It has ended meanwhile.
        handle.cancel()

    @property
    def _who(self) -> str:
        if is_cancel_requested():
            return self._orders.cancelled_by
        return "its operation, whose time is over"


def _deadline(composite: Composite, begun: datetime | None) -> datetime | None:
    if composite.deadline is None or begun is None:
        return None
    return begun + timedelta(seconds=composite.deadline)


def _seconds_until(moment: datetime | None) -> float:
    """Return how many seconds are left; 0 or less if it has come, or there is none."""
    return 0.0 if moment is None else (moment - workflow.now()).total_seconds()


def _failure(name: str, end: StepEnd) -> Message:
    why = end.why.rstrip(".")
    return base_message(
        "OperationFailed",
        text=f"The step {name} has ended as {end.state.value}: {why}.",
        resolution=f"Read {task_or_step_uri(step_id(name))} to see why.",
    )
