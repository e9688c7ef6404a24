"""/redfish/v1/EventService/SSE: events as they happen, on an answer without an end."""

import re

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.authentication import User, authenticated
from api.errors import RETRY_AFTER, refuse
from api.event_service import refuse_if_disabled
from api.event_stream import EventStreamResponse
from api.gateway import Gateway, gateway_of
from api.query_options import takes_options
from api.session_logins import unauthorized
from api.stream_credentials import Credential, accounts_by_name
from taskfish.redfish.event_conditions import Condition, ConditionError, condition_of
from taskfish.redfish.event_resources import EVENT_STREAM, SSE_SCHEME

router = APIRouter()
FILTER = "$filter"
MEDIA_TYPE = "text/event-stream"
_ACCEPTED = re.compile(
    r"(text/event-stream|text/\*|\*/\*)\s*(;(?!\s*q=0(\.0*)?\s*$).*)?"
)
_POSITION = re.compile(r"\d{1,18}", re.ASCII)


@router.api_route(EVENT_STREAM, methods=["GET", "HEAD"])
@takes_options(FILTER)
async def event_stream(
    request: Request,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Send events from now on, or from `Last-Event-ID` on, that `$filter` asks for.

    400 for a filter or an id that is none, 406 for who does not accept a stream, 503
    while there are too many or the service is disabled. The stream ends with the
    account, its password or the EventDestination.
    """
    _check_accepted(request)
    condition, behind = _condition(request), _last_event_id(request)
    await refuse_if_disabled(gateway)
    if request.method == "HEAD":
        return Response(media_type=MEDIA_TYPE, headers={"Allow": "GET, HEAD"})
    credential = await _credential(user, gateway)
    stream = await gateway.streams.open(
        credential, _destination(request), condition, behind
    )
    if stream is None:
        headers = {"Retry-After": str(RETRY_AFTER)}
        raise refuse("EventSubscriptionLimitExceeded", headers=headers)
    return EventStreamResponse(gateway.streams, stream)


def _check_accepted(request: Request) -> None:
    """Raise 406 for a client that would not understand the answer."""
    given = ",".join(request.headers.getlist("Accept"))
    accepted = [each.strip().lower() for each in given.split(",")]
    if given and not any(map(_ACCEPTED.fullmatch, accepted)):
        how = f"Send Accept: {MEDIA_TYPE}."
        raise refuse("HeaderInvalid", "Accept", resolution=how, status=406)


def _condition(request: Request) -> Condition:
    """Return what the stream asks for; raise 400 for a filter that is none."""
    filters = request.query_params.getlist(FILTER)
    try:
        if len(filters) > 1:
            raise ConditionError("It is there more than once.")
        return condition_of(filters[0]) if filters else _everything
    except ConditionError as error:
        raise refuse(
            "QueryParameterValueError",
            FILTER,
            text=f"The {FILTER} cannot be followed. {error}",
            resolution="See SSEFilterPropertiesSupported of the EventService.",
        ) from error


def _last_event_id(request: Request) -> int | None:
    """Return the position that the client has come to; raise 400 for what is none."""
    given = request.headers.getlist("Last-Event-ID")
    if not given:
        return None
    if len(given) > 1 or not _POSITION.fullmatch(given[0]):
        how = "Send the id of an event of a stream of this service."
        raise refuse("HeaderInvalid", "Last-Event-ID", resolution=how)
    return int(given[0])


async def _credential(user: User, gateway: Gateway) -> Credential:
    """Return by what the request was let in; raise 401 if that is over already."""
    account = (await accounts_by_name(gateway.accounts, gateway.settings)).get(
        user.name
    )
    if account is None:
        raise unauthorized()
    return Credential(account.name, account.password)


def _destination(request: Request) -> str:
    """Return the client's own end, as EventDestination has it for a stream."""
    host, port = (
        (request.client.host, request.client.port) if request.client else ("", 0)
    )
    return f"{SSE_SCHEME}://{f'[{host}]' if ':' in host else host}:{port}"


def _everything(_: object) -> bool:
    return True
