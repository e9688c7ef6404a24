"""The actions that are multi-step operations: routes for each that is registered."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.aggregated import member_at, raw_path
from api.composites import answer_composite
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import GET, resource_response
from api.task_request import TaskRequest
from taskfish.redfish.action_parameters import action_parameters
from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT
from taskfish.redfish.operations import (
    action_info_uri,
    action_owner,
    action_target,
    is_ours,
)
from taskfish.redfish.resources import ActionInfo
from taskfish.redfish.schema import SCHEMA
from workflows.operations import OPERATIONS

router = APIRouter()
_NAME = "Taskfish.{name}"


async def run_operation(asked: TaskRequest = Depends()) -> Response:
    """Start the operation as a task, whose steps are its SubTasks."""
    uri = raw_path(asked.http)
    await _check_owner(asked.gateway, uri)
    return await answer_composite(asked, uri)


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


async def refuse_change() -> None:
    """Raise 405: an ActionInfo is read only."""
    raise refuse("OperationNotAllowed", headers={"Allow": ", ".join(GET)})


async def _check_owner(gateway: Gateway, uri: str) -> None:
    """Raise 404 for a member that no source has."""
    if uri.removeprefix(f"{ROOT}/").startswith(COLLECTIONS):
        await member_at(gateway, uri)


for _operation in OPERATIONS.values():
    _owner, _action = action_owner(_operation.resources), _operation.operation
    router.add_api_route(
        action_target(_owner, _action), run_operation, methods=["POST"]
    )
    if is_ours(_action):
        _info = action_info_uri(_owner, _action)
        router.add_api_route(_info, action_info, methods=list(GET))
for _owner in (*map(action_owner, COLLECTIONS), action_owner("TaskService")):
    _target, _info = action_target(_owner, _NAME), action_info_uri(_owner, _NAME)
    for _path, _answer, _methods in (
        (_target, refuse_unknown_action, ["POST"]),
        (_info, refuse_unknown_action, list(GET)),
        (_info, refuse_change, ["POST", "PATCH", "PUT", "DELETE"]),
    ):
        router.add_api_route(_path, _answer, methods=_methods, include_in_schema=False)
