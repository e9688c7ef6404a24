"""/redfish/v1/AggregationService: the service, and how sources are spoken to."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.aggregates import described
from api.aggregation_sources import source_uri
from api.bulk import (
    BOOT_ORDER,
    RESETS,
    Batches,
    BulkRequest,
    answer_bulk,
    plan_of_machines,
)
from api.checked_bodies import checked_action
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from api.task_request import TaskRequest
from taskfish.redfish.aggregate_requests import BootOrders, MachinesReset
from taskfish.redfish.aggregate_resources import (
    AGGREGATES,
    BOOT_ORDERS,
    RESET_MACHINES,
    SERVICE_ACTIONS,
)
from taskfish.redfish.operations import OperationName
from taskfish.redfish.resources import (
    AGGREGATION_SERVICE,
    AGGREGATION_SOURCES,
    CONNECTION_METHODS,
    AggregationService,
    ConnectionMethodLinks,
    ConnectionMethodResource,
    Status,
    collection,
    described_actions,
    link,
    links,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.sources import ConnectionMethod

router = APIRouter()
ACTIONS = f"{AGGREGATION_SERVICE}/Actions"
GET = ["GET", "HEAD"]


@router.api_route(AGGREGATION_SERVICE, methods=GET)
async def aggregation_service() -> Response:
    """Return the AggregationService."""
    return resource_response(
        AggregationService(
            odata_id=AGGREGATION_SERVICE,
            odata_type=SCHEMA.odata_type("AggregationService"),
            id="AggregationService",
            name="Aggregation Service",
            service_enabled=True,
            status=Status(),
            aggregates=link(AGGREGATES),
            aggregation_sources=link(AGGREGATION_SOURCES),
            connection_methods=link(CONNECTION_METHODS),
            actions=described_actions(AGGREGATION_SERVICE, SERVICE_ACTIONS),
        )
    )


@router.post(f"{ACTIONS}/{RESET_MACHINES}")
async def reset_machines(asked: TaskRequest = Depends()) -> Response:
    """Reset systems, chassis and managers as one task, each as a step of it."""
    wanted = checked_action(MachinesReset, asked.body, RESET_MACHINES)
    inside: dict[str, JsonValue] = (
        {"ResetType": wanted.reset_type} if wanted.reset_type else {}
    )
    bulk = BulkRequest(
        operation=_named(RESET_MACHINES),
        uri=f"{ACTIONS}/{RESET_MACHINES}",
        plan=lambda: plan_of_machines(
            asked,
            (each.odata_id for each in wanted.target_uris),
            RESETS,
            inside,
            parameter="TargetURIs",
            action=RESET_MACHINES,
        ),
        batches=Batches(wanted.batch_size, wanted.delay),
    )
    return await answer_bulk(asked, bulk)


@router.post(f"{ACTIONS}/{BOOT_ORDERS}")
async def set_default_boot_orders(asked: TaskRequest = Depends()) -> Response:
    """Give systems their default boot order, as one task."""
    wanted = checked_action(BootOrders, asked.body, BOOT_ORDERS)
    bulk = BulkRequest(
        operation=_named(BOOT_ORDERS),
        uri=f"{ACTIONS}/{BOOT_ORDERS}",
        plan=lambda: plan_of_machines(
            asked,
            (each.odata_id for each in wanted.systems),
            BOOT_ORDER,
            {},
            parameter="Systems",
            action=BOOT_ORDERS,
        ),
    )
    return await answer_bulk(asked, bulk)


async def action_info(request: Request) -> Response:
    """Return which parameters an action takes."""
    uri: str = request.scope["path"]
    name = f"AggregationService.{uri.rpartition('/')[2].removesuffix('ActionInfo')}"
    return resource_response(described(uri, name))


for _action in SERVICE_ACTIONS:
    router.add_api_route(
        f"{AGGREGATION_SERVICE}/{_action.partition('.')[2]}ActionInfo",
        action_info,
        methods=GET,
    )


def _named(action: str) -> OperationName:
    return OperationName(action, "AggregationService", "AggregationService")


@router.api_route(CONNECTION_METHODS, methods=GET)
async def connection_methods() -> Response:
    """Return the ways in which sources are spoken to."""
    uris = [f"{CONNECTION_METHODS}/{method}" for method in ConnectionMethod]
    kind = "ConnectionMethodCollection"
    return resource_response(
        collection(CONNECTION_METHODS, kind, "Connection Methods", uris)
    )


@router.api_route(f"{CONNECTION_METHODS}/{{name}}", methods=GET)
async def connection_method(
    name: str, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return one ConnectionMethod with its sources."""
    uri = f"{CONNECTION_METHODS}/{name}"
    if name not in list(ConnectionMethod):
        raise refuse("ResourceMissingAtURI", uri)
    ready = await gateway.sources.ready()
    used_by = [r.source.id for r in ready if r.source.method.value == name]
    is_redfish = name == ConnectionMethod.REDFISH
    return resource_response(
        ConnectionMethodResource(
            odata_id=uri,
            odata_type=SCHEMA.odata_type("ConnectionMethod"),
            id=name,
            name=name,
            connection_method_type="Redfish" if is_redfish else "OEM",
            connection_method_variant=name,
            links=ConnectionMethodLinks(
                aggregation_sources=links(map(source_uri, used_by))
            ),
        )
    )
