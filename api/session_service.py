"""/redfish/v1/SessionService: whether sessions are opened, and how long they last."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.bodies import json_body
from api.checked_bodies import checked_change
from api.errors import refuse
from api.etags import wanted_etags
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from taskfish.redfish.resources import Status, link
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.session_requests import SessionServiceChange
from taskfish.redfish.session_resources import (
    SESSION_SERVICE,
    SESSIONS,
    SessionService,
)
from taskfish.store.sessions import SessionServiceOptions

router = APIRouter()
GET = ["GET", "HEAD"]
READ_ONLY = frozenset(
    {"Id", "Name", "Description", "Actions", "Status", "Sessions", "Oem"}
)
"""Properties of the SessionService that a PATCH does not change."""


@router.api_route(SESSION_SERVICE, methods=GET)
async def session_service(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the SessionService."""
    return _response(await gateway.session_settings.read())


@router.patch(SESSION_SERVICE)
async def change_session_service(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change the timeout, for open sessions too, or whether sessions are opened.

    400 for what cannot be, 412 if the resource is not the version of If-Match. Other
    processes follow within 2 seconds.
    """
    change = checked_change(SessionServiceChange, body, READ_ONLY)
    await gateway.sessions.prune()
    options = await gateway.session_settings.change(
        change.model_dump(exclude_unset=True), wanted_etags(request)
    )
    if options is None:
        raise refuse("PreconditionFailed")
    return _response(options)


def _response(options: SessionServiceOptions) -> Response:
    enabled = options.service_enabled
    service = SessionService(
        odata_id=SESSION_SERVICE,
        odata_type=SCHEMA.odata_type("SessionService"),
        odata_etag=options.etag,
        id="SessionService",
        name="Session Service",
        service_enabled=enabled,
        session_timeout=options.session_timeout,
        status=Status(state="Enabled" if enabled else "Disabled"),
        sessions=link(SESSIONS),
    )
    return resource_response(service, (*GET, "PATCH"), {"ETag": options.etag})
