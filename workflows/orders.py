"""What people ask of a task while it runs: signals of workflows that obey them."""

import asyncio
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.progress import SUSPENDED_MEMO
    from taskfish.redfish.tags import are_tags
    from taskfish.temporal import TASK_TAGS
    from workflows.task import given_up, is_cancel_requested, until_or_cancel

SOMEBODY = "somebody in Temporal"
"""Who gives an order without a name: it did not come through Redfish."""
NO_OPERATION = "its operation, which has ended, or by somebody in Temporal"
"""Who cancels a step without a name: Temporal does, when its operation was killed."""


class Tagged:
    """The signal SetTags: other words to find a task by."""

    @workflow.signal(name="SetTags")
    def set_tags(self, tags: list[str]) -> None:
        """Show these tags instead of those so far; what can be none changes nothing."""
        if are_tags(tags):
            new = TASK_TAGS.value_set(tags) if tags else TASK_TAGS.value_unset()
            workflow.upsert_search_attributes([new])


class Cancels(Tagged):
    """The signal Cancel, with the name of who sends it, beside SetTags.

    Redfish sends it before it asks Temporal to cancel, to say who did; alone it asks
    again for what a source has refused before. From the Web UI it comes without a name.
    """

    def __init__(self) -> None:
        self._cancelled_by: str | None = None
        self._cancels = 0
        self._obeyed: int | None = None

    @workflow.signal(name="Cancel")
    def cancel(self, by: str = SOMEBODY) -> None:
        """Note who cancels."""
        self._cancelled_by = by
        self._cancels += 1

    @property
    def cancelled_by(self) -> str:
        """Who has asked for the cancel, as far as that can be told."""
        is_step = workflow.info().parent is not None
        return self._cancelled_by or (NO_OPERATION if is_step else SOMEBODY)

    @property
    def is_cancel_new(self) -> bool:
        """Whether a cancel was asked for that nothing has come of yet."""
        if not is_cancel_requested():
            return False
        return self._obeyed is None or self._obeyed < self._cancels

    @property
    def times_cancelled(self) -> int:
        """How often a cancel was asked for: once at least if it was at all."""
        return max(1, self._cancels) if is_cancel_requested() else 0

    def obey_cancel(self) -> None:
        """Take note that the cancels so far are being carried out."""
        self._obeyed = self._cancels


class Orders(Cancels):
    """The signals Cancel, SetTags, Suspend and Resume: a change can also be held back.

    `needless_resumes` counts those of a task that nobody had suspended: they are for
    what its source has paused by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.suspended_by: str | None = None
        self.needless_resumes = 0

    @workflow.signal(name="Suspend")
    def suspend(self, by: str = SOMEBODY) -> None:
        """Hold back what is not sent yet, and ask the source to suspend its task."""
        if self.suspended_by is None:
            self.suspended_by = by
            workflow.upsert_memo({SUSPENDED_MEMO: by})

    @workflow.signal(name="Resume")
    def resume(self, by: str = SOMEBODY) -> None:
        """Go on."""
        if self.suspended_by is not None:
            self.suspended_by = None
            workflow.upsert_memo({SUSPENDED_MEMO: None})
        else:
            self.needless_resumes += 1

    @property
    def is_suspended(self) -> bool:
        """Whether somebody has suspended the task and nobody has resumed it."""
        return self.suspended_by is not None

    async def leave_undisturbed(self, waiting: asyncio.Future[Any]) -> bool:
        """Wait for an activity, and say whether it has ended: it is given up when
        somebody suspends or cancels.
        """
        await until_or_cancel(lambda: waiting.done() or self.is_suspended)
        if waiting.done():
            return True
        await given_up(waiting)
        return False
