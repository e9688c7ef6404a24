"""The actions that are multi-step operations: one route for each that is registered."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.accepted_modes import accepted_form
from api.aggregated import member_at, raw_path
from api.authentication import User, authenticated
from api.bodies import json_body
from api.composites import answer_composite
from api.gateway import Gateway, gateway_of
from api.request_headers import TaskWishes, task_wishes
from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT
from taskfish.store.accounts import AcceptedForm
from workflows.operations import OPERATIONS

router = APIRouter()


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
    if uri.removeprefix(f"{ROOT}/").startswith(COLLECTIONS):
        await member_at(gateway, uri)
    return await answer_composite(request, gateway, user, form, wishes, uri, body)


for _operation in OPERATIONS.values():
    _path = f"{ROOT}/{_operation.resources}/{{member}}/Actions/Oem/"
    router.add_api_route(
        f"{_path}{_operation.operation}", run_operation, methods=["POST"]
    )
