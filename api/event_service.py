"""/redfish/v1/EventService: what can be subscribed to, and events to test it."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import JsonValue

from api.bodies import json_body
from api.checked_bodies import checked_action, checked_change
from api.errors import RETRY_AFTER, refuse
from api.etags import wanted_etags
from api.gateway import Gateway, gateway_of
from api.responses import resource_response
from taskfish.redfish.event_requests import EventServiceChange, SubmittedEvent
from taskfish.redfish.event_resources import (
    SUBMIT_TEST_EVENT,
    SUBSCRIPTIONS,
    TEST_SUBSCRIPTION,
    EventService,
)
from taskfish.redfish.event_vocabulary import (
    EVENT_FORMAT,
    REGISTRY_PREFIXES,
    RESOURCE_TYPES,
    SEVERITIES,
)
from taskfish.redfish.events import EVENT_SERVICE
from taskfish.redfish.resources import Action, Status, link
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.submitted_events import event_of_test, submitted_event
from taskfish.store.event_service import EventServiceOptions

router = APIRouter()
GET = ["GET", "HEAD"]
SUBMIT_TEST_EVENT_URI = f"{EVENT_SERVICE}/Actions/{SUBMIT_TEST_EVENT}"
TEST_SUBSCRIPTION_URI = f"{EVENT_SERVICE}/Actions/{TEST_SUBSCRIPTION}"
READ_ONLY = frozenset(
    {
        *("Id", "Name", "Description", "Actions", "Status", "Oem", "Subscriptions"),
        *("DeliveryRetryAttempts", "DeliveryRetryIntervalSeconds", "ResourceTypes"),
        *("EventFormatTypes", "EventTypesForSubscription", "RegistryPrefixes"),
        *("Severities", "ExcludeMessageId", "ExcludeRegistryPrefix", "SMTP"),
        *("IncludeOriginOfConditionSupported", "OriginResourcesSupported"),
        *("SSEFilterPropertiesSupported", "SSEIncludeOriginOfConditionSupported"),
        *("ServerSentEventUri", "SubordinateResourcesSupported"),
    }
)
"""Properties of the EventService that a PATCH does not change: how often an event is
tried again is the operator's to set.
"""


@router.api_route(EVENT_SERVICE, methods=GET)
async def event_service(gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the EventService."""
    return _response(gateway, await gateway.event_settings.read())


@router.patch(EVENT_SERVICE)
async def change_event_service(
    request: Request,
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Change whether events are sent at all.

    400 for what cannot be, 412 if the resource is not the version of If-Match. Other
    processes follow within 2 seconds. What happens meanwhile is sent later.
    """
    change = checked_change(EventServiceChange, body, READ_ONLY)
    options = await gateway.event_settings.change(
        change.model_dump(exclude_unset=True), wanted_etags(request)
    )
    if options is None:
        raise refuse("PreconditionFailed")
    return _response(gateway, options)


@router.post(SUBMIT_TEST_EVENT_URI)
async def submit_test_event(
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Append an event as its parameters say: 204; who asked for the like gets it."""
    given = checked_action(SubmittedEvent, body, SUBMIT_TEST_EVENT)
    await refuse_if_disabled(gateway)
    await gateway.event_log.append(submitted_event(given, datetime.now(UTC)))
    return Response(status_code=204)


@router.post(TEST_SUBSCRIPTION_URI)
async def submit_test_message(
    body: dict[str, JsonValue] = Depends(json_body),
    gateway: Gateway = Depends(gateway_of),
) -> Response:
    """Append ResourceEvent.TestMessage: 204; who asked for the like gets it."""
    if body:
        raise refuse("ActionParameterUnknown", TEST_SUBSCRIPTION, next(iter(body))[:80])
    await refuse_if_disabled(gateway)
    await gateway.event_log.append(event_of_test(datetime.now(UTC)))
    return Response(status_code=204)


async def refuse_if_disabled(gateway: Gateway) -> None:
    """Raise 503 while no events are sent (EventService.ServiceEnabled)."""
    if not (await gateway.event_settings.read()).service_enabled:
        headers = {"Retry-After": str(RETRY_AFTER)}
        raise refuse("ServiceDisabled", EVENT_SERVICE, headers=headers)


def _response(gateway: Gateway, options: EventServiceOptions) -> Response:
    settings, enabled = gateway.settings, options.service_enabled
    actions = (SUBMIT_TEST_EVENT, TEST_SUBSCRIPTION)
    service = EventService(
        odata_id=EVENT_SERVICE,
        odata_type=SCHEMA.odata_type("EventService"),
        odata_etag=options.etag,
        id="EventService",
        name="Event Service",
        service_enabled=enabled,
        status=Status(state="Enabled" if enabled else "Disabled"),
        delivery_retry_attempts=settings.delivery_retry_attempts,
        delivery_retry_interval_seconds=round(settings.delivery_retry_interval),
        event_format_types=[EVENT_FORMAT],
        registry_prefixes=list(REGISTRY_PREFIXES),
        resource_types=list(RESOURCE_TYPES),
        severities=list(SEVERITIES),
        subscriptions=link(SUBSCRIPTIONS),
        actions={
            f"#{name}": Action(target=f"{EVENT_SERVICE}/Actions/{name}")
            for name in actions
        },
    )
    return resource_response(service, (*GET, "PATCH"), {"ETag": options.etag})
