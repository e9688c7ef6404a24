"""GET …/nodes/{node}/validate: whether its source is fit to change its power."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from api.baremetal.node_access import NODE, asked_node
from api.baremetal.nodes import Node
from api.baremetal.places import GET
from api.baremetal.queries import check_query

router = APIRouter()
_SERVED = ("power", "management")
_NOT_SERVED = (
    *("bios", "boot", "console", "deploy", "firmware", "inspect", "network"),
    *("raid", "rescue", "storage"),
)


@router.api_route(f"{NODE}/validate", methods=GET)
async def validate(request: Request, node: Node = Depends(asked_node)) -> Response:
    """Return for each interface of a node whether it works, as far as is known."""
    check_query(request)
    reason = _fault(node)
    works: dict[str, Any] = {"result": reason is None, "reason": reason}
    missing = {"result": None, "reason": "not supported"}
    return JSONResponse(
        dict.fromkeys(_SERVED, works) | dict.fromkeys(_NOT_SERVED, missing)
    )


def _fault(node: Node) -> str | None:
    record = node.record
    if record.refused_at is not None:
        return f"The source {node.source.id} refuses its user name and password."
    if record.down_since is not None:
        since = f"{record.down_since:%FT%TZ}"
        return f"The source {node.source.id} has not answered since {since}."
    return None
