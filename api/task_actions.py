"""The actions of a running Task: Suspend, Resume, PauseBefore, SetTags and Kill."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import JsonValue

from api.authentication import User, authenticated
from api.bodies import json_body
from api.checked_bodies import checked_action
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.killing import tell_of_kill
from api.privileges import require_owner_or
from api.responses import GET, resource_response, task_uri
from api.task_access import visible_task
from api.task_commands import TaskCommands
from api.task_resources import (
    KILL,
    PAUSE_BEFORE,
    RESUME,
    SET_TAGS,
    SUSPEND,
    action_info_uri,
    action_uri,
    actions_of,
)
from api.task_view import TaskView
from taskfish.errors import RequestRefusedError
from taskfish.redfish.requests import PauseBeforeBody, TagsBody
from taskfish.redfish.resources import ActionInfo
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.tags import MOST_TAGS
from taskfish.redfish.task import TaskState

router = APIRouter()
SHOWN_WITHIN = 1.0
"""Seconds that an answer waits for a worker to show other tags."""
A_LOOK = 0.03
_TAGS: dict[str, JsonValue] = {
    "Name": "Tags",
    "Required": True,
    "DataType": "StringArray",
    "ArraySizeMinimum": 0,
    "ArraySizeMaximum": MOST_TAGS,
}
_PARAMETERS: Mapping[str, list[dict[str, JsonValue]]] = {SET_TAGS: [_TAGS]}
"""What actions take, but for those that take nothing."""


@dataclass(frozen=True)
class TaskActionRequest:
    """A POST to an action of a task that is there for the user."""

    view: TaskView
    body: dict[str, JsonValue]
    user: User
    gateway: Gateway

    @property
    def commands(self) -> TaskCommands:
        """What the task can be told."""
        return TaskCommands(self.gateway.temporal, self.view)


async def asked_action(
    task_id: str,
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> TaskActionRequest:
    """Read the request and its task; raise 404 for a task that is not there."""
    view = await visible_task(gateway, user, task_id)
    return TaskActionRequest(view, body, user, gateway)


@router.post(action_uri("{task_id}", SUSPEND))
async def suspend(asked: TaskActionRequest = Depends(asked_action)) -> Response:
    """Hold back what is not sent yet, or have the source pause its task: 204.

    Raises 400 for a task that can no more be held back, 409 for one that has ended.
    """
    _check_body(SUSPEND, asked.body)
    view = _own(asked, SUSPEND)
    if view.suspended is not None:
        return Response(status_code=204)
    _check_pausable(view)
    if not await asked.commands.suspend(asked.user.name):
        raise _ended(SUSPEND, view)
    return Response(status_code=204)


@router.post(action_uri("{task_id}", RESUME))
async def resume(asked: TaskActionRequest = Depends(asked_action)) -> Response:
    """Let a suspended task go on, also one that its source has paused by itself: 204,
    also if it is not suspended at all.

    Raises 400 for one that its source does not resume, 409 for one that has ended.
    """
    _check_body(RESUME, asked.body)
    view = _own(asked, RESUME)
    if view.suspended is None:
        if view.state is not TaskState.SUSPENDED:
            return Response(status_code=204)
        _check_resumable(view)
    if not await asked.commands.resume(asked.user.name):
        raise _ended(RESUME, view)
    return Response(status_code=204)


@router.post(action_uri("{task_id}", PAUSE_BEFORE))
async def pause_before(asked: TaskActionRequest = Depends(asked_action)) -> Response:
    """Have an operation wait for a Resume before it begins some of its steps: 204.

    Raises 400 for a step that there is not, or that has begun, 409 for a task that has
    ended.
    """
    steps = checked_action(PauseBeforeBody, asked.body, PAUSE_BEFORE).steps
    view = _own(asked, PAUSE_BEFORE)
    allowed = await _not_begun(asked.gateway, view)
    for step in steps:
        if step not in allowed:
            raise refuse(
                "ActionParameterValueNotInList",
                step,
                "Steps",
                PAUSE_BEFORE,
                resolution=f"Choose of what has not begun: {', '.join(allowed)}."
                if allowed
                else "All steps have begun: suspend the task, or cancel it.",
            )
    if not await asked.commands.pause_before(steps, asked.user.name):
        raise _ended(PAUSE_BEFORE, view)
    return Response(status_code=204)


@router.post(action_uri("{task_id}", SET_TAGS))
async def set_tags(asked: TaskActionRequest = Depends(asked_action)) -> Response:
    """Give a task other tags than those so far: 204.

    Lists and filters have them when a worker has taken note. Raises 409 for a task
    that has ended: Temporal changes nothing of it any more.
    """
    tags = list(dict.fromkeys(checked_action(TagsBody, asked.body, SET_TAGS).tags))
    view = _own(asked, SET_TAGS)
    await asked.gateway.requests.add_end(asked.user.name, view.id)
    if not await asked.commands.set_tags(tags):
        raise _ended(SET_TAGS, view)
    await _shown(asked.gateway, view, tags)
    return Response(status_code=204)


@router.post(action_uri("{task_id}", KILL))
async def kill(asked: TaskActionRequest = Depends(asked_action)) -> Response:
    """End a task at once, whatever its source does: 204.

    It says then what its source may still do. Raises 409 for one that has ended.
    """
    view, who = asked.view, asked.user.name
    _check_body(KILL, asked.body)
    _check_open(KILL, view)
    await asked.gateway.requests.add_end(who, view.id)
    await asked.commands.tell_steps_of_kill(who)
    if not await asked.commands.kill(who):
        raise _ended(KILL, view)
    await tell_of_kill(asked.gateway, view, who)
    return Response(status_code=204)


@router.api_route(f"{task_uri('{task_id}')}/{{verb}}ActionInfo", methods=list(GET))
async def action_info(
    task_id: str,
    verb: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return the ActionInfo of an action."""
    action = f"Taskfish.{verb}"
    uri = action_info_uri(task_id, action)
    view = await visible_task(gateway, user, task_id)
    if action not in actions_of(view):
        raise refuse("ResourceMissingAtURI", uri)
    parameters = _PARAMETERS.get(action, [])
    if action == PAUSE_BEFORE:
        parameters = [_steps_parameter(await _not_begun(gateway, view))]
    return resource_response(
        ActionInfo(
            odata_id=uri,
            odata_type=SCHEMA.odata_type("ActionInfo"),
            id=f"{verb}ActionInfo",
            name=f"{action} Action Info",
            parameters=parameters,
        )
    )


async def _not_begun(gateway: Gateway, view: TaskView) -> list[str]:
    """Return the names of the steps that have not begun."""
    names = view.plan.names if view.plan is not None else ()
    begun = await gateway.steps.begun(view, names)
    return [name for name in names if name not in begun]


def _steps_parameter(allowed: Sequence[str]) -> dict[str, JsonValue]:
    return {
        "Name": "Steps",
        "Required": True,
        "DataType": "StringArray",
        "ArraySizeMinimum": 1,
        "AllowableValues": list(allowed),
    }


async def _shown(gateway: Gateway, view: TaskView, tags: Sequence[str]) -> None:
    """Wait for a moment until a task shows tags: without a worker that takes longer."""
    until = time.monotonic() + SHOWN_WITHIN
    while time.monotonic() < until:
        seen = await gateway.tasks.read(view.id)
        if seen is None or seen.run_id != view.run_id or seen.state.ended:
            return
        if set(seen.labels.tags) == set(tags):
            return
        await asyncio.sleep(A_LOOK)


def _own(asked: TaskActionRequest, action: str) -> TaskView:
    """Return the task; raise 403 for another's, 400 for an action that it does not
    take, 409 if it has ended.
    """
    require_owner_or(asked.user, asked.view.owner)
    _check_open(action, asked.view)
    _check_takes(action, asked.view)
    return asked.view


def _check_body(action: str, body: dict[str, JsonValue]) -> None:
    if body:
        raise refuse("ActionParameterUnknown", action, next(iter(body))[:80])


def _check_open(action: str, view: TaskView) -> None:
    if view.state.ended:
        raise _ended(action, view)


def _ended(action: str, view: TaskView) -> RequestRefusedError:
    return refuse(
        "ActionNotSupported",
        action,
        text=f"The task {view.id} has ended: {action} changes nothing any more.",
        resolution="Read the task to see how it ended.",
        status=409,
    )


def _check_takes(action: str, view: TaskView) -> None:
    """Raise 400 for an action that the task does not offer."""
    if action not in actions_of(view):
        raise refuse(
            "ActionNotSupported",
            action,
            text=f"The task {view.id} does not know the action {action}."
            " Nothing holds it.",
            resolution="Wait for its end, or cancel it.",
        )


def _check_pausable(view: TaskView) -> None:
    """Raise 400 for a task that is with its source, which cannot pause it."""
    if view.is_unsent or view.pausable or view.plan is not None:
        return
    source = view.labels.source
    raise refuse(
        "ActionNotSupported",
        SUSPEND,
        text=f"The task {view.id} cannot be suspended now.",
        resolution=f"The change has been sent, and the source {source} cannot pause "
        "it. Wait for its end, or cancel it.",
    )


def _check_resumable(view: TaskView) -> None:
    """Raise 400 for a task that its source has paused by itself, and does not resume
    when it is told to.
    """
    if view.pausable or view.plan is not None:
        return
    source, task = view.labels.source, view.labels.plugin_task
    raise refuse(
        "ActionNotSupported",
        RESUME,
        text=f"The source {source} has paused the task {view.id} by itself, and offers "
        "no way to resume it.",
        resolution=f"Resume {task} at the source {source} itself, or cancel it.",
    )
