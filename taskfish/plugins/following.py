"""How a source's task is followed: its monitor, its Task, and the two together."""

from collections.abc import Awaitable, Callable

from taskfish.errors import PluginTaskGoneError, TaskfishError
from taskfish.plugins.answers import GONE, passing_fault, refuse_credentials
from taskfish.plugins.reports import is_task, report_of
from taskfish.redfish.task import Answer, PluginTask, TaskReport, TaskState

Get = Callable[[str], Awaitable[Answer]]
"""Reads one URI of the source, whatever its answer is."""


async def follow(task: PluginTask, get: Get, name: str) -> TaskReport:
    """Ask for a task of source `name`: its monitor, and its Task where that helps.

    Raises `PluginTaskGoneError` if neither is there any more or another task has their
    place, a TransientError if nothing was learned.
    """
    report = await _from_monitor(task, get, name) if task.monitor else None
    if report is None and task.task:
        report = await _from_task(task.task, get, name)
    if report is None:
        where = f"has no task at {task.uri} (any more)" if task.uri else "named no task"
        raise PluginTaskGoneError(f"source {name} {where}")
    refuse_other_task(task, report, name)
    return report


def refuse_other_task(task: PluginTask, report: TaskReport, name: str) -> None:
    """Raise `PluginTaskGoneError` if the report is of a task that began later."""
    if task.started and report.started and report.started != task.started:
        raise PluginTaskGoneError(
            f"source {name} has another task at {task.uri}: it started"
            f" {report.started.isoformat()}, ours {task.started.isoformat()}"
        )


def refuse_end_or_other(task: PluginTask, report: TaskReport, name: str) -> None:
    """Raise `PluginTaskGoneError` if the report is of another task, or of an end: what
    is then sent would be done to another's task, or remove what tells of ours.
    """
    refuse_other_task(task, report, name)
    if report.state.ended:
        raise PluginTaskGoneError(f"the task of source {name} is over")


async def check_before_abort(task: PluginTask, get: Get, name: str) -> None:
    """Read a Task and raise what `refuse_end_or_other` does; one that cannot be read
    tells nothing.
    """
    shown = await _detail(task, get)
    if shown is not None:
        refuse_end_or_other(task, shown, name)


async def _from_monitor(task: PluginTask, get: Get, name: str) -> TaskReport | None:
    """Return what the monitor says, None if it is gone.

    Joined with the Task at the end, and while the monitor shows none of it.
    """
    answer = await get(task.monitor or "")
    if answer.status in GONE:
        return None
    refuse_credentials(answer, name)
    fault = passing_fault(answer, name)
    report = report_of(answer)
    if fault is None and is_task(answer.body):
        return report
    detail = await _detail(task, get)
    if fault is None:
        join = _filled if report.answer is None else _joined
        return join(report, detail)
    if detail is None or not detail.state.ended:
        raise fault
    return detail


async def _from_task(uri: str, get: Get, name: str) -> TaskReport | None:
    answer = await get(uri)
    if answer.status in GONE:
        return None
    refuse_credentials(answer, name)
    fault = passing_fault(answer, name)
    if fault is not None:
        raise fault
    return report_of(answer)


async def _detail(task: PluginTask, get: Get) -> TaskReport | None:
    """Return what the Task says, None if it cannot be read: it only adds."""
    if task.task is None:
        return None
    try:
        answer = await get(task.task)
    except TaskfishError:
        return None
    if not answer.succeeded or not is_task(answer.body):
        return None
    return report_of(answer)


def _filled(monitor: TaskReport, task: TaskReport | None) -> TaskReport:
    """Add an open Task to what a monitor says that shows nothing of it.

    A Task that has ended leaves the end to the monitor, which has the final answer.
    """
    if task is None or task.state.ended:
        return monitor
    own = monitor.model_dump(include={"abortable", "retry_after"}, exclude_none=True)
    return task.model_copy(update=own)


def _joined(final: TaskReport, task: TaskReport | None) -> TaskReport:
    """Join the monitor's final answer with its Task.

    A Task that failed is right over a 2xx: bmcweb's monitor ends with 204 always. A
    Task that goes on is right over an error, and behind the times over a 2xx.
    """
    if task is None or final.answer is None:
        return final
    succeeded = final.answer.succeeded
    if succeeded and task.state.ended and task.state != TaskState.COMPLETED:
        return task
    if not succeeded and not task.state.ended:
        return task
    cancelled = task.state in (TaskState.CANCELLED, TaskState.KILLED)
    return final.model_copy(
        update={
            "state": task.state if cancelled else final.state,
            "messages": task.messages or final.messages,
            "created": tuple(dict.fromkeys((*task.created, *final.created))),
            "started": task.started,
        }
    )
