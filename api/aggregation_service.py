"""/redfish/v1/AggregationService: the service, and how sources are spoken to."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from api.aggregation_sources import source_uri
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from taskfish.redfish.resources import (
    AGGREGATION_SERVICE,
    AGGREGATION_SOURCES,
    CONNECTION_METHODS,
    AggregationService,
    ConnectionMethodLinks,
    ConnectionMethodResource,
    Status,
    collection,
    link,
    links,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.sources import ConnectionMethod

router = APIRouter()
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
            aggregation_sources=link(AGGREGATION_SOURCES),
            connection_methods=link(CONNECTION_METHODS),
        )
    )


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
