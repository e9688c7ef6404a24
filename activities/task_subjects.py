"""What the events of a task are about, read from its run in Temporal."""

from datetime import UTC, datetime

from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from activities.memos import request_in
from taskfish.redfish.events import Event
from taskfish.redfish.messages import task_message
from taskfish.redfish.task_events import END, KILLED, TaskSubject
from taskfish.temporal import TASK_OWNER, TASK_RESOURCES, TASK_TARGET

_FAILED = WorkflowExecutionStatus.FAILED
_ENDS: dict[WorkflowExecutionStatus, tuple[str, str | None]] = {
    WorkflowExecutionStatus.COMPLETED: ("TaskCompletedOK", None),
    WorkflowExecutionStatus.CANCELED: ("TaskCancelled", None),
    WorkflowExecutionStatus.TERMINATED: ("TaskAborted", "The task {} was killed."),
    WorkflowExecutionStatus.FAILED: ("TaskAborted", None),
}
"""How Temporal says that a run was closed → message, and words of our own."""


async def subject_of(run: WorkflowExecutionDescription) -> TaskSubject:
    """Return the subject of a run's events, as its workflow itself names it; only its
    method is not known if the memo cannot be read.
    """
    attributes = run.typed_search_attributes
    request = await request_in(run) or {}
    return TaskSubject(
        task_id=run.id,
        run_id=run.run_id,
        owner=attributes.get(TASK_OWNER) or "",
        method=str(request.get("method") or ""),
        uri=attributes.get(TASK_TARGET) or "",
        machines=tuple(attributes.get(TASK_RESOURCES) or ()),
    )


async def end_of(run: WorkflowExecutionDescription) -> Event:
    """Return the event of the end of a closed run that could not tell of it itself."""
    key, text = _ENDS.get(run.status or _FAILED, _ENDS[_FAILED])
    message = task_message(key, run.id, text=text.format(run.id) if text else None)
    ended_at = run.close_time or datetime.now(UTC)
    step = KILLED if run.status is WorkflowExecutionStatus.TERMINATED else END
    return (await subject_of(run)).changed(step, message, ended_at)


async def is_told_of(run: WorkflowExecutionDescription) -> bool:
    """Say whether anybody is told of a run: not of an adopted task that had ended
    before it was found.
    """
    request = await request_in(run) or {}
    return not request.get("untold")


def first_run_of(run: WorkflowExecutionDescription) -> str:
    """Return the run that a task began with: a reset one has the same."""
    return run.raw_description.workflow_execution_info.first_run_id or run.run_id
