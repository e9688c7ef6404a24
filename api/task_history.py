"""The last events of a task's history: what a description does not tell."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client, WorkflowExecutionDescription

from activities.progress import (
    SOURCE_CANCELLED,
    Completion,
    DeadlinePassed,
    Lost,
    Progress,
)
from api.last_words import Killing
from api.task_commands import CANCEL_SIGNAL
from api.task_view import ITS_SOURCE
from api.temporal_faults import TEMPORAL_FAULTS, unread
from taskfish.redfish.task import TaskState
from taskfish.temporal import RPC_TIMEOUT, TASK_STATE
from workflows.orders import SOMEBODY

_COMPLETION: TypeAdapter[Completion] = TypeAdapter(Completion)
NOBODY_KNOWN = "somebody"
"""Who has asked to cancel a task whose history does not tell."""
ITS_OPERATION = "its operation, which has ended,"
"""Who has asked to cancel a step: Temporal does when its operation was killed."""
_ENDS = ("ended", "lost", "deadline_passed")
_FIRST_STEPS = ("submit", "admit_source", "await_state")
_LAST_EVENTS = 10
_SOME_TIME_AGO = 50
"""Events in which somebody who has asked to cancel, or a sending, is looked for."""


class TaskHistory:
    """The end of one run's history, the newest event first.

    Raises `TemporalUnavailableError` when Temporal is silent, `TaskGoneError` if the
    run was removed meanwhile.
    """

    def __init__(self, client: Client, run: WorkflowExecutionDescription) -> None:
        self._client = client
        self._run = run

    async def next_run(self) -> str | None:
        """Return the run that a task has gone on as, None if it has not."""
        for event in await self._last(1):
            gone_on = event.workflow_execution_continued_as_new_event_attributes
            return gone_on.new_execution_run_id or None
        return None

    async def last_report(self) -> Progress | None:
        """Return what the waiting activity has found when its workflow did not yet
        take note of it: else the percent would go back until a worker does.
        """
        for event in await self._last(_LAST_EVENTS):
            completed = event.activity_task_completed_event_attributes
            values = await self._values(completed.result.payloads)
            if (
                values
                and isinstance(values[0], dict)
                and values[0].get("kind") in _ENDS
            ):
                return self._progress_at(_COMPLETION.validate_python(values[0]))
        return None

    def _progress_at(self, end: Completion) -> Progress:
        if isinstance(end, DeadlinePassed):
            return end.progress
        state = TaskState(self._run.typed_search_attributes[TASK_STATE])
        if isinstance(end, Lost):
            return Progress(state=state, percent=end.percent)
        percent = end.report.percent or 0
        return Progress(state=state, percent=percent, messages=end.report.messages)

    async def cancelled_by(self) -> str:
        """Return who has asked last to cancel it, as far as that can be told.

        Its name is on its way while a worker is at the workflow.
        """
        others = SOMEBODY
        for event in await self._last(_SOME_TIME_AGO):
            requested = event.workflow_execution_cancel_requested_event_attributes
            if requested.cause == SOURCE_CANCELLED:
                return ITS_SOURCE
            if requested.HasField("external_workflow_execution"):
                others = ITS_OPERATION
            signaled = event.workflow_execution_signaled_event_attributes
            if signaled.signal_name == CANCEL_SIGNAL:
                values = await self._values(signaled.input.payloads)
                return str(values[0]) if values else SOMEBODY
        is_worked_on = self._run.raw_description.HasField("pending_workflow_task")
        is_named_yet = others is not SOMEBODY or not is_worked_on
        return others if is_named_yet else NOBODY_KNOWN

    async def has_begun(self) -> bool:
        """Say whether a run that its source has no task of had begun to send, or one
        of its steps had.
        """
        for event in await self._last(_SOME_TIME_AGO):
            scheduled = event.activity_task_scheduled_event_attributes
            is_of_step = "child_workflow" in (event.WhichOneof("attributes") or "")
            if is_of_step or scheduled.activity_type.name in _FIRST_STEPS:
                return True
        return False

    async def killing(self) -> Killing:
        """Return how a terminated run was terminated."""
        for event in await self._last(1):
            terminated = event.workflow_execution_terminated_event_attributes
            values = await self._values(terminated.details.payloads)
            if values and isinstance(values[0], str):
                percent = values[1] if len(values) > 1 else None
                return Killing(by=values[0], percent=percent)
        return Killing()

    async def _last(self, count: int) -> Sequence[HistoryEvent]:
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=self._client.namespace,
            execution=self._run.raw_description.workflow_execution_info.execution,
            maximum_page_size=count,
        )
        service = self._client.workflow_service
        try:
            found = await service.get_workflow_execution_history_reverse(
                request, timeout=RPC_TIMEOUT
            )
        except TEMPORAL_FAULTS as error:
            raise unread(error) from error
        return found.history.events

    async def _values(self, payloads: Sequence[Any]) -> list[Any]:
        return await self._client.data_converter.decode(payloads)
