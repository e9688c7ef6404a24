"""GET /baremetal/v1/nodes: the Systems of all sources, page by page.

No source is asked: power states are those of the inventory, and what tasks tell is as
new as Temporal's visibility, about a second old.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from api.authentication import User
from api.baremetal.login import door_user
from api.baremetal.node_resources import LISTED, NODE_FIELDS, node_resource, only
from api.baremetal.nodes import SYSTEMS, Node, all_nodes, no_such_node
from api.baremetal.places import GET, NODES, whole_url
from api.baremetal.power import Power, power_of
from api.baremetal.power_tasks import (
    PowerTask,
    recent_power_tasks,
    remembered_since,
)
from api.baremetal.queries import bad_request, check_query, fields_of, limit_of
from api.gateway import Gateway, gateway_of
from api.privileges import require_for
from taskfish.redfish.links import ROOT

router = APIRouter()
_DETAIL = f"{NODES}/detail"
_PAGE = ("limit", "marker")
_FROM_TASKS = {"power_state", "target_power_state", "last_error", "reservation"}


@router.api_route(NODES, methods=GET)
async def nodes(
    request: Request,
    user: User = Depends(door_user),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return a page of nodes with the fields that are asked for, or a few."""
    check_query(request, "fields", "detail", *_PAGE)
    detailed = request.query_params.get("detail", "").lower() in ("true", "1")
    fields = fields_of(request, NODE_FIELDS)
    if detailed and fields is not None:
        raise bad_request("Can't fetch a subset of fields with 'detail' set")
    fields = NODE_FIELDS if detailed else fields or frozenset(LISTED)
    return await _page(request, user, gateway, fields)


@router.api_route(_DETAIL, methods=GET)
async def detailed_nodes(
    request: Request,
    user: User = Depends(door_user),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return a page of nodes with all their fields."""
    check_query(request, *_PAGE)
    return await _page(request, user, gateway, NODE_FIELDS)


async def _page(
    request: Request, user: User, gateway: Gateway, fields: Collection[str]
) -> Response:
    require_for(user, "GET", f"{ROOT}/{SYSTEMS}")
    limit, marker = limit_of(request), request.query_params.get("marker")
    found = _after(marker, await all_nodes(gateway))
    page = found[:limit]
    powers = await _powers(gateway, user, page, fields)
    shown = [
        only(fields, node_resource(request, node, power))
        for node, power in zip(page, powers, strict=True)
    ]
    body: dict[str, object] = {"nodes": shown}
    if len(found) > limit:
        body["next"] = _next(request, page[-1])
    return JSONResponse(body)


def _after(marker: str | None, nodes: list[Node]) -> list[Node]:
    """Return the nodes after the one whose UUID is the marker; raise 404 without it."""
    if marker is None:
        return nodes
    for position, node in enumerate(nodes):
        if node.uuid == marker.lower():
            return nodes[position + 1 :]
    raise no_such_node(marker)


def _next(request: Request, last: Node) -> str:
    kept = [
        (name, value)
        for name, value in request.query_params.multi_items()
        if name != "marker"
    ]
    query = urlencode([*kept, ("marker", last.uuid)])
    return f"{whole_url(request, request.scope['path'])}?{query}"


async def _powers(
    gateway: Gateway, user: User, page: Sequence[Node], fields: Collection[str]
) -> list[Power]:
    """Return the power of each node; Temporal is asked once, if at all."""
    since = remembered_since(gateway)
    tasks: dict[str, list[PowerTask]] = defaultdict(list)
    if _FROM_TASKS & set(fields):
        for task in await recent_power_tasks(gateway, user, since):
            tasks[task.uri].append(task)
    return [power_of(node.member, tasks[node.member.uri], since) for node in page]
