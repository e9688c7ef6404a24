"""/redfish/v1/UpdateService: the gateway's own, over the sources' firmware."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.accepted_modes import accepted_form
from api.aggregated import member_at
from api.authentication import User, authenticated
from api.bodies import json_body
from api.change_request import ChangeRequest
from api.changes import answer_change
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.maintenance_window import offered_window
from api.privileges import require_for
from api.request_headers import TaskWishes, task_wishes
from api.responses import resource_response
from taskfish.errors import RequestRefusedError
from taskfish.redfish.apply_time_support import apply_time_support
from taskfish.redfish.inventory import Member
from taskfish.redfish.links import ROOT
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
from taskfish.store.accounts import AcceptedForm

ACTION = "UpdateService.SimpleUpdate"
_A_MANAGER = f"{ROOT}/Managers/any"

router = APIRouter()


@router.api_route(UPDATE_SERVICE, methods=["GET", "HEAD"])
async def update_service(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the UpdateService."""
    support = apply_time_support(ACTION, await offered_window(gateway))
    action = SimpleUpdateAction(target=SIMPLE_UPDATE, apply_time_support=support)
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
            actions={f"#{ACTION}": action},
        )
    )


@router.post(SIMPLE_UPDATE)
async def simple_update(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    wishes: TaskWishes = Depends(task_wishes),
    form: AcceptedForm = Depends(accepted_form),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Start an update of the source that the Targets belong to, as a task.

    Without Targets only where there is one source: the schema means "all". The source
    decides then what it updates, which may be its BMC.
    """
    problems = check_body(ACTION, body)
    if problems:
        raise RequestRefusedError(*problems)
    targets = await _members_at(gateway, user, body.get("Targets"))
    source = _source_of(targets) if targets else await _only_source(gateway, user)
    change = ChangeRequest(
        method="POST",
        uri=SIMPLE_UPDATE,
        body=body,
        source=source,
        targets=targets,
        owner=user.name,
        wishes=wishes,
    )
    return await answer_change(request, gateway, form, change)


async def _members_at(
    gateway: Gateway, user: User, uris: JsonValue
) -> tuple[Member, ...]:
    """Return the members that the Targets lie in.

    Raises 404 for an unknown one, 403 for one that the user may not change.
    """
    listed = [str(uri) for uri in uris] if isinstance(uris, list) else []
    for uri in listed:
        require_for(user, "POST", uri)
    return tuple([await member_at(gateway, uri) for uri in listed])


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


async def _only_source(gateway: Gateway, user: User) -> str:
    """Return the source if there is one only, for who may update its Managers."""
    require_for(user, "POST", _A_MANAGER)
    systems = await gateway.inventory.collection("Systems")
    sources = {name.partition(".")[0] for name in systems}
    if len(sources) == 1:
        return sources.pop()
    raise refuse("ActionParameterMissing", ACTION, "Targets")
