"""The turn of a multi-step operation on all machines that it touches (D13)."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.turns import TurnAnswer, TurnTimedOut
    from taskfish.redfish.task import Answer, TaskState
    from taskfish.redfish.turn import Turn
    from workflows import plugin_calls
    from workflows.composite import Composite
    from workflows.due import not_its_turn
    from workflows.orders import Orders
    from workflows.task import (
        finished,
        is_cancel_requested,
        until_or_cancel,
    )

LEAVES_QUEUE = "leaves-queue"
"""The patch since which an operation that is suspended in a queue leaves it."""


class MachineTurn:
    """Takes the places, and gives them up while an operator holds the operation."""

    def __init__(
        self,
        composite: Composite,
        orders: Orders,
        show: Callable[[TaskState, str], None],
    ) -> None:
        self._composite = composite
        self._orders = orders
        self._show = show
        self._has_come = composite.turn.taken and composite.turn.come

    async def take(self) -> Answer | None:
        """Wait until all ahead have ended, or a cancel; return what its client gets if
        its time to wait is over. While it is suspended it is in nobody's way.
        """
        turn = self._composite.turn
        if self._has_come or not turn.systems:
            return None
        while not is_cancel_requested():
            await self._until_resumed()
            if turn.waits:
                self._show(TaskState.PENDING, "Waits for its turn on its machines.")
            waiting = self._awaited(turn)
            if not await self._has_ended(waiting):
                continue
            got = await finished(waiting)
            if isinstance(got, TurnTimedOut):
                return not_its_turn(got.holder).answer
            self._has_come = True
            return None
        return None

    async def _until_resumed(self) -> None:
        is_suspended = self._orders.is_suspended and not is_cancel_requested()
        if is_suspended and workflow.patched(LEAVES_QUEUE):
            words = f"Suspended by {self._orders.suspended_by}; it waits for no turn."
            self._show(TaskState.SUSPENDED, words)
            await self.leave()
            await until_or_cancel(lambda: not self._orders.is_suspended)

    async def _has_ended(self, waiting: asyncio.Future[Any]) -> bool:
        """Wait for its turn; give the wait up when somebody suspends or cancels."""
        orders = self._orders
        await until_or_cancel(lambda: waiting.done() or orders.is_suspended)
        is_suspended = not waiting.done() and not is_cancel_requested()
        if is_suspended and not workflow.patched(LEAVES_QUEUE):
            await until_or_cancel(waiting.done)
        return await orders.leave_undisturbed(waiting)

    async def take_at_once(self) -> None:
        """Take the places whoever is there: what a cancel or a failure undoes passes,
        as an abort does (D13), and later changes see it.
        """
        turn = self._composite.turn
        if turn.systems and not self._has_come:
            await finished(self._awaited(turn.model_copy(update={"waits": False})))
            self._has_come = True

    async def leave(self) -> None:
        """Give the places up; `take` takes them again, behind those who came since."""
        composite = self._composite
        if composite.turn.systems:
            seconds = composite.limits.heartbeat_timeout
            await finished(plugin_calls.leave_turn(composite.token, seconds))
            self._has_come = False

    def _awaited(self, turn: Turn) -> workflow.ActivityHandle[TurnAnswer]:
        composite = self._composite
        seconds = composite.limits.heartbeat_timeout
        return plugin_calls.await_turn(turn, composite.token, composite.uri, seconds)
