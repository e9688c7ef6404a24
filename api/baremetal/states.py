"""…/nodes/{node}/states and …/states/power: what a node's power is, and is to be."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import JsonValue

from api.authentication import User
from api.baremetal.login import door_user
from api.baremetal.node_access import NODE, asked_node, asked_power
from api.baremetal.node_resources import power_resource, states_resource
from api.baremetal.nodes import Node
from api.baremetal.places import GET
from api.baremetal.power import Power
from api.baremetal.power_changes import PowerChange, abort, change, power_change
from api.baremetal.power_targets import ABORTS, INJECT_NMI
from api.baremetal.queries import bad_request, check_query
from api.baremetal.versions import NMI, SOFT_POWER, require_version, version_of
from api.bodies import json_body
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.request_headers import TaskWishes, task_wishes

router = APIRouter()
POWER = f"{NODE}/states/power"


@router.api_route(f"{NODE}/states", methods=GET)
async def states(
    request: Request,
    node: Node = Depends(asked_node),
    power: Power = Depends(asked_power),
) -> Response:
    """Return all states of a node."""
    check_query(request)
    return JSONResponse(states_resource(node, power))


@router.api_route(POWER, methods=GET)
async def power_states(
    request: Request,
    node: Node = Depends(asked_node),
    power: Power = Depends(asked_power),
) -> Response:
    """Return what is told of a node's power alone."""
    check_query(request)
    return JSONResponse(power_resource(node, power))


@router.api_route(f"{POWER}/supported", methods=GET)
async def supported(request: Request, node: Node = Depends(asked_node)) -> Response:
    """Return what the power of a node may be asked to do."""
    check_query(request)
    return JSONResponse({"supported_power_states": node.supported_power_states})


@router.put(POWER)
async def change_power(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    node: Node = Depends(asked_node),
    user: User = Depends(door_user),
    wishes: TaskWishes = Depends(task_wishes),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Start a change of a node's power as a task, or abort one: 202, empty.

    Raises 409 while another change of the node runs; an abort passes.
    """
    asked = power_change(body)
    _check_version(request, asked)
    if asked.target in ABORTS:
        return await abort(request, gateway, user, node, asked)
    return await change(request, gateway, user, node, asked, wishes)


@router.put(f"{NODE}/management/inject_nmi")
async def inject_nmi(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    node: Node = Depends(asked_node),
    user: User = Depends(door_user),
    wishes: TaskWishes = Depends(task_wishes),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Start an NMI as a task: 204, as Ironic has it, while the task may still run."""
    if version_of(request) < NMI:
        raise refuse("ResourceMissingAtURI", request.scope["path"])
    if body:
        raise bad_request(f"Unexpected arguments: {', '.join(body)[:255]}")
    asked = PowerChange(INJECT_NMI)
    answer = await change(request, gateway, user, node, asked, wishes)
    answer.status_code = 204
    return answer


def _check_version(request: Request, asked: PowerChange) -> None:
    if asked.target.startswith("soft ") or asked.timeout is not None:
        require_version(request, SOFT_POWER)
