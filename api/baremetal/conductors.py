"""GET /baremetal/v1/conductors: the gateway, as the one conductor that there is."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from api.authentication import User
from api.baremetal.drivers import NAMES
from api.baremetal.login import door_user
from api.baremetal.places import CONDUCTOR, CONDUCTORS, GET, links
from api.baremetal.queries import check_query
from api.errors import refuse
from api.privileges import require_for
from taskfish.redfish.manager_resources import GATEWAY_MANAGER

router = APIRouter()


@router.api_route(CONDUCTORS, methods=GET)
async def conductors(request: Request, user: User = Depends(door_user)) -> Response:
    """Return the conductor in a list of its own."""
    check_query(request, "detail", "fields", "limit", "marker")
    require_for(user, "GET", GATEWAY_MANAGER)
    return JSONResponse({"conductors": [_conductor(request)]})


@router.api_route(f"{CONDUCTORS}/{{name}}", methods=GET)
async def conductor(
    request: Request, name: str, user: User = Depends(door_user)
) -> Response:
    """Return the conductor."""
    check_query(request, "fields")
    require_for(user, "GET", GATEWAY_MANAGER)
    if name != CONDUCTOR:
        text = f"Conductor {name[:255]} could not be found."
        raise refuse("ResourceNotFound", "Conductor", name[:255], text=text)
    return JSONResponse(_conductor(request))


def _conductor(request: Request) -> dict[str, Any]:
    return {
        "hostname": CONDUCTOR,
        "conductor_group": "",
        "alive": True,
        "drivers": NAMES,
        "updated_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "links": links(request, f"{CONDUCTORS}/{CONDUCTOR}"),
    }
