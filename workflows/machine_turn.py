"""The turn of a multi-step operation on all machines that it touches (D13)."""

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.turns import TurnTimedOut
    from taskfish.redfish.task import Answer, TaskState
    from workflows import plugin_calls
    from workflows.composite import Composite
    from workflows.due import not_its_turn
    from workflows.task import finished, given_up, until_or_cancel


class MachineTurn:
    """Takes the places, and gives them up while an operator holds the operation."""

    def __init__(
        self, composite: Composite, show: Callable[[TaskState, str], None]
    ) -> None:
        self._composite = composite
        self._show = show
        self._has_come = composite.turn.taken and composite.turn.come

    async def take(self) -> Answer | None:
        """Wait until all ahead have ended, or a cancel; return what its client gets if
        its time to wait is over.
        """
        composite, turn = self._composite, self._composite.turn
        if self._has_come or not turn.systems:
            return None
        if turn.waits:
            self._show(TaskState.PENDING, "Waits for its turn on its machines.")
        seconds = composite.limits.heartbeat_timeout
        waiting = plugin_calls.await_turn(turn, composite.token, composite.uri, seconds)
        await until_or_cancel(waiting.done)
        if not waiting.done():
            await given_up(waiting)
            return None
        got = await finished(waiting)
        if isinstance(got, TurnTimedOut):
            return not_its_turn(got.holder).answer
        self._has_come = True
        return None

    async def take_at_once(self) -> None:
        """Take the places whoever is there: what a cancel or a failure undoes passes,
        as an abort does (D13), and later changes see it.
        """
        composite, turn = self._composite, self._composite.turn
        if turn.systems and not self._has_come:
            at_once = turn.model_copy(update={"waits": False})
            seconds = composite.limits.heartbeat_timeout
            await finished(
                plugin_calls.await_turn(
                    at_once, composite.token, composite.uri, seconds
                )
            )
            self._has_come = True

    async def leave(self) -> None:
        """Give the places up; `take` takes them again, behind those who came since."""
        composite = self._composite
        if composite.turn.systems:
            seconds = composite.limits.heartbeat_timeout
            await finished(plugin_calls.leave_turn(composite.token, seconds))
            self._has_come = False
