"""/redfish/v1/TaskService/TaskMonitors: 202 until the end, then the final answer."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.accepted_modes import accepted_form
from api.authentication import User, authenticated
from api.cancelling import delete_monitor
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.long_poll import wait_for_change
from api.monitor_expiry import monitor_is_there
from api.privileges import require_owner_or
from api.responses import GET, source_response
from api.task_access import visible_monitor
from api.task_resources import accepted_view, allowed_methods, monitor_of
from taskfish.redfish.resources import TASK_MONITORS
from taskfish.store.accounts import AcceptedForm

router = APIRouter()
UNSUPPORTED = ["POST", "PATCH", "PUT", "OPTIONS", "TRACE"]
MONITOR = f"{TASK_MONITORS}/{{name}}"


@router.api_route(MONITOR, methods=list(GET))
async def task_monitor(
    request: Request,
    name: str,
    user: User = Depends(authenticated),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return 202 until the end, then the operation's own answer until it expires.

    That answer may hold anything: it is the owner's, and an administrator's.
    `Prefer: wait=N` waits for the task's next state, N seconds at most.
    """
    view = await visible_monitor(gateway, user, name)
    view = await wait_for_change(gateway, request, view)
    if not view.state.ended:
        return await accepted_view(gateway, form, view)
    if not await monitor_is_there(gateway, view):
        raise refuse("ResourceMissingAtURI", monitor_of(view))
    require_owner_or(user, view.owner)
    answer = await gateway.tasks.answer(view)
    await gateway.monitor_reads.note(view.run)
    return source_response(answer, allowed_methods(view))


@router.delete(MONITOR)
async def remove_monitor(
    name: str,
    user: User = Depends(authenticated),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Cancel a running task, drop the monitor of an ended one (contracts.md 5)."""
    view = await visible_monitor(gateway, user, name)
    return await delete_monitor(gateway, user, form, view)


@router.api_route(MONITOR, methods=UNSUPPORTED, include_in_schema=False)
async def change_monitor(
    name: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Raise 405: Allow says what is possible at the moment; 404 once it has gone."""
    view = await visible_monitor(gateway, user, name)
    if not await monitor_is_there(gateway, view):
        raise refuse("ResourceMissingAtURI", monitor_of(view))
    allow = ", ".join(allowed_methods(view))
    raise refuse("OperationNotAllowed", headers={"Allow": allow})
