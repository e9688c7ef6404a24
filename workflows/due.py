"""What a change waits for before it may be sent: its time, its operator, its turn."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.apply_time import ResetComing, SourceGone, WindowOver
    from activities.submission import NotSent
    from activities.turns import TurnAnswer, TurnTimedOut
    from taskfish.redfish.apply_time import ApplyTime
    from taskfish.redfish.messages import base_message
    from taskfish.redfish.task import TaskState
    from taskfish.redfish.turn import Turn
    from taskfish.redfish.verdicts import failed_answer
    from workflows import plugin_calls
    from workflows.operation import Operation
    from workflows.orders import Orders
    from workflows.task import finished, is_cancel_requested, until_or_cancel

Show = Callable[[TaskState, str], None]
_WINDOW_OVER = "the maintenance window is over"

WAITS_AT_SOURCE = "waits-at-source"
"""The patch since which a change holds no machine while its source keeps it."""


class Due:
    """Waits until one change may be sent; what keeps it from that is a `NotSent`.

    A cancel ends every wait. While an operator has suspended the task it waits for
    nothing else, and holds no place in a queue.
    """

    def __init__(self, operation: Operation, orders: Orders, show: Show) -> None:
        self.source_applies = False
        """Whether the source itself takes care of the apply time."""
        self._operation = operation
        self._orders = orders
        self._show = show
        self._has_turn = operation.turn.taken and operation.turn.come

    async def time(self) -> NotSent | None:
        """Wait for the time that the request asks for (DSP0266, OperationApplyTime)."""
        when = self._operation.apply_time
        if when is None:
            return None
        if when.window_start is None:
            await self._ask_source(when)
        else:
            await self._until_moment(when.window_start)
        if self._waits_for_reset:
            return await self._until_reset(when)
        return self._too_late(when)

    async def turn(self) -> NotSent | None:
        """Wait for an operator who has suspended it, then for its turn (D13)."""
        when, turn = self._operation.apply_time, self._operation.turn
        while not is_cancel_requested():
            was_suspended = await self._until_resumed()
            if was_suspended and when is not None and self._waits_for_reset:
                kept_back = await self._until_reset(when)
                if kept_back is not None:
                    return kept_back
            if self._has_turn or not turn.systems or not self._holds_machine:
                return self._too_late(when)
            if turn.waits:
                self._show(TaskState.PENDING, "Waits for its turn on the machine.")
            waiting = self._await_turn(turn)
            if await self._orders.leave_undisturbed(waiting):
                got = await finished(waiting)
                if isinstance(got, TurnTimedOut):
                    return not_its_turn(got.holder)
                self._has_turn = True
        return None

    @property
    def _holds_machine(self) -> bool:
        """Whether it is to be alone on the machine: what its source keeps until a reset
        would be in the way of that very reset.
        """
        when = self._operation.apply_time
        waits_there = self.source_applies and when is not None and when.needs_reset
        return not (waits_there and workflow.patched(WAITS_AT_SOURCE))

    @property
    def _waits_for_reset(self) -> bool:
        """Whether the gateway itself keeps the change until a reset."""
        when = self._operation.apply_time
        return when is not None and when.needs_reset and not self.source_applies

    async def _ask_source(self, when: ApplyTime) -> None:
        """Ask whether the source takes care of the apply time itself.

        One that does not say so takes care of none.
        """
        while not is_cancel_requested():
            await self._until_resumed()
            self._show(TaskState.PENDING, "Asks the source which apply times it has.")
            asking = plugin_calls.apply_times(self._operation)
            if not await self._orders.leave_undisturbed(asking):
                continue
            with suppress(ActivityError):
                self.source_applies = when.value in await finished(asking)
            return

    async def _until_resumed(self) -> bool:
        """Wait while suspended, and say whether it was; the place in the queue is given
        up for that.
        """
        if not self._orders.is_suspended or is_cancel_requested():
            return False
        who = self._orders.suspended_by
        self._show(TaskState.SUSPENDED, f"Suspended by {who}; nothing is sent.")
        operation = self._operation
        is_step = operation.root_run is not None
        if operation.turn.systems and not is_step:  # Its place is its operation's.
            leaving = plugin_calls.leave_turn(
                operation.token, operation.heartbeat_timeout
            )
            await finished(leaving)
            self._has_turn = False
        await until_or_cancel(lambda: not self._orders.is_suspended)
        return True

    async def _until_moment(self, moment: datetime) -> None:
        """Wait for a maintenance window, by a durable timer."""
        while not is_cancel_requested():
            await self._until_resumed()
            left = (moment - workflow.now()).total_seconds()
            if left <= 0:
                return
            self._show(TaskState.PENDING, f"Waits until {moment:%FT%TZ}.")
            await until_or_cancel(
                lambda: self._orders.is_suspended, left, "until its window"
            )

    async def _until_reset(self, when: ApplyTime) -> NotSent | None:
        """Wait for the machine's next reset, within the window if there is one."""
        while not is_cancel_requested():
            await self._until_resumed()
            self._show(TaskState.PENDING, "Waits for the next reset of the machine.")
            waiting = plugin_calls.await_reset(self._operation, when)
            if not await self._orders.leave_undisturbed(waiting):
                continue
            seen = await finished(waiting)
            if isinstance(seen, WindowOver):
                return _not_made(f"{_WINDOW_OVER}, and the machine was not reset")
            if isinstance(seen, SourceGone):
                return _not_made("its source was removed")
            if isinstance(seen, ResetComing):
                await self._take_turn_at_once()
            return None
        return None

    async def _take_turn_at_once(self) -> None:
        """Take a place behind the reset that waits for this change to be sent."""
        turn = self._operation.turn
        if turn.systems and not self._has_turn:
            at_once = turn.model_copy(update={"waits": False})
            await finished(self._await_turn(at_once))
            self._has_turn = True

    def _await_turn(self, turn: Turn) -> workflow.ActivityHandle[TurnAnswer]:
        operation = self._operation
        return plugin_calls.await_turn(
            turn,
            operation.token,
            operation.change.uri,
            operation.heartbeat_timeout,
        )

    def _too_late(self, when: ApplyTime | None) -> NotSent | None:
        """Check a window's end just before the sending."""
        if when is None or when.window_end is None or workflow.now() < when.window_end:
            return None
        return _not_made(_WINDOW_OVER)


def _not_made(reason: str) -> NotSent:
    message = base_message(
        "OperationFailed",
        text=f"The change was not made: {reason}.",
        resolution="Repeat the request with another time.",
    )
    return NotSent(reason=reason, answer=failed_answer(message))


def not_its_turn(holder: str) -> NotSent:
    """Say that the machine was still held by another task when its time was over."""
    message = base_message(
        "ResourceInUse",
        text=f"The change was not made: the machine was still held by {holder}.",
        resolution=f"Wait for the end of {holder}, then repeat the request.",
    )
    return NotSent(reason=message.message, answer=failed_answer(message))
