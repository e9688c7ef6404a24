"""/redfish/v1/TaskService/Tasks/{id}/SubTasks: the steps of a multi-step operation."""

from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.accepted_modes import accepted_form, task_response
from api.authentication import User, authenticated
from api.cancelling import cancel_step, step_methods
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.list_options import (
    EXPAND,
    SELECT,
    SKIP,
    SKIP_TOKEN,
    TOP,
    ListOptions,
    list_options,
    next_link,
    selected,
)
from api.query_options import takes_options
from api.responses import (
    GET,
    json_response,
    resource_response,
    subtask_uri,
    subtasks_uri,
)
from api.step_reader import StepView
from api.subtask_resources import subtask_resource, subtask_resources
from api.task_access import visible_task
from api.task_collections import EXPANDED_PAGE
from api.task_conditions import bad_value
from api.task_list import LONGEST_PAGE
from api.task_view import TaskView
from taskfish.redfish.resources import Task, collection
from taskfish.redfish.step_plan import PlanMemo
from taskfish.store.accounts import AcceptedForm

router = APIRouter()
UNSUPPORTED = ["POST", "PATCH", "PUT", "OPTIONS", "TRACE"]
SUB_TASKS = subtasks_uri("{task_id}")
SUB_TASK = subtask_uri("{task_id}", "{step}")


@router.api_route(SUB_TASKS, methods=list(GET))
@takes_options(EXPAND, SELECT, SKIP, SKIP_TOKEN, TOP)
async def sub_tasks(
    request: Request,
    task_id: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return the collection of a task's steps, in the order of its plan."""
    task, plan = await _task_with_steps(gateway, user, task_id)
    options = list_options(request)
    names = plan.names[_first(options, plan.names) :]
    size = EXPANDED_PAGE if options.expand else LONGEST_PAGE
    shown = names[: size if options.top is None else min(options.top, LONGEST_PAGE)]
    if options.only and len(plan) == 1:
        return resource_response(await _only(gateway, task, plan.names[0]))
    body = collection(subtasks_uri(task.id), "TaskCollection", "SubTasks", ()).to_json()
    body = body if options.expand else selected(body, options.select)
    if "Members" in body:
        body["Members"] = list(await _members(gateway, task, shown, options))
    body["Members@odata.count"] = len(plan)
    if shown and len(shown) < len(names):
        following = next_link(request, shown[-1], options.top)
        body["Members@odata.nextLink"] = following
    return json_response(body, headers={"Allow": ", ".join(GET)})


@router.api_route(SUB_TASK, methods=list(GET))
async def sub_task(
    task_id: str,
    step: str,
    user: User = Depends(authenticated),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return a step as a Task, be it only planned."""
    task, found = await _step(gateway, user, task_id, step)
    resource = await subtask_resource(gateway, task, found)
    return task_response(form, resource, step_methods(found))


@router.delete(SUB_TASK)
async def cancel_sub_task(
    task_id: str,
    step: str,
    user: User = Depends(authenticated),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Cancel a step that runs; to its operation it has failed then."""
    task, found = await _step(gateway, user, task_id, step)
    return await cancel_step(gateway, user, form, task, found)


@router.api_route(SUB_TASK, methods=UNSUPPORTED, include_in_schema=False)
async def change_sub_task(
    task_id: str,
    step: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Raise 405: Allow says what is possible at the moment."""
    _, found = await _step(gateway, user, task_id, step)
    allow = ", ".join(step_methods(found))
    raise refuse("OperationNotAllowed", headers={"Allow": allow})


@router.api_route(SUB_TASKS, methods=[*UNSUPPORTED, "DELETE"], include_in_schema=False)
async def change_sub_tasks(
    task_id: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Raise 405: steps come from their operation alone."""
    await _task_with_steps(gateway, user, task_id)
    raise refuse("OperationNotAllowed", headers={"Allow": ", ".join(GET)})


async def _task_with_steps(
    gateway: Gateway, user: User, task_id: str
) -> tuple[TaskView, PlanMemo]:
    """Return a task and its plan; raise 404 for one that has no steps."""
    task = await visible_task(gateway, user, task_id)
    if task.plan is None:
        raise refuse("ResourceMissingAtURI", subtasks_uri(task_id))
    return task, task.plan


async def _step(
    gateway: Gateway, user: User, task_id: str, name: str
) -> tuple[TaskView, StepView]:
    task, _ = await _task_with_steps(gateway, user, task_id)
    found = await gateway.steps.read(task, name)
    if found is None:
        raise refuse("ResourceMissingAtURI", subtask_uri(task_id, name))
    return task, found


async def _only(gateway: Gateway, task: TaskView, name: str) -> Task:
    (step,) = await gateway.steps.page(task, [name])
    return await subtask_resource(gateway, task, step)


def _first(options: ListOptions, names: Sequence[str]) -> int:
    """Return where a page begins: behind the last step of the page before, wherever
    that is now. Raises 400 for a token that is none.
    """
    token = options.skip_token
    if token is None:
        return options.skip
    if token not in names:
        raise bad_value(SKIP_TOKEN, token, "Follow Members@odata.nextLink as it is.")
    return names.index(token) + 1


async def _members(
    gateway: Gateway, task: TaskView, names: Sequence[str], options: ListOptions
) -> Sequence[JsonValue]:
    if not options.expand:
        return [{"@odata.id": subtask_uri(task.id, name)} for name in names]
    steps = await gateway.steps.page(task, names)
    resources = await subtask_resources(gateway, task, steps)
    return [selected(each.to_json(), options.select) for each in resources]
