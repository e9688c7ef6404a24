"""/redfish/v1/TaskService/Tasks: every change of a machine, while and after it runs."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.accepted_modes import accepted_form, task_response
from api.aggregated import raw_path
from api.authentication import User, authenticated
from api.cancelling import delete_task
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.long_poll import wait_for_change
from api.responses import GET, task_uri
from api.task_access import check_kept, visible_task
from api.task_collections import takes_list_options, task_collection
from api.task_conditions import of_resource
from api.task_resources import allowed_methods, task_resource
from taskfish.redfish.links import ROOT
from taskfish.redfish.resources import TASKS, WITH_TASKS, tasks_of
from taskfish.store.accounts import AcceptedForm

router = APIRouter()
UNSUPPORTED = ["POST", "PATCH", "PUT", "OPTIONS", "TRACE"]
TASK = task_uri("{task_id}")


@router.api_route(TASKS, methods=list(GET))
@takes_list_options
async def tasks(
    request: Request,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return the collection of all tasks that are there for the user: the open ones
    first, then the last ended.
    """
    return await task_collection(request, gateway, user, TASKS)


@takes_list_options
async def tasks_of_member(
    request: Request,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return the tasks of a system, chassis or manager and of all below it."""
    uri = raw_path(request).removesuffix(tasks_of(""))
    *_, name, member = uri.split("/")
    if await gateway.inventory.member(name, member) is None:
        raise refuse("ResourceMissingAtURI", uri)
    about = of_resource(uri)
    return await task_collection(request, gateway, user, tasks_of(uri), about)


async def change_tasks_of_member() -> Response:
    """Raise 405: tasks are changed where they are."""
    raise refuse("OperationNotAllowed", headers={"Allow": ", ".join(GET)})


for _name in WITH_TASKS:
    _uri = tasks_of(f"{ROOT}/{_name}/{{member}}")
    router.add_api_route(_uri, tasks_of_member, methods=list(GET))
    router.add_api_route(
        _uri,
        change_tasks_of_member,
        methods=[*UNSUPPORTED, "DELETE"],
        include_in_schema=False,
    )


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
