"""/redfish/v1/Managers/taskfish: the Manager that is the gateway itself.

Nothing below it is a source's: what is not there is refused here, after
`api.log_services`.
"""

from datetime import UTC, datetime
from importlib.metadata import version

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.routing import Match

from api import log_services
from api.errors import refuse
from api.front import METHODS
from api.gateway import Gateway, gateway_of
from api.responses import GET, resource_response
from taskfish.redfish.log_resources import LOG_SERVICES
from taskfish.redfish.manager_resources import (
    GATEWAY_MANAGER,
    UTC_OFFSET,
    GatewayManager,
)
from taskfish.redfish.resources import Status, link
from taskfish.redfish.schema import SCHEMA

router = APIRouter()


@router.api_route(GATEWAY_MANAGER, methods=list(GET))
async def gateway_manager(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the Manager: it manages no system by itself, its sources do."""
    uuid = await gateway.facts.uuid()
    return resource_response(
        GatewayManager(
            odata_id=GATEWAY_MANAGER,
            odata_type=SCHEMA.odata_type("Manager"),
            id="taskfish",
            name="Taskfish",
            manager_type="Service",
            manufacturer="Taskfish",
            model="Taskfish",
            firmware_version=version("taskfish"),
            uuid=uuid,
            service_entry_point_uuid=uuid,
            date_time=datetime.now(UTC),
            date_time_local_offset=UTC_OFFSET,
            status=Status(),
            log_services=link(LOG_SERVICES),
        )
    )


async def refuse_rest(request: Request) -> Response:
    """Raise 405 where there is something to read, else 404."""
    asked = {**request.scope, "method": "GET"}
    if any(route.matches(asked)[0] is Match.FULL for route in _READABLE):
        raise refuse("OperationNotAllowed", headers={"Allow": ", ".join(GET)})
    raise refuse("ResourceMissingAtURI", request.scope["path"])


_READABLE = (*log_services.router.routes, *router.routes)
for _path in (GATEWAY_MANAGER, f"{GATEWAY_MANAGER}/{{path:path}}"):
    router.add_api_route(
        _path, refuse_rest, methods=list(METHODS), include_in_schema=False
    )
