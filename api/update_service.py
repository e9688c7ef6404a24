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
    change = ChangeRequest(
        method="POST",
        uri=SIMPLE_UPDATE,
        body=body,
        source=await _source_of(gateway, body.get("Targets")),
        owner=owner,
    )
    return await start_change(gateway, change)


async def _source_of(gateway: Gateway, targets: JsonValue) -> str:
    if not isinstance(targets, list) or not targets:
        return await _only_source(gateway)
    sources = {(await member_at(gateway, str(uri))).source for uri in targets}
    if len(sources) == 1:
        return sources.pop()
    raise refuse(
        "ActionParameterValueConflict",
        "Targets",
        ", ".join(map(str, targets))[:200],
        resolution="Send one request for each source.",
    )


async def _only_source(gateway: Gateway) -> str:
    systems = await gateway.inventory.collection("Systems")
    sources = {name.partition(".")[0] for name in systems}
    if len(sources) == 1:
        return sources.pop()
    raise refuse("ActionParameterMissing", ACTION, "Targets")
