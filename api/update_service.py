"""/redfish/v1/UpdateService: the gateway's own, over the sources' firmware."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import JsonValue

from api.aggregated import member_at
from api.authentication import authenticated
from api.bodies import json_body
from api.changes import ChangeRequest, start_change
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from taskfish.errors import RequestRefusedError
from taskfish.redfish.inventory import Member
from taskfish.redfish.requests import check_body
from taskfish.redfish.resources import (
    SIMPLE_UPDATE,
    UPDATE_SERVICE,
    SimpleUpdateAction,
    Status,
    UpdateService,
    link,
)
from taskfish.redfish.schema import SCHEMA

ACTION = "UpdateService.SimpleUpdate"

router = APIRouter()


@router.api_route(UPDATE_SERVICE, methods=["GET", "HEAD"])
async def update_service() -> Response:
    """Return the UpdateService."""
    return resource_response(
        UpdateService(
            odata_id=UPDATE_SERVICE,
            odata_type=SCHEMA.odata_type("UpdateService"),
            id="UpdateService",
            name="Update Service",
            service_enabled=True,
            status=Status(),
            firmware_inventory=link(f"{UPDATE_SERVICE}/FirmwareInventory"),
            software_inventory=link(f"{UPDATE_SERVICE}/SoftwareInventory"),
            actions={f"#{ACTION}": SimpleUpdateAction(target=SIMPLE_UPDATE)},
        )
    )


@router.post(SIMPLE_UPDATE)
async def simple_update(
    body: dict[str, JsonValue] = Depends(json_body),
    owner: str = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Start an update of the source that the Targets belong to: 202.

    Without Targets only where there is one source: the schema means "all".
    """
    problems = check_body(ACTION, body)
    if problems:
        raise RequestRefusedError(*problems)
    targets = await _members_at(gateway, body.get("Targets"))
    source = _source_of(targets) if targets else await _only_source(gateway)
    change = ChangeRequest(
        method="POST",
        uri=SIMPLE_UPDATE,
        body=body,
        source=source,
        targets=targets,
        owner=owner,
    )
    return await start_change(gateway, change)


async def _members_at(gateway: Gateway, uris: JsonValue) -> tuple[Member, ...]:
    """Return the members that the Targets lie in; raise 404 for an unknown one."""
    listed = uris if isinstance(uris, list) else []
    return tuple([await member_at(gateway, str(uri)) for uri in listed])


def _source_of(targets: tuple[Member, ...]) -> str:
    sources = {member.source for member in targets}
    if len(sources) > 1:
        raise refuse(
            "ActionParameterValueConflict",
            "Targets",
            ", ".join(member.uri for member in targets)[:200],
            resolution="Send one request for each source.",
        )
    return sources.pop()


async def _only_source(gateway: Gateway) -> str:
    systems = await gateway.inventory.collection("Systems")
    sources = {name.partition(".")[0] for name in systems}
    if len(sources) == 1:
        return sources.pop()
    raise refuse("ActionParameterMissing", ACTION, "Targets")
