"""GET /baremetal/v1/drivers: the protocols that sources speak."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from api.authentication import User
from api.baremetal.login import door_user
from api.baremetal.places import CONDUCTOR, DRIVERS, GET, links
from api.baremetal.queries import check_query
from api.errors import refuse
from api.privileges import require_for
from taskfish.redfish.resources import AGGREGATION_SERVICE
from taskfish.redfish.sources import ConnectionMethod

router = APIRouter()
NAMES = sorted(method.value.lower() for method in ConnectionMethod)
_METHODS = f"{AGGREGATION_SERVICE}/ConnectionMethods"


@router.api_route(DRIVERS, methods=GET)
async def drivers(request: Request, user: User = Depends(door_user)) -> Response:
    """Return all drivers."""
    check_query(request, "detail", "type", "fields")
    require_for(user, "GET", _METHODS)
    return JSONResponse({"drivers": [_driver(request, name) for name in NAMES]})


@router.api_route(f"{DRIVERS}/{{name}}", methods=GET)
async def driver(
    request: Request, name: str, user: User = Depends(door_user)
) -> Response:
    """Return one driver."""
    check_query(request, "fields")
    require_for(user, "GET", _METHODS)
    if name not in NAMES:
        text = f"Could not find the following driver(s) or hardware type(s): {name}."
        raise refuse("ResourceNotFound", "Driver", name[:255], text=text[:512])
    return JSONResponse(_driver(request, name))


def _driver(request: Request, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "dynamic",
        "hosts": [CONDUCTOR],
        "default_power_interface": name,
        "enabled_power_interfaces": [name],
        "default_management_interface": name,
        "enabled_management_interfaces": [name],
        "links": links(request, f"{DRIVERS}/{name}"),
    }
