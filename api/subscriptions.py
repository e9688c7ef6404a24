"""/redfish/v1/EventService/Subscriptions: who gets events."""

import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.authentication import User, authenticated
from api.bodies import json_body
from api.checked_bodies import checked, checked_change
from api.deliveries import start_delivery
from api.errors import refuse
from api.etags import check_if_match
from api.event_service import refuse_if_disabled
from api.gateway import Gateway, gateway_of
from api.privileges import may_see
from api.responses import resource_response
from api.subscription_access import (
    changed_meanwhile,
    changed_subscription,
    own_subscription,
    refuse_for_streams,
    revision_for,
    visible_subscription,
)
from api.subscription_resources import subscription_etag, subscription_response
from taskfish.errors import RequestRefusedError
from taskfish.plugins.addresses import can_be_named, refused_kind
from taskfish.redfish.event_requests import NewSubscriptionBody, SubscriptionChange
from taskfish.redfish.event_resources import SUBSCRIPTIONS
from taskfish.redfish.events import resource_created, resource_removed, subscription_uri
from taskfish.redfish.messages import base_message
from taskfish.redfish.resources import collection
from taskfish.store.subscriptions import Subscription

router = APIRouter()
GET = ["GET", "HEAD"]
READ_ONLY = frozenset(
    {
        *("Id", "Description", "Actions", "Status", "Oem", "Certificates"),
        *("BackupDestinations", "ClientCertificates", "MetricReportDefinitions"),
        *("OEMProtocol", "OEMSubscriptionType", "SNMP", "SyslogFilters"),
    }
)
"""Properties of an EventDestination that nobody writes, or this gateway has not."""
ONLY_ON_CREATE = frozenset(
    {
        *("Destination", "Protocol", "Name", "SubscriptionType", "EventFormatType"),
        *("RegistryPrefixes", "MessageIds", "ExcludeRegistryPrefixes", "EventTypes"),
        *("ExcludeMessageIds", "ResourceTypes", "OriginResources", "Severities"),
        *("SubordinateResources", "IncludeOriginOfCondition", "SendHeartbeat"),
        "HeartbeatIntervalMinutes",
    }
)
"""Properties that are chosen once (EventDestination v1.16, permissions)."""


@router.api_route(SUBSCRIPTIONS, methods=GET)
async def subscriptions(
    user: User = Depends(authenticated), gateway: Gateway = Depends(gateway_of)
) -> Response:
    """Return all subscriptions and open streams, the oldest first."""
    uris = [
        subscription_uri(each.id)
        for each in await gateway.subscriptions.all()
        if may_see(user, each.owner, gateway.settings)
    ]
    kind = "EventDestinationCollection"
    found = collection(SUBSCRIPTIONS, kind, "Event Subscriptions", uris)
    return resource_response(found, (*GET, "POST"))


@router.post(SUBSCRIPTIONS)
@router.post(f"{SUBSCRIPTIONS}/Members", include_in_schema=False)
async def subscribe(
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Subscribe to what happens from now on: 201 with Location and the subscription.

    503 while there are as many as there may be, or the service is disabled.
    """
    given = checked(NewSubscriptionBody, body, READ_ONLY)
    _check_together(given)
    _check_address(given.destination, gateway)
    await refuse_if_disabled(gateway)
    new = _new_subscription(given, user)
    told = resource_created(subscription_uri(new.id), owner=user.name)
    limit = gateway.settings.max_subscriptions
    if not await gateway.subscriptions.add(new, limit, told):
        raise refuse("EventSubscriptionLimitExceeded")
    await start_delivery(gateway, new)
    return subscription_response(new, 201, {"Location": subscription_uri(new.id)})


@router.api_route(f"{SUBSCRIPTIONS}/{{subscription_id}}", methods=GET)
async def subscription(
    subscription_id: str,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Return one subscription, without its HttpHeaders."""
    return subscription_response(
        await visible_subscription(gateway, user, subscription_id)
    )


@router.patch(f"{SUBSCRIPTIONS}/{{subscription_id}}")
async def change_subscription(
    subscription_id: str,
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change one's own subscription, or with ConfigureManager any.

    What is sent next is sent as it says then. What it asks for is chosen once.
    """
    found = await own_subscription(gateway, user, subscription_id)
    refuse_for_streams(found)
    check_if_match(request, subscription_etag(found))
    change = checked_change(SubscriptionChange, body, READ_ONLY | ONLY_ON_CREATE)
    columns = _columns(change)
    changed = await changed_subscription(gateway, found, request, **columns)
    return subscription_response(changed)


@router.delete(f"{SUBSCRIPTIONS}/{{subscription_id}}")
async def unsubscribe(
    subscription_id: str,
    request: Request,
    user: User = Depends(authenticated),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """End one's own subscription, or with ConfigureManager any: 204.

    A stream is closed.
    """
    found = await own_subscription(gateway, user, subscription_id)
    check_if_match(request, subscription_etag(found))
    told = [resource_removed(subscription_uri(found.id), owner=found.owner)]
    removed = await gateway.subscriptions.remove(
        found.id,
        *(told if found.kind != "SSE" else ()),
        only_if=revision_for(request, found),
    )
    if not removed:
        raise await changed_meanwhile(gateway, found.id)
    gateway.streams.end(found.id)
    return Response(status_code=204)


def _new_subscription(given: NewSubscriptionBody, user: User) -> Subscription:
    return Subscription(
        id=secrets.token_hex(8),
        kind="RedfishEvent",
        owner=user.name,
        name=given.name,
        destination=given.destination,
        context=given.context or "",
        filters=given.filters,
        http_headers=given.headers,
        verify_certificate=given.verify_certificate,
        retry_policy=given.delivery_retry_policy,
        heartbeat_minutes=(
            given.heartbeat_interval_minutes if given.send_heartbeat else None
        ),
        cursor=0,
        created_at=datetime.now(UTC),
    )


def _columns(change: SubscriptionChange) -> dict[str, Any]:
    """Return the columns that a change gives."""
    values: dict[str, Any] = {
        "context": change.context or "",
        "http_headers": change.headers,
        "verify_certificate": change.verify_certificate,
        "delivery_retry_policy": change.delivery_retry_policy,
    }
    given = {name: values[name] for name in change.model_fields_set}
    if "delivery_retry_policy" in given:
        given["retry_policy"] = given.pop("delivery_retry_policy")
    return given


def _check_together(given: NewSubscriptionBody) -> None:
    """Raise 400 for properties that cannot both be meant."""
    if given.conflict is not None:
        raise refuse("PropertyValueConflict", *given.conflict)


def _check_address(destination: str, gateway: Gateway) -> None:
    """Raise 400 for an address to which no connection is ever made, or can be.

    What a name means is asked when something is sent there (contracts.md 8).
    """
    if not can_be_named(destination):
        raise refuse("PropertyValueFormatError", destination[:80], "Destination")
    host = urlsplit(destination).hostname or ""
    if gateway.settings.allow_local_addresses:
        return
    try:
        kind = refused_kind(host)
    except ValueError:
        is_local = host.rstrip(".").endswith(("localhost", ".localhost"))
        kind = "a loopback address" if is_local else None
    if kind is not None:
        message = base_message(
            "PropertyValueIncorrect",
            "Destination",
            destination[:80],
            text=f"Nothing is sent to {host}, which is {kind}.",
            resolution="Choose another host, or set TASKFISH_ALLOW_LOCAL_ADDRESSES.",
            related=("#/Destination",),
        )
        raise RequestRefusedError(message)
