"""The verbs of Task: what one task is, how it is, and its end."""

import re

from pydantic import JsonValue

from api.auditing import note_change_inside
from api.cancelling import delete_task
from api.errors import response_to
from api.responses import task_uri
from api.task_access import visible_task
from api.task_view import TaskView
from api.vdsm.calls import Call, verbs
from api.vdsm.errors import (
    NOT_ALLOWED,
    REFUSED,
    not_allowed,
    not_finished,
    refused,
    unknown_task,
)
from api.vdsm.records import Record, info, status
from taskfish.errors import RequestRefusedError, TaskfishError

VERBS = verbs()
_TASK_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")


@VERBS.add("Task.getInfo", pass_context=True)
async def get_info(call: Call, taskID: str, options: JsonValue = None) -> Record:
    """Return what a task is."""
    return info(await _task(call, taskID))


@VERBS.add("Task.getStatus", pass_context=True)
async def get_status(call: Call, taskID: str, options: JsonValue = None) -> Record:
    """Return how a task is."""
    return status(await _task(call, taskID))


@VERBS.add("Task.stop", pass_context=True)
async def stop(call: Call, taskID: str, options: JsonValue = None) -> None:
    """Cancel a task; one that has ended stays as it is."""
    view = await _task(call, taskID)
    if not view.state.ended:
        await _delete(call, view)


@VERBS.add("Task.clear", pass_context=True)
async def clear(call: Call, taskID: str, options: JsonValue = None) -> None:
    """Remove a task that has ended."""
    view = await _task(call, taskID)
    if not view.state.ended:
        raise not_allowed(view.id, "it has not ended")
    await _delete(call, view)


@VERBS.add("Task.revert", pass_context=True)
async def revert(call: Call, taskID: str, options: JsonValue = None) -> None:
    """Undo nothing: say who does."""
    view = await _task(call, taskID)
    if not view.state.ended:
        raise not_finished(view.id)
    raise not_allowed(view.id, "only a composite operation undoes its steps")


async def _task(call: Call, task_id: str) -> TaskView:
    if not _TASK_ID.fullmatch(task_id):
        raise unknown_task(task_id)
    try:
        return await visible_task(call.gateway, call.user, task_id)
    except RequestRefusedError as error:
        raise unknown_task(task_id) from error


async def _delete(call: Call, view: TaskView) -> None:
    """Do what DELETE on the Task does, to this very run, and have it noted as that."""
    uri = task_uri(view.id)
    try:
        answer = await delete_task(call.gateway, call.user, "conformant", view)
    except TaskfishError as error:
        answer = response_to(error, uri)
    status_code = answer.status_code
    await note_change_inside(call.http, "DELETE", uri, status_code, view.id)
    if status_code >= 400:
        raise refused(answer, NOT_ALLOWED if status_code == 405 else REFUSED)
