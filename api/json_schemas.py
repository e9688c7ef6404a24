"""/redfish/v1/JsonSchemas: where DMTF publishes the schemas of what is returned."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from taskfish.redfish.metadata import SERVICE_NAMESPACES
from taskfish.redfish.published_files import JSON_SCHEMAS, json_schema_file
from taskfish.redfish.resources import collection

router = APIRouter()
GET = ["GET", "HEAD"]


@router.api_route(JSON_SCHEMAS, methods=GET)
async def json_schemas(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the schemas of the service's own resources and of its sources'."""
    uris = (f"{JSON_SCHEMAS}/{name}" for name in sorted(await _namespaces(gateway)))
    return resource_response(
        collection(JSON_SCHEMAS, "JsonSchemaFileCollection", "JSON Schema Files", uris)
    )


@router.api_route(f"{JSON_SCHEMAS}/{{name}}", methods=GET)
async def json_schema(name: str, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return where one schema is published."""
    if name not in await _namespaces(gateway):
        raise refuse("ResourceMissingAtURI", f"{JSON_SCHEMAS}/{name}")
    return resource_response(json_schema_file(name))


async def _namespaces(gateway: Gateway) -> set[str]:
    """Return what $metadata lists too."""
    return {*SERVICE_NAMESPACES, *await gateway.namespaces.all()}
