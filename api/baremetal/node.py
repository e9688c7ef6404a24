"""GET /baremetal/v1/nodes/{node}: one System as a node."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from api.baremetal.node_access import NODE, asked_node, asked_power
from api.baremetal.node_resources import NODE_FIELDS, node_resource, only
from api.baremetal.nodes import Node
from api.baremetal.places import GET
from api.baremetal.power import Power
from api.baremetal.queries import check_query, fields_of

router = APIRouter()


@router.api_route(NODE, methods=GET)
async def node(
    request: Request,
    found: Node = Depends(asked_node),
    power: Power = Depends(asked_power),
) -> Response:
    """Return a node with the fields that are asked for, or all."""
    check_query(request, "fields")
    fields = fields_of(request, NODE_FIELDS) or NODE_FIELDS
    return JSONResponse(only(fields, node_resource(request, found, power)))
