"""Actions of an EventDestination: send nothing for a while, and go on."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.authentication import User, authenticated
from api.bodies import json_body
from api.checked_bodies import checked_action
from api.deliveries import start_delivery
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.subscription_access import (
    changed_subscription,
    own_subscription,
    refuse_for_streams,
)
from taskfish.redfish.event_requests import ResumeBody
from taskfish.redfish.event_resources import RESUME, SUBSCRIPTIONS, SUSPEND

router = APIRouter()


@router.post(f"{SUBSCRIPTIONS}/{{subscription_id}}/Actions/{SUSPEND}")
async def suspend_subscription(
    subscription_id: str,
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Send nothing until it is resumed: 204. What happens meanwhile is kept."""
    found = await own_subscription(gateway, user, subscription_id)
    refuse_for_streams(found)
    if body:
        raise refuse("ActionParameterUnknown", SUSPEND, next(iter(body))[:80])
    await changed_subscription(gateway, found, request, state="Disabled")
    return Response(status_code=204)


@router.post(f"{SUBSCRIPTIONS}/{{subscription_id}}/Actions/{RESUME}")
async def resume_subscription(
    subscription_id: str,
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Send again: 204.

    Whatever has happened since, or only what is not older than
    `DeliverBufferedEventDuration`: `PT0S` is nothing.
    """
    found = await own_subscription(gateway, user, subscription_id)
    refuse_for_streams(found)
    given = checked_action(ResumeBody, body, RESUME)
    cursor = max(found.cursor, await _oldest_wanted(gateway, given))
    await changed_subscription(gateway, found, request, state="Enabled", cursor=cursor)
    await start_delivery(gateway, found)
    return Response(status_code=204)


async def _oldest_wanted(gateway: Gateway, given: ResumeBody) -> int:
    """Return the position behind which everything is to be delivered."""
    since = given.deliver_since
    if since is None:
        return 0
    if not since:
        return await gateway.event_log.newest()
    now = datetime.now(UTC)
    if since >= now - datetime.min.replace(tzinfo=UTC):
        return 0
    return await gateway.event_log.before(now - since)
