"""What the workflows share that stay with a task of a source: what they show of it."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from activities.progress import Observed
    from taskfish.redfish.task import TaskState
    from workflows.events import TaskEvents
    from workflows.following import Following
    from workflows.orders import Orders
    from workflows.task import show


class SourceTask(Orders):
    """A task whose state is mostly its source's, and tells of each."""

    _events: TaskEvents

    def __init__(self) -> None:
        """Begin before `run` does: a workflow reset brings signals before it."""
        super().__init__()
        self._state = TaskState.NEW
        self._following: Following | None = None

    @workflow.signal
    def observed(self, observed: Observed) -> None:
        """Take note of a state that the source's task was seen in."""
        if self._following is not None:
            self._following.observe(observed)

    def _show(
        self,
        state: TaskState,
        words: str,
        *attributes: SearchAttributeUpdate[Any],
        percent: int = 0,
    ) -> None:
        self._state = state
        show(state, words, *attributes)
        self._events.show(state, percent)
