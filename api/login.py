"""POST to /redfish/v1/SessionService/Sessions: logging in, open to everybody."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import JsonValue

from api.accounts import account_uri
from api.bodies import json_body
from api.checked_bodies import checked
from api.gateway import Gateway, gateway_of
from api.session_logins import open_session
from api.sessions import SESSION_METHODS, session_resource, session_uri
from taskfish.redfish.messages import base_message, success_body
from taskfish.redfish.session_requests import LoginBody
from taskfish.redfish.session_resources import SESSIONS

router = APIRouter()
READ_ONLY = frozenset(
    {
        *("Id", "Name", "Description", "Actions", "Oem", "Links", "SessionType"),
        *("CreatedTime", "ClientOriginIPAddress", "ExpirationTime", "Roles"),
        *("OemSessionType", "Token"),
    }
)
"""Properties of a session that nobody writes, or this gateway does not take."""


@router.post(SESSIONS)
@router.post(f"{SESSIONS}/Members", include_in_schema=False)
async def log_in(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Open a session: 201 with its X-Auth-Token, which is told this once.

    With a password that has to be changed the answer says where (DSP0266, password
    change required handling).
    """
    given = checked(LoginBody, body, READ_ONLY)
    opened, account = await open_session(
        gateway,
        request,
        given.user_name,
        given.password.get_secret_value(),
        given.context,
    )
    found = session_resource(opened.session).to_json()
    if account.password_change_required:
        found |= success_body(
            base_message("PasswordChangeRequired", account_uri(account.name))
        )
    headers = {
        "Location": session_uri(opened.session),
        "X-Auth-Token": opened.token,
        "Cache-Control": "no-store",
        "Allow": ", ".join(SESSION_METHODS),
    }
    return JSONResponse(found, status_code=201, headers=headers)
