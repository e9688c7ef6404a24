"""/redfish/v1/Registries: where DMTF publishes the registries of our messages."""

from fastapi import APIRouter
from fastapi.responses import Response

from api.errors import refuse
from api.responses import resource_response
from taskfish.redfish.published_files import (
    MESSAGE_REGISTRIES,
    REGISTRY_FILES,
    message_registry_file,
)
from taskfish.redfish.resources import collection

router = APIRouter()
GET = ["GET", "HEAD"]


@router.api_route(MESSAGE_REGISTRIES, methods=GET)
async def registries() -> Response:
    """Return the registries whose messages the service sends."""
    uris = (f"{MESSAGE_REGISTRIES}/{name}" for name in REGISTRY_FILES)
    kind = "MessageRegistryFileCollection"
    return resource_response(
        collection(MESSAGE_REGISTRIES, kind, "Message Registry Files", uris)
    )


@router.api_route(f"{MESSAGE_REGISTRIES}/{{name}}", methods=GET)
async def registry(name: str) -> Response:
    """Return where one registry is published."""
    if name not in REGISTRY_FILES:
        raise refuse("ResourceMissingAtURI", f"{MESSAGE_REGISTRIES}/{name}")
    return resource_response(message_registry_file(name))
