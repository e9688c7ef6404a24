"""What is open without login: the root, OData's documents, signs of life."""

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response

from api.errors import error_response
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from api.temporal_faults import TEMPORAL_FAULTS
from taskfish.redfish.account_resources import ACCOUNT_SERVICE
from taskfish.redfish.events import EVENT_SERVICE
from taskfish.redfish.links import ROOT
from taskfish.redfish.manager_resources import GATEWAY_MANAGER
from taskfish.redfish.messages import base_message
from taskfish.redfish.metadata import (
    OEM_SCHEMA,
    SERVICE_NAMESPACES,
    metadata_document,
    oem_schema_document,
)
from taskfish.redfish.oem_actions import DeclaredAction
from taskfish.redfish.published_files import JSON_SCHEMAS, MESSAGE_REGISTRIES
from taskfish.redfish.resources import (
    AGGREGATION_SERVICE,
    TASK_SERVICE,
    UPDATE_SERVICE,
    ServiceRoot,
    ServiceRootLinks,
    link,
)
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.session_resources import SESSION_SERVICE, SESSIONS
from taskfish.temporal import RPC_TIMEOUT
from workflows.operations import OPERATIONS

REDFISH_VERSION = "1.20.0"

router = APIRouter()
GET = ["GET", "HEAD"]
_ALLOW = {"Allow": ", ".join(GET)}


@router.api_route("/redfish", methods=GET)
async def versions() -> Response:
    """Return the versions of the protocol (DSP0266, /redfish)."""
    return JSONResponse({"v1": f"{ROOT}/"}, headers=_ALLOW)


@router.api_route("/redfish/v1", methods=GET)
@router.api_route("/redfish/v1/", methods=GET, include_in_schema=False)
async def root(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the ServiceRoot; its UUID is that of the store behind all processes."""
    return resource_response(
        ServiceRoot(
            odata_id=f"{ROOT}/",
            odata_type=SCHEMA.odata_type("ServiceRoot"),
            id="RootService",
            name="Taskfish",
            redfish_version=REDFISH_VERSION,
            uuid=await gateway.facts.uuid(),
            product="Taskfish",
            vendor="Taskfish",
            protocol_features_supported=_FEATURES,
            registries=link(MESSAGE_REGISTRIES),
            json_schemas=link(JSON_SCHEMAS),
            links=ServiceRootLinks(
                manager_providing_service=link(GATEWAY_MANAGER),
                sessions=link(SESSIONS),
            ),
            systems=link(f"{ROOT}/Systems"),
            chassis=link(f"{ROOT}/Chassis"),
            managers=link(f"{ROOT}/Managers"),
            account_service=link(ACCOUNT_SERVICE),
            session_service=link(SESSION_SERVICE),
            update_service=link(UPDATE_SERVICE),
            aggregation_service=link(AGGREGATION_SERVICE),
            tasks=link(TASK_SERVICE),
            event_service=link(EVENT_SERVICE),
        )
    )


@router.api_route("/redfish/v1/odata", methods=GET)
async def odata() -> Response:
    """Return the OData service document."""
    names = {
        "Systems": f"{ROOT}/Systems",
        "Chassis": f"{ROOT}/Chassis",
        "Managers": f"{ROOT}/Managers",
        "AccountService": ACCOUNT_SERVICE,
        "SessionService": SESSION_SERVICE,
        "Sessions": SESSIONS,
        "UpdateService": UPDATE_SERVICE,
        "Registries": MESSAGE_REGISTRIES,
        "JsonSchemas": JSON_SCHEMAS,
        "ManagerProvidingService": GATEWAY_MANAGER,
        "AggregationService": AGGREGATION_SERVICE,
        "Tasks": TASK_SERVICE,
        "EventService": EVENT_SERVICE,
    }
    entries = [{"name": "Service", "kind": "Singleton", "url": f"{ROOT}/"}] + [
        {"name": name, "kind": "Singleton", "url": url} for name, url in names.items()
    ]
    return JSONResponse(
        {"@odata.context": f"{ROOT}/$metadata", "value": entries},
        headers=_ALLOW,
    )


@router.api_route("/redfish/v1/$metadata", methods=GET)
async def metadata(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the metadata document: every type that the service returns."""
    seen = await gateway.namespaces.all()
    return Response(
        metadata_document({*SERVICE_NAMESPACES, *seen}),
        media_type="application/xml",
        headers=_ALLOW,
    )


@router.api_route(OEM_SCHEMA, methods=GET)
async def oem_schema() -> Response:
    """Return the schema of the gateway's own Oem objects, open like $metadata."""
    return Response(
        oem_schema_document(
            DeclaredAction(
                name=name.removeprefix("Taskfish."),
                resources=each.resources,
                words=each.__doc__ or "",
                parameters=each.parameters,
            )
            for name, each in OPERATIONS.items()
            if name.startswith("Taskfish.")
        ),
        media_type="application/xml",
        headers=_ALLOW,
    )


@router.api_route("/healthz", methods=GET)
async def healthz() -> Response:
    """Say that this process answers."""
    return JSONResponse({"status": "ok"}, headers=_ALLOW)


@router.api_route("/readyz", methods=GET)
async def readyz(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Say whether store and Temporal answer: 200, else 503."""
    await gateway.sources.ready()
    try:
        ready = await gateway.temporal.service_client.check_health(timeout=RPC_TIMEOUT)
    except TEMPORAL_FAULTS:
        ready = False
    if not ready:
        text = "Temporal does not answer."
        message = base_message("ServiceTemporarilyUnavailable", "5", text=text)
        return error_response(message, headers={"Retry-After": "5"})
    return JSONResponse({"status": "ready"}, headers=_ALLOW)


_FEATURES = {
    "ExcerptQuery": False,
    "ExpandQuery": {
        "ExpandAll": False,
        "Levels": False,
        "Links": False,
        "NoLinks": False,
    },
    "FilterQuery": False,
    "OnlyMemberQuery": False,
    "SelectQuery": False,
}
