"""GET /baremetal and /baremetal/v1: which versions are spoken, open to everybody."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from api.baremetal.places import BAREMETAL, CONDUCTORS, DRIVERS, GET, NODES, V1, links
from api.baremetal.versions import HIGHEST, LOWEST, shown

router = APIRouter()


@router.api_route(BAREMETAL, methods=GET)
async def versions(request: Request) -> Response:
    """Return the versions of the API: there is one."""
    version = _version(request)
    return JSONResponse(
        {
            "name": "Taskfish bare-metal power API",
            "description": "Power of the Systems of a Redfish gateway, for clients "
            "of OpenStack's Bare Metal API.",
            "default_version": version,
            "versions": [version],
        }
    )


@router.api_route(V1, methods=GET)
async def version_1(request: Request) -> Response:
    """Return what version 1 has."""
    return JSONResponse(
        {
            "id": "v1",
            "links": links(request, V1),
            "version": _version(request),
            "nodes": links(request, NODES),
            "drivers": links(request, DRIVERS),
            "conductors": links(request, CONDUCTORS),
        }
    )


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v1",
        "links": links(request, V1),
        "status": "CURRENT",
        "min_version": shown(LOWEST),
        "version": shown(HIGHEST),
    }
