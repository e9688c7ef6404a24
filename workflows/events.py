"""What a task's workflow tells the event log: each state in order, and its end (D9)."""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.event_log import EventLogActivities, TaskEnd
    from taskfish.redfish.events import Event
    from taskfish.redfish.task import Outcome, TaskState
    from taskfish.redfish.task_events import TaskStory, TaskSubject, is_told_of_id
    from taskfish.temporal import TASK_OWNER, TASK_RESOURCES
    from workflows import policies
    from workflows.task import finished

AN_APPEND_AT_MOST = timedelta(seconds=10)
HELD_AT_MOST = timedelta(seconds=1)
"""After how long an append that fails is a timer, and the workflow goes on."""


class TaskEvents:
    """Appends the events of one run, one after the other, while the workflow goes on.

    `logs` is False for runs that an earlier version started, whose histories know
    nothing of it: the reconciler appends their end. Steps of steps tell nothing: there
    is no resource of them (Task v1.7.4 has one level of SubTasks). A run that goes on
    with an earlier one's task has not begun anew.
    """

    def __init__(
        self, method: str, uri: str, *, logs: bool, goes_on: bool = False
    ) -> None:
        info = workflow.info()
        attributes = info.typed_search_attributes
        self.subject = TaskSubject(
            task_id=info.workflow_id,
            run_id=info.run_id,
            owner=attributes.get(TASK_OWNER) or "",
            method=method,
            uri=uri,
            machines=tuple(attributes.get(TASK_RESOURCES) or ()),
        )
        self._logs = logs and is_told_of_id(info.workflow_id)
        state = TaskState.RUNNING if goes_on else TaskState.NEW
        self._story = TaskStory(self.subject, state)
        self._last: asyncio.Task[None] | None = None

    def show(self, state: TaskState, percent: int = 0) -> None:
        """Have the event of a state appended, if it is one, behind those before."""
        if not self._logs:
            return
        event = self._story.next(state, percent, workflow.now())
        if event is not None:
            self._last = asyncio.create_task(self._append(event, self._last))

    def progress(self, percent: int) -> None:
        """Have it appended how far the task is, behind the events before."""
        if self._logs:
            event = self.subject.progressed(percent, workflow.now())
            self._last = asyncio.create_task(self._append(event, self._last))

    async def settled(self) -> None:
        """Wait until all of it is appended."""
        if self._last is not None:
            await finished(self._last)

    async def end(self, outcome: Outcome) -> Outcome:
        """Append the end; return the outcome that counts.

        That is another one only if a run of this very step was told of already.
        """
        if not self._logs:
            return outcome
        await self.settled()
        ending = workflow.start_local_activity_method(
            EventLogActivities.append_end,
            TaskEnd(subject=self.subject, outcome=outcome, at=workflow.now()),
            start_to_close_timeout=AN_APPEND_AT_MOST,
            local_retry_threshold=HELD_AT_MOST,
            retry_policy=policies.UNTIL_DONE,
            summary="tell of the end",
        )
        return await finished(ending) or outcome

    async def _append(self, event: Event, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        await workflow.execute_local_activity_method(
            EventLogActivities.append_event,
            event,
            start_to_close_timeout=AN_APPEND_AT_MOST,
            local_retry_threshold=HELD_AT_MOST,
            retry_policy=policies.UNTIL_DONE,
            summary=f"tell of {event.message.message_id.rpartition('.')[2]}",
        )
