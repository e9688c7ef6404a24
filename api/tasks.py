"""/redfish/v1/TaskService/Tasks: every change of a machine, while and after it runs."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.accepted_modes import accepted_form, task_response
from api.authentication import User, authenticated
from api.cancelling import delete_task
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.long_poll import wait_for_change
from api.privileges import may_see
from api.responses import GET, resource_response, task_uri
from api.task_access import check_kept, visible_task
from api.task_resources import allowed_methods, task_resource
from taskfish.redfish.resources import TASKS, collection
from taskfish.store.accounts import AcceptedForm

router = APIRouter()
UNSUPPORTED = ["POST", "PATCH", "PUT", "OPTIONS", "TRACE"]
TASK = task_uri("{task_id}")


@router.api_route(TASKS, methods=list(GET))
async def tasks(
    user: User = Depends(authenticated), gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return the collection of all tasks that are there for the user: the open ones
    first, then the last ended.
    """
    cancelled_too = gateway.settings.cancelled == "keep"
    found = [
        task_uri(task_id)
        async for task_id, labels in gateway.tasks.runs(cancelled_too=cancelled_too)
        if may_see(user, labels.owner, gateway.settings)
    ]
    return resource_response(collection(TASKS, "TaskCollection", "Tasks", found))


@router.api_route(TASK, methods=list(GET))
async def task(
    request: Request,
    task_id: str,
    user: User = Depends(authenticated),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return a Task: 200 at all times, also while it runs (DSP0266 12.2).

    `Prefer: wait=N` waits for its next state, N seconds at most.
    """
    view = await visible_task(gateway, user, task_id)
    view = await wait_for_change(gateway, request, view)
    await check_kept(gateway, view)
    resource = await task_resource(gateway, view)
    return task_response(form, resource, allowed_methods(view))


@router.delete(TASK)
async def remove_task(
    task_id: str,
    user: User = Depends(authenticated),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Cancel a running task, remove an ended one (contracts.md 5)."""
    view = await visible_task(gateway, user, task_id)
    return await delete_task(gateway, user, form, view)


@router.api_route(TASK, methods=UNSUPPORTED, include_in_schema=False)
async def change_task(
    task_id: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Raise 405: Allow says what is possible at the moment."""
    view = await visible_task(gateway, user, task_id)
    allow = ", ".join(allowed_methods(view))
    raise refuse("OperationNotAllowed", headers={"Allow": allow})
