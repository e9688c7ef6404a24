"""How a multi-step operation ends, by how its steps did (contracts.md 4)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from taskfish.redfish.messages import (
        Message,
        base_message,
        success_body,
        task_message,
    )
    from taskfish.redfish.task import Answer, Health, Outcome, TaskState
    from taskfish.redfish.task_events import task_or_step_uri
    from taskfish.redfish.verdicts import (
        cancelled_outcome,
        failed_answer,
        failed_outcome,
        overdue_outcome,
        with_note,
    )
    from workflows.step_ends import StepEnd
    from workflows.steps import Steps
    from workflows.task import is_cancel_requested


def ended_outcome(task_id: str, steps: Steps, cancelled_by: str) -> Outcome:
    """Judge an operation that has come to its end: with what has failed on the way it
    is a warning, and where nothing has succeeded an exception.
    """
    failed = failures(task_id, steps)
    if failed and not steps.done:
        return failed_outcome(task_id, failed_answer(*failed, status=500))
    end = "TaskCompletedWarning" if failed else "TaskCompletedOK"
    outcome = Outcome(
        state=TaskState.COMPLETED,
        status=Health.WARNING if failed else Health.OK,
        answer=Answer(status=200, body=success_body(*failed))
        if failed
        else Answer(status=204),
        messages=(*failed, task_message(end, task_id)),
        created=_created(steps),
        percent=100,
    )
    if not is_cancel_requested():
        return outcome
    words = f"{cancelled_by} has asked to cancel it, but its steps had ended first."
    return with_note(outcome, task_id, words)


def stopped_outcome(task_id: str, steps: Steps, cancelled_by: str) -> Outcome:
    """Judge an operation that was ended before its end: one of its steps has failed,
    somebody has cancelled it, or its time was over. It says what was undone, and who
    has asked for a cancel in vain.
    """
    outcome, why_in_vain = _judged(task_id, steps, cancelled_by)
    *others, last = outcome.messages
    outcome = outcome.model_copy(
        update={
            "created": _created(steps),
            "percent": steps.percent,
            "messages": (*others, *_told_of_undoing(task_id, steps), last),
        }
    )
    if not (why_in_vain and is_cancel_requested()):
        return outcome
    words = f"{cancelled_by} has asked to cancel it, but {why_in_vain}."
    return with_note(outcome, task_id, words)


def _judged(task_id: str, steps: Steps, cancelled_by: str) -> tuple[Outcome, str]:
    """Return why it was ended, and what a cancel came to nothing for: empty if it was
    the cancel. Beside another reason stand the steps that have failed by themselves.
    """
    if steps.has_failed and steps.refusal is None:
        failed = failures(task_id, steps)
        outcome = failed_outcome(task_id, failed_answer(*failed, status=500))
        return outcome, "a step had failed first"
    why_in_vain = ""
    if steps.refusal is not None:
        outcome = failed_outcome(task_id, steps.refusal)
        why_in_vain = "its turn did not come"
    elif steps.is_overdue:
        words = "The operation did not end within its time: its steps were ended."
        outcome = overdue_outcome(task_id, words)
        why_in_vain = "its time was over"
    else:
        words = f"It was cancelled by {cancelled_by}: its steps were ended."
        outcome = cancelled_outcome(task_id, words)
    by_themselves = failures(task_id, steps, with_cancelled=False)
    *others, last = outcome.messages
    messages = (*others, *by_themselves, last)
    return outcome.model_copy(update={"messages": messages}), why_in_vain


def failures(
    task_id: str, steps: Steps, *, with_cancelled: bool = True
) -> tuple[Message, ...]:
    """Return a message for each step that has ended without being done."""
    return tuple(
        _failure(task_id, name, end)
        for name, end in steps.ends.items()
        if not end.is_done and (with_cancelled or end.state is not TaskState.CANCELLED)
    )


def _failure(task_id: str, name: str, end: StepEnd) -> Message:
    where = task_or_step_uri(f"{task_id}:{name}")
    why = end.why.rstrip(".")
    return base_message(
        "OperationFailed",
        text=f"The step {name} has ended as {end.state.value}: {why}.",
        resolution=f"Read {where} to see why.",
    )


def _told_of_undoing(task_id: str, steps: Steps) -> list[Message]:
    """Say of each step that was done what became of it; a GET has changed nothing."""
    told = []
    for name in reversed(steps.done):
        if steps[name].request.method == "GET":
            continue
        undoing = steps.undone.get(name)
        if undoing is None:
            words = f"The step {name} stays done: it has no undo."
        elif undoing.is_done:
            words = f"The step {name} was undone."
        else:
            told.append(
                base_message(
                    "OperationFailed",
                    text=f"The step {name} could not be undone: "
                    f"{undoing.why.rstrip('.')}.",
                    resolution="Undo it by hand, if it is not wanted.",
                )
            )
            continue
        percent = f"{steps.percent}"
        told.append(task_message("TaskProgressChanged", task_id, percent, text=words))
    return told


def _created(steps: Steps) -> tuple[str, ...]:
    """Return what the steps have made and is still there."""
    undone = {name for name, end in steps.undone.items() if end.is_done}
    found = (end.created for name, end in steps.ends.items() if name not in undone)
    return tuple(uri for uri in found if uri)
