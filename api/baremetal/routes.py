"""All that is under /baremetal, and what is refused of it."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.routing import Match

from api.baremetal import (
    conductors,
    drivers,
    history,
    node,
    node_list,
    root,
    states,
    validation,
)
from api.baremetal.login import door_user
from api.baremetal.places import BAREMETAL
from api.errors import refuse
from api.front import METHODS

BEHIND_LOGIN = (node_list, node, states, history, validation, drivers, conductors)
PARTS = (root, *BEHIND_LOGIN)


async def _refuse_unknown(request: Request) -> Response:
    """Raise 405 with Allow for a path that has other methods, else 404."""
    allowed = {
        method
        for part in PARTS
        for route in part.router.routes
        for method in METHODS
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    if allowed:
        raise refuse(
            "OperationNotAllowed", headers={"Allow": ", ".join(sorted(allowed))}
        )
    raise refuse("ResourceMissingAtURI", request.scope["path"][:255])


_behind_login = APIRouter(dependencies=[Depends(door_user)])
for _part in BEHIND_LOGIN:
    _behind_login.include_router(_part.router)
for _path in (BAREMETAL, f"{BAREMETAL}/{{path:path}}"):
    _behind_login.add_api_route(_path, _refuse_unknown, methods=list(METHODS))
router = APIRouter()
router.include_router(root.router)
router.include_router(_behind_login)
