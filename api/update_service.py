"""/redfish/v1/UpdateService: the gateway's own, over the sources' firmware."""

from collections import defaultdict
from functools import partial

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from api.apply_times import apply_time_of
from api.bulk import BulkPlan, BulkRequest, answer_bulk
from api.change_request import ChangeRequest
from api.changes import answer_change
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.maintenance_window import offered_window
from api.privileges import require_for
from api.responses import resource_response
from api.task_request import TaskRequest
from taskfish.errors import RequestRefusedError
from taskfish.redfish.apply_time import OPERATION_APPLY_TIME
from taskfish.redfish.apply_time_support import apply_time_support
from taskfish.redfish.bulk import SIMPLE_UPDATE_MANY, Bulk, planned_bulk
from taskfish.redfish.inventory import Member
from taskfish.redfish.links import ROOT, member_of
from taskfish.redfish.operations import name_operation
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
from taskfish.redfish.secrecy import masked

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
async def simple_update(asked: TaskRequest = Depends()) -> Response:
    """Start an update of the source that the Targets belong to, as a task; of several
    sources a step each.

    Without Targets only where there is one source: the schema means "all". The source
    decides then what it updates, which may be its BMC.
    """
    problems = check_body(ACTION, asked.body)
    if problems:
        raise RequestRefusedError(*problems)
    targets = await _members_at(asked)
    sources = {member.source for member in targets}
    if len(sources) > 1:
        bulk = BulkRequest(
            operation=name_operation("POST", SIMPLE_UPDATE),
            uri=SIMPLE_UPDATE,
            plan=partial(_plan, asked, targets),
            workflow_type=SIMPLE_UPDATE_MANY,
        )
        return await answer_bulk(asked, bulk)
    source = sources.pop() if targets else await _only_source(asked)
    change = ChangeRequest(
        method="POST",
        uri=SIMPLE_UPDATE,
        body=asked.body,
        source=source,
        targets=targets,
        owner=asked.user.name,
        wishes=asked.wishes,
    )
    return await answer_change(asked, change)


async def _members_at(asked: TaskRequest) -> tuple[Member, ...]:
    """Return the members that the Targets lie in, one for each.

    Raises 404 for an unknown one, 403 for one that the user may not change.
    """
    targets = asked.body.get("Targets")
    listed = [str(uri) for uri in targets] if isinstance(targets, list) else []
    for uri in listed:
        require_for(asked.user, "POST", uri)
    places = [member_of(uri) for uri in listed]
    found = await asked.gateway.inventory.at(place[1] for place in places if place)
    members = []
    for uri, place in zip(listed, places, strict=True):
        if place is None or place[1] not in found:
            raise refuse("ResourceMissingAtURI", uri)
        members.append(found[place[1]])
    return tuple(members)


async def _plan(asked: TaskRequest, members: tuple[Member, ...]) -> BulkPlan:
    """Return a step for each source, with its own Targets; raise what would refuse the
    update of one of them.
    """
    targets: dict[str, list[str]] = defaultdict(list)
    given = asked.body["Targets"]
    assert isinstance(given, list), "its members were looked up"
    for uri, member in zip(given, members, strict=True):
        targets[member.source].append(str(uri))
    first = members[0]
    change = ChangeRequest(
        method="POST",
        uri=SIMPLE_UPDATE,
        body=asked.body,
        source=first.source,
        owner=asked.user.name,
        wishes=asked.wishes,
        targets=members,
    )
    when = await apply_time_of(asked.gateway, change)
    if when is not None and when.value != "Immediate":
        raise refuse(
            "ActionParameterValueNotInList",
            when.value,
            OPERATION_APPLY_TIME,
            ACTION,
            resolution="For several sources, choose Immediate.",
        )
    shared = masked(
        {name: each for name, each in asked.body.items() if name != "Targets"}
    )
    names = tuple(targets)
    bulk = Bulk(
        names=names,
        uris=(SIMPLE_UPDATE,) * len(names),
        body=shared,
        targets=tuple(tuple(dict.fromkeys(its)) for its in targets.values()),
    )
    return BulkPlan(bulk=bulk, memo=planned_bulk(bulk), members=members)


async def _only_source(asked: TaskRequest) -> str:
    """Return the source if there is one only, for who may update its Managers."""
    require_for(asked.user, "POST", _A_MANAGER)
    source = await asked.gateway.inventory.only_source()
    if source is None:
        raise refuse("ActionParameterMissing", ACTION, "Targets")
    return source
