"""An EventDestination as it is shown: never with its HttpHeaders."""

from fastapi.responses import Response

from api.etags import etag_of, versioned_response
from taskfish.redfish.event_resources import RESUME, SUSPEND, EventDestination
from taskfish.redfish.event_vocabulary import EVENT_FORMAT
from taskfish.redfish.events import subscription_uri
from taskfish.redfish.resources import Action, Status, links
from taskfish.redfish.schema import SCHEMA
from taskfish.store.subscriptions import Subscription

SUBSCRIPTION_METHODS = ("GET", "HEAD", "PATCH", "DELETE")
STREAM_METHODS = ("GET", "HEAD", "DELETE")
_UNREADABLE = (
    "Nothing is sent: what is kept of this subscription cannot be read with the keys "
    "or the version of this service. Give its HttpHeaders anew, or delete it and "
    "subscribe again."
)


def subscription_resource(subscription: Subscription) -> EventDestination:
    """Return the EventDestination resource; a stream has less to say."""
    shown = EventDestination(
        odata_id=subscription_uri(subscription.id),
        odata_type=SCHEMA.odata_type("EventDestination"),
        id=subscription.id,
        name=subscription.name or "Event Subscription",
        destination=subscription.destination,
        context=subscription.context,
        protocol="Redfish",
        subscription_type=subscription.kind,
        event_format_type=EVENT_FORMAT,
        status=_status(subscription),
        description=None if subscription.is_readable else _UNREADABLE,
    )
    if subscription.kind == "SSE":
        return shown
    filters, minutes = subscription.filters, subscription.heartbeat_minutes
    uri = f"{subscription_uri(subscription.id)}/Actions"
    return shown.model_copy(
        update={
            "delivery_retry_policy": subscription.retry_policy,
            "verify_certificate": subscription.verify_certificate,
            "registry_prefixes": filters.registry_prefixes,
            "message_ids": filters.message_ids,
            "exclude_registry_prefixes": filters.exclude_registry_prefixes,
            "exclude_message_ids": filters.exclude_message_ids,
            "resource_types": filters.resource_types,
            "severities": filters.severities,
            "event_types": filters.kinds or None,
            "origin_resources": links(filters.origins),
            "origin_resources_count": len(filters.origins),
            "subordinate_resources": filters.subordinate_resources,
            "send_heartbeat": minutes is not None,
            "heartbeat_interval_minutes": minutes,
            "actions": {
                f"#{name}": Action(target=f"{uri}/{name}") for name in (SUSPEND, RESUME)
            },
        }
    )


def _status(subscription: Subscription) -> Status:
    if subscription.is_readable:
        return Status(state=subscription.state)
    return Status(state="UnavailableOffline", health="Critical")


def subscription_response(
    subscription: Subscription,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    is_stream = subscription.kind == "SSE"
    allowed = STREAM_METHODS if is_stream else SUBSCRIPTION_METHODS
    shown = subscription_resource(subscription)
    return versioned_response(
        shown, subscription_etag(subscription), allowed, status, headers
    )


def subscription_etag(subscription: Subscription) -> str:
    """Return the ETag: another one also after a change of the HttpHeaders."""
    shown = subscription_resource(subscription)
    return etag_of(shown, subscription.id, subscription.revision)
