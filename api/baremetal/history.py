"""GET …/nodes/{node}/history: how the last changes of a node's power ended."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from api.authentication import User
from api.baremetal.login import door_user
from api.baremetal.node_access import NODE, asked_node
from api.baremetal.nodes import Node
from api.baremetal.places import CONDUCTOR, GET, NODES, links
from api.baremetal.power import error_text
from api.baremetal.power_tasks import PowerTask, power_tasks
from api.baremetal.queries import check_query
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from taskfish.redfish.task import TaskState

router = APIRouter()
HISTORY = f"{NODE}/history"


@router.api_route(HISTORY, methods=GET)
async def history(
    request: Request,
    node: Node = Depends(asked_node),
    user: User = Depends(door_user),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return the tasks that have ended, the newest first; Ironic has errors only."""
    check_query(request, "detail")
    return JSONResponse({"history": await _events(request, node, user, gateway)})


@router.api_route(f"{HISTORY}/{{event}}", methods=GET)
async def history_event(
    request: Request,
    event: str,
    node: Node = Depends(asked_node),
    user: User = Depends(door_user),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return one of them."""
    check_query(request)
    for found in await _events(request, node, user, gateway):
        if found["uuid"] == event:
            return JSONResponse(found)
    raise refuse("ResourceMissingAtURI", request.scope["path"])


async def _events(
    request: Request, node: Node, user: User, gateway: Gateway
) -> list[dict[str, Any]]:
    kept = gateway.settings.cancelled == "keep"
    return [
        _event(request, node, task)
        for task in await power_tasks(gateway, user, node.member.uri)
        if task.ended and (kept or task.state is not TaskState.CANCELLED)
    ]


def _event(request: Request, node: Node, task: PowerTask) -> dict[str, Any]:
    done = task.state is TaskState.COMPLETED
    path = f"{NODES}/{node.uuid}/history/{task.run_id}"
    return {
        "uuid": task.run_id,
        "created_at": task.ended.isoformat() if task.ended else None,
        "severity": "INFO" if done else "ERROR",
        "event_type": "power",
        "event": task.words if done else error_text(task),
        "conductor": CONDUCTOR,
        "user": task.owner,
        "links": links(request, path),
    }
