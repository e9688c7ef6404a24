"""How a bulk operation ends, by how its steps did (contracts.md 4)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from taskfish.redfish.messages import (
        Message,
        base_message,
        success_body,
        task_message,
    )
    from taskfish.redfish.task import Answer, Health, Outcome, TaskState
    from taskfish.redfish.verdicts import (
        cancelled_outcome,
        failed_answer,
        failed_outcome,
        overdue_outcome,
        with_note,
    )
    from workflows.bulk_steps import BulkSteps
    from workflows.task import is_cancel_requested


def bulk_outcome(task_id: str, steps: BulkSteps, cancelled_by: str) -> Outcome:
    """Judge a bulk operation: with what has failed it is a warning, and where nothing
    has succeeded an exception; one that was broken off is cancelled, or overdue.
    """
    if not steps.was_broken_off:
        outcome = _ended(task_id, steps)
        if not is_cancel_requested():
            return outcome
        words = f"{cancelled_by} has asked to cancel it, but its steps had ended first."
        return with_note(outcome, task_id, words)
    if is_cancel_requested():
        words = f"It was cancelled by {cancelled_by}. {_counted(steps)}"
        outcome = cancelled_outcome(task_id, words)
    elif steps.refusal is not None:
        outcome = failed_outcome(task_id, steps.refusal)
    else:
        words = f"It did not end within its time. {_counted(steps)}"
        outcome = overdue_outcome(task_id, words)
    return outcome.model_copy(
        update={
            "percent": steps.percent,
            "messages": (*_failures(steps), *outcome.messages),
        }
    )


def _ended(task_id: str, steps: BulkSteps) -> Outcome:
    """Judge an operation all of whose steps have ended."""
    failed = _failures(steps)
    if failed and not steps.done:
        return failed_outcome(task_id, failed_answer(*failed, status=500))
    end = "TaskCompletedWarning" if failed else "TaskCompletedOK"
    counted = task_message("TaskProgressChanged", task_id, "100", text=_counted(steps))
    return Outcome(
        state=TaskState.COMPLETED,
        status=Health.WARNING if failed else Health.OK,
        answer=Answer(status=200, body=success_body(*failed))
        if failed
        else Answer(status=204),
        messages=(*failed, counted, task_message(end, task_id)),
        percent=100,
    )


def _failures(steps: BulkSteps) -> tuple[Message, ...]:
    """Return a message for each step that has failed: for the first of many, and how
    many more there are.
    """
    untold = steps.failed - len(steps.messages)
    if not untold:
        return steps.messages
    more = base_message(
        "OperationFailed",
        text=f"{untold} more steps have failed.",
        resolution="Read the SubTasks of the task to see which, and why.",
    )
    return (*steps.messages, more)


def _counted(steps: BulkSteps) -> str:
    """Say in numbers how the steps did."""
    words = f"Of {steps.total} steps {steps.done} are done, {steps.failed} have failed"
    left = steps.total - steps.done - steps.failed
    return f"{words}, {left} have not begun." if left else f"{words}."
