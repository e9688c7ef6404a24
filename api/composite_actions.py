"""The actions that are multi-step operations: routes for each that is registered."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.accepted_modes import accepted_form
from api.aggregated import member_at, raw_path
from api.authentication import User, authenticated
from api.bodies import json_body
from api.composites import answer_composite
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.request_headers import TaskWishes, task_wishes
from api.responses import GET, resource_response
from taskfish.redfish.action_parameters import action_parameters
from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT
from taskfish.redfish.operations import action_info_uri, action_owner, action_target
from taskfish.redfish.resources import ActionInfo
from taskfish.redfish.schema import SCHEMA
from taskfish.store.accounts import AcceptedForm
from workflows.operations import OPERATIONS

router = APIRouter()
_NAME = "Taskfish.{name}"


async def run_operation(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    wishes: TaskWishes = Depends(task_wishes),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Start the operation as a task, whose steps are its SubTasks."""
    uri = raw_path(request)
    await _check_owner(gateway, uri)
    return await answer_composite(request, gateway, user, form, wishes, uri, body)


async def action_info(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return the ActionInfo of the operation: the parameters that it takes."""
    uri = raw_path(request)
    await _check_owner(gateway, uri)
    name = str(request.scope["path"]).rpartition("/")[2]
    action = f"Taskfish.{name.removesuffix('ActionInfo')}"
    model = OPERATIONS[action].parameters
    return resource_response(
        ActionInfo(
            odata_id=uri,
            odata_type=SCHEMA.odata_type("ActionInfo"),
            id=name,
            name=f"{action} Action Info",
            parameters=[each.described for each in action_parameters(model)],
        )
    )


async def refuse_unknown_action(request: Request) -> None:
    """Raise 404: what has our name is ours, and no source's."""
    raise refuse("ResourceMissingAtURI", raw_path(request))


async def _check_owner(gateway: Gateway, uri: str) -> None:
    """Raise 404 for a member that no source has."""
    if uri.removeprefix(f"{ROOT}/").startswith(COLLECTIONS):
        await member_at(gateway, uri)


for _operation in OPERATIONS.values():
    _owner, _action = action_owner(_operation.resources), _operation.operation
    router.add_api_route(
        action_target(_owner, _action), run_operation, methods=["POST"]
    )
    router.add_api_route(
        action_info_uri(_owner, _action), action_info, methods=list(GET)
    )
for _owner in (*map(action_owner, COLLECTIONS), action_owner("TaskService")):
    router.add_api_route(
        action_target(_owner, _NAME),
        refuse_unknown_action,
        methods=["POST"],
        include_in_schema=False,
    )
    router.add_api_route(
        action_info_uri(_owner, _NAME),
        refuse_unknown_action,
        methods=list(GET),
        include_in_schema=False,
    )
