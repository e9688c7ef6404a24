"""/redfish/v1/SessionService/Sessions: who is logged in, and logging out."""

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from api.authentication import User, authenticated
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.privileges import require_owner_or
from api.responses import resource_response
from api.session_logins import refuse_if_disabled
from taskfish.redfish.resources import collection
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.session_resources import SESSIONS, SessionResource
from taskfish.store.sessions import Session

router = APIRouter()
GET = ["GET", "HEAD"]
SESSION_METHODS = (*GET, "DELETE")


@router.api_route(SESSIONS, methods=GET)
async def sessions(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return all open sessions, the oldest first."""
    uris = [session_uri(each) for each in await gateway.sessions.all()]
    found = collection(SESSIONS, "SessionCollection", "Sessions", uris)
    return resource_response(found, (*GET, "POST"))


@router.api_route(f"{SESSIONS}/{{session_id}}", methods=GET)
async def session(
    session_id: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return one session: one's own, or with ConfigureManager any."""
    found = await _visible(gateway, user, session_id)
    return resource_response(session_resource(found), SESSION_METHODS)


@router.delete(f"{SESSIONS}/{{session_id}}")
async def log_out(
    session_id: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """End a session, one's own or with ConfigureManager any: 204."""
    found = await _visible(gateway, user, session_id)
    await refuse_if_disabled(gateway)
    await gateway.sessions.remove(found.id)
    return Response(status_code=204)


def session_uri(session: Session) -> str:
    """Return the URI of a session."""
    return f"{SESSIONS}/{session.id}"


def session_resource(session: Session) -> SessionResource:
    """Return the Session resource."""
    return SessionResource(
        odata_id=session_uri(session),
        odata_type=SCHEMA.odata_type("Session"),
        id=session.id,
        name="User Session",
        user_name=session.user_name,
        session_type="Redfish",
        created_time=session.created_at.replace(microsecond=0),
        client_origin_ip_address=session.address,
        context=session.context,
    )


async def _visible(gateway: Gateway, user: User, session_id: str) -> Session:
    found = await gateway.sessions.get(session_id)
    if found is None:
        raise refuse("ResourceMissingAtURI", f"{SESSIONS}/{session_id}")
    require_owner_or(user, found.user_name)
    return found
