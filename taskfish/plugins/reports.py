"""What a source's answers say of its own task (Task v1.7.4, DSP0266 12.2)."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import JsonValue

from taskfish.plugins.answers import retry_after
from taskfish.plugins.task_actions import pause_actions
from taskfish.redfish.foreign_messages import messages_of, severity_of, task_event_of
from taskfish.redfish.messages import (
    Message,
    base_message,
    error_body,
    success_body,
    task_message,
)
from taskfish.redfish.task import Answer, PluginTask, TaskReport, TaskState

MAX_CREATED = 100
"""How many created resources of one Task are kept: the first."""
TASK_URI = re.compile(r".*/TaskService/Tasks/[^/?#]+(?:/SubTasks/[^/?#]+)?/?")
_OF_TASKS = re.compile(r"/taskmon/|/TaskService/", re.IGNORECASE)
_STATES = {state.lower(): state for state in TaskState} | {
    "canceling": TaskState.CANCELLING,
    "canceled": TaskState.CANCELLED,
}
_ENDS = {
    "TaskCompletedOK": TaskState.COMPLETED,
    "TaskCompletedWarning": TaskState.COMPLETED,
    "TaskAborted": TaskState.EXCEPTION,
    "TaskCancelled": TaskState.CANCELLED,
}
"""What a task has come to whose last TaskEvent message has this key."""
_DENIED_BY_ABORTED = (TaskState.COMPLETED, TaskState.INTERRUPTED)
"""States that sources show of a task though its messages say that it was aborted."""
_BY_WORST = {"Critical": 0, "Warning": 1, "OK": 2}


def is_task(body: JsonValue) -> bool:
    """Whether a body is a Task, or a plugin's short form of one: its state, or no more
    than the message that it has ended with.
    """
    if not isinstance(body, dict):
        return False
    if "TaskState" in body or str(body.get("@odata.type")).startswith("#Task."):
        return True
    return "Messages" in body and _told_end(messages_of(body)) is not None


def is_accepted(answer: Answer) -> bool:
    """Whether a source made a task for the change it so answers (contracts.md 2)."""
    if answer.status == 202:
        return True
    if answer.status not in (200, 201):
        return False
    body = answer.body if isinstance(answer.body, dict) else {}
    names = (answer.header("Location"), body.get("@odata.id"), body.get("TaskMonitor"))
    return is_task(body) or any(_OF_TASKS.search(str(name)) for name in names)


def plugin_task(answer: Answer, instance: str | None = None) -> PluginTask:
    """Return where an accepted task is followed, as far as its answer says.

    Location may be the monitor or the Task itself; a Task in the body names both.
    """
    body = answer.body if isinstance(answer.body, dict) else {}
    location = answer.header("Location") or ""
    at_task = TASK_URI.fullmatch(location)
    monitor = None if at_task else location
    task = location if at_task else body.get("@odata.id")
    return PluginTask(
        monitor=_text(monitor) or _text(body.get("TaskMonitor")),
        task=_text(task) if TASK_URI.fullmatch(str(task)) else None,
        instance=instance,
        started=_moment(body.get("StartTime")),
    )


def accepted_report(answer: Answer) -> TaskReport:
    """Return what the answer that accepts a change says of the task it made.

    Its Allow is about the resource that was changed, not about the task.
    """
    if is_task(answer.body) or answer.status == 202:
        return report_of(answer).model_copy(update={"abortable": None})
    return TaskReport(state=TaskState.RUNNING, retry_after=retry_after(answer))


def report_of(answer: Answer) -> TaskReport:
    """Return what an answer of a monitor, of a Task or to a change says.

    What is neither 202 nor a Task is the final answer of the operation itself.
    """
    body = answer.body
    if isinstance(body, dict) and is_task(body):
        report = _task_report(body, answer)
        if report.state.ended or answer.status < 400:
            return report
    if answer.status == 202:
        return TaskReport(
            state=TaskState.RUNNING,
            retry_after=retry_after(answer),
            abortable=_abortable(answer),
        )
    location = answer.header("Location")
    return TaskReport(
        state=TaskState.COMPLETED if answer.succeeded else TaskState.EXCEPTION,
        percent=100 if answer.succeeded else None,
        messages=messages_of(body),
        created=(location,) if answer.status == 201 and location else (),
        answer=answer,
    )


def _task_report(body: dict[str, JsonValue], answer: Answer) -> TaskReport:
    found = messages_of(body)
    state = _state(body.get("TaskState"), found)
    created = tuple(_created(body.get("Links")))
    messages = _with_verdict(found, body, state)
    percent = _percent(body.get("PercentComplete"), state)
    if len(created) > MAX_CREATED:
        messages = (_too_many(body, percent, len(created)), *messages)
        created = created[:MAX_CREATED]
    ended = state.ended
    return TaskReport(
        state=state,
        percent=percent,
        messages=messages,
        created=created,
        started=_moment(body.get("StartTime")),
        ended=_moment(body.get("EndTime")) if ended else None,
        answer=_derived(state, messages, created, answer) if ended else None,
        retry_after=None if ended else retry_after(answer),
        abortable=None if ended else _abortable(answer),
        pausable=not ended and pause_actions(body) is not None,
    )


def _state(shown: JsonValue, messages: tuple[Message, ...]) -> TaskState:
    """Return the state of a Task; where it shows none that is known, its messages tell.

    TaskAborted is a failure, whatever else is shown as the end (TaskEvent 1.0).
    """
    state = _STATES.get(str(shown).lower())
    told = _told_end(messages)
    if state is None:
        return told or TaskState.RUNNING
    is_denied = told is TaskState.EXCEPTION and state in _DENIED_BY_ABORTED
    return TaskState.EXCEPTION if is_denied else state


def _told_end(messages: tuple[Message, ...]) -> TaskState | None:
    """Return how a task has ended by its last TaskEvent message, None if it says
    something else.
    """
    keys = [key for message in messages if (key := task_event_of(message))]
    return _ENDS.get(keys[-1]) if keys else None


def _abortable(answer: Answer) -> bool | None:
    """Return whether Allow has DELETE, None without Allow (DSP0266 12.2)."""
    allow = answer.header("Allow")
    if allow is None:
        return None
    return "DELETE" in [method.strip().upper() for method in allow.split(",")]


def _derived(
    state: TaskState, messages: Iterable[Message], created: tuple[str, ...], of: Answer
) -> Answer:
    """Return the final answer that an ended Task stands for (contracts.md 2)."""
    if state == TaskState.COMPLETED:
        body = success_body(base_message("Success"))
        if created:
            return Answer(status=201, headers={"Location": created[0]}, body=body)
        return Answer(status=200, body=body)
    if state != TaskState.EXCEPTION:
        text = (
            f"The source's own task ended as {state}; a part of it may have been done."
        )
        messages = [base_message("OperationFailed", text=text), *messages]
    bad = [message for message in messages if message.severity != "OK"]
    worst_first = sorted(bad, key=lambda message: _BY_WORST[message.severity])
    status = of.status if of.status >= 400 else 500
    return Answer(status=status, body=error_body(*worst_first))


def _with_verdict(
    messages: tuple[Message, ...], body: dict[str, JsonValue], state: TaskState
) -> tuple[Message, ...]:
    """Add what TaskState and TaskStatus say where no message of the Task says it."""
    if any(message.severity != "OK" for message in messages):
        return messages
    if state == TaskState.EXCEPTION:
        return (*messages, base_message("OperationFailed"))
    warns = [task_event_of(each) for each in messages[-1:]] == ["TaskCompletedWarning"]
    unwell = warns or severity_of(body.get("TaskStatus")) != "OK"
    if state == TaskState.COMPLETED and unwell:
        name = str(body.get("Id") or body.get("Name") or "")
        return (*messages, task_message("TaskCompletedWarning", name))
    return messages


def _percent(value: JsonValue, state: TaskState) -> int | None:
    if state == TaskState.COMPLETED:
        return 100
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(min(100, max(0, value)))


def _moment(value: JsonValue) -> datetime | None:
    """Return a time; one without a time zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _created(links: JsonValue) -> Iterable[str]:
    resources = links.get("CreatedResources") if isinstance(links, dict) else None
    for resource in resources if isinstance(resources, list) else []:
        uri = resource.get("@odata.id") if isinstance(resource, dict) else None
        if isinstance(uri, str):
            yield uri


def _too_many(body: dict[str, JsonValue], percent: int | None, number: int) -> Message:
    """Say that not all that a task has created is kept."""
    text = f"It has created {number} resources; only the first {MAX_CREATED} are kept."
    name = str(body.get("Id") or body.get("Name") or "")
    return task_message("TaskProgressChanged", name, str(percent or 0), text=text)


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
