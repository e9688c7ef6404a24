"""What a final answer makes of its task: state, status, messages (contracts.md 2)."""

from pydantic import JsonValue

from taskfish.redfish.foreign_messages import messages_of, task_event_of
from taskfish.redfish.links import ROOT
from taskfish.redfish.messages import (
    Message,
    base_message,
    error_body,
    status_of,
    task_message,
)
from taskfish.redfish.task import Answer, Health, Outcome, TaskReport, TaskState

EXTENDED_INFO = "@Message.ExtendedInfo"
MAX_SAID = 10
"""How many messages of its source a step's end has: the last ones."""


def failed_answer(*messages: Message, status: int | None = None) -> Answer:
    """Return an error answer; its status is that of the first message, if not given."""
    return Answer(
        status=status or status_of(messages[0]),
        headers={"Content-Type": "application/json"},
        body=error_body(*messages),
    )


def outcome_of_answer(task_id: str, answer: Answer) -> Outcome:
    """Judge a change that the source answered within the request."""
    state = TaskState.COMPLETED if answer.succeeded else TaskState.EXCEPTION
    return outcome_of_report(task_id, TaskReport(state=state, answer=answer))


def outcome_of_report(task_id: str, report: TaskReport) -> Outcome:
    """Judge an ended task of a source.

    An answer that says otherwise than the state wins over "Completed": the client
    must not be told of a success that its own answer denies.
    """
    answer = report.answer
    assert answer is not None, "only an ended task has an outcome"
    state = _end_state(report.state, answer)
    messages = report.messages or messages_of(answer.body)
    status = _health(state, messages)
    location = answer.header("Location")
    created = report.created or ((location,) if _created(answer, location) else ())
    return Outcome(
        state=state,
        status=status,
        answer=answer,
        messages=(*messages, _end_message(task_id, state, status)),
        created=tuple(uri for uri in created if uri),
        percent=100 if state is TaskState.COMPLETED else report.percent or 0,
    )


def cancelled_outcome(task_id: str, text: str) -> Outcome:
    """Say that a task was cancelled, and what that means for the machine."""
    message = base_message(
        "OperationFailed", text=text, resolution="Start it again if it is still wanted."
    )
    return Outcome(
        state=TaskState.CANCELLED,
        status=Health.WARNING,
        answer=failed_answer(message),
        messages=(message, task_message("TaskCancelled", task_id)),
    )


def overdue_outcome(task_id: str, text: str, how: str | None = None) -> Outcome:
    """End a task whose deadline has passed: 500 with OperationTimeout, since a 504
    would look like a proxy's own (contracts.md 4). `text` says what is known of it;
    `how` is its resolution, if not the usual one.
    """
    message = base_message("OperationTimeout", text=text, resolution=how)
    return failed_outcome(task_id, failed_answer(message, status=500))


def with_words(outcome: Outcome, text: str, how: str | None = None) -> Outcome:
    """Add what is known besides, before the message that says how it ended; `how` is
    its resolution, if not the usual one.
    """
    message = base_message("OperationFailed", text=text, resolution=how)
    *others, last = outcome.messages
    return outcome.model_copy(update={"messages": (*others, message, last)})


def with_note(outcome: Outcome, task_id: str, text: str) -> Outcome:
    """Add what has happened on the way and is no fault, before how it ended."""
    note = task_message("TaskProgressChanged", task_id, f"{outcome.percent}", text=text)
    *others, last = outcome.messages
    return outcome.model_copy(update={"messages": (*others, note, last)})


def unknown_outcome(task_id: str, method: str, uri: str, reason: str) -> Outcome:
    """Say that nobody knows what a change did, and how to find out (D4)."""
    message = base_message(
        "OperationFailed",
        text=f"The outcome of {method} {uri} is unknown: {reason}. It was sent at "
        "most once and is not sent again.",
        resolution=f"Read {_checked_at(uri)} to see whether the change was made; "
        "repeat the request only if it was not.",
    )
    return failed_outcome(task_id, failed_answer(message))


def failed_outcome(task_id: str, answer: Answer) -> Outcome:
    """End a task with an error answer."""
    return outcome_of_answer(task_id, answer)


def step_answer(outcome: Outcome, *, keeps_body: bool) -> Answer:
    """Return what a multi-step operation gets of a step that is done: its final answer,
    without the body if that is not kept, with what its source has said on the way.
    """
    answer = outcome.answer
    body = answer.body if keeps_body else None
    said: dict[tuple[str, tuple[str, ...]], JsonValue] = {
        (each.message_id, each.message_args): each.to_json()
        for each in (*messages_of(answer.body), *outcome.messages)
        if task_event_of(each) is None and not each.message_id.endswith(".Success")
    }
    if said and isinstance(body, dict | None):
        body = {**(body or {}), EXTENDED_INFO: [*said.values()][-MAX_SAID:]}
    return answer.model_copy(update={"body": body})


def _checked_at(uri: str) -> str:
    """Return where the effect of a change shows."""
    return uri.partition("/Actions/")[0] or ROOT


def _end_state(state: TaskState, answer: Answer) -> TaskState:
    """Return the state of our task; Killed is an older word for Cancelled."""
    if state in (TaskState.CANCELLED, TaskState.KILLED):
        return TaskState.CANCELLED
    if state is TaskState.COMPLETED and answer.succeeded:
        return TaskState.COMPLETED
    return TaskState.EXCEPTION


def _health(state: TaskState, messages: tuple[Message, ...]) -> Health:
    """Roll up the severities; what has completed is at worst a warning (D7)."""
    severities = {message.severity for message in messages}
    if state is TaskState.EXCEPTION:
        return Health.CRITICAL
    if state is not TaskState.COMPLETED or severities - {"OK"}:
        return Health.WARNING
    return Health.OK


def _end_message(task_id: str, state: TaskState, status: Health) -> Message:
    if state is TaskState.COMPLETED:
        ok = status is Health.OK
        return task_message(
            "TaskCompletedOK" if ok else "TaskCompletedWarning", task_id
        )
    if state is TaskState.CANCELLED:
        return task_message("TaskCancelled", task_id)
    return task_message("TaskAborted", task_id)


def _created(answer: Answer, location: str | None) -> bool:
    return answer.status == 201 and location is not None
