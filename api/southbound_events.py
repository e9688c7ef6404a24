"""/southbound/events/{source}: where sources send the events of their own tasks.

It is no part of the Redfish tree, and needs no login but the token that the gateway
gave to the source with its subscription (contracts.md 7 and 9).
"""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.bodies import limited
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.session_logins import client_address
from taskfish.redfish.event_receiver import RECEIVER, TOKEN_HEADER
from taskfish.redfish.source_events import decoded, named_tasks, opened

MAX_BODY_BYTES = 1 << 20
_BEARER = "bearer "

router = APIRouter(include_in_schema=False)


@router.post(f"{RECEIVER}/{{source_id}}")
async def take_events(
    source_id: str, request: Request, gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Keep which tasks the source speaks of, so that they are asked for at once.

    The token is in a header of ours, else in the Event's Context. Raises 401 for a
    wrong one and for an unknown source alike, then 400 for what is no Event. Nothing is
    read for a wrong one in a header.
    """
    address = client_address(request)
    gateway.source_tokens.check_rate(source_id, address)
    token = _token(request)
    if token:
        await gateway.source_tokens.check(source_id, token, address)
    payload = _decoded(await limited(request, MAX_BODY_BYTES))
    if not token:
        await gateway.source_tokens.check(source_id, _context(payload), address)
    await gateway.task_news.tell(source_id, _names(payload))
    return Response(status_code=204)


def _decoded(content: bytes) -> dict[str, JsonValue] | None:
    """Return the payload, None if it is none: that is told only to whom we know."""
    try:
        return opened(decoded(content))
    except ValueError:
        return None


def _names(payload: dict[str, JsonValue] | None) -> tuple[str, ...]:
    if payload is None:
        raise refuse("MalformedJSON")
    try:
        return named_tasks(payload)
    except ValueError as error:
        how = "Send an Event as Redfish or ODIM have it."
        raise refuse("UnrecognizedRequestBody", resolution=how) from error


def _token(request: Request) -> str | None:
    """Return the token in the headers; ours goes before Authorization's."""
    if TOKEN_HEADER in request.headers:
        return request.headers[TOKEN_HEADER]
    given = request.headers.get("Authorization", "")
    is_bearer = given.lower().startswith(_BEARER)
    return given[len(_BEARER) :].strip() if is_bearer else None


def _context(payload: dict[str, JsonValue] | None) -> str | None:
    context = payload.get("Context") if payload else None
    return context if isinstance(context, str) else None
