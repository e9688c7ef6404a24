"""Events: what the log keeps and subscribers get (Event v1.13, DSP0266 event service).

An event has a position in the log, which rises with time: it is the `EventId` by which
a subscriber knows one again that it was sent twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, JsonValue

from taskfish.redfish.links import ROOT
from taskfish.redfish.messages import (
    Message,
    base_message,
    heartbeat_message,
    resource_message,
)
from taskfish.redfish.schema import SCHEMA

EVENT_SERVICE = f"{ROOT}/EventService"


class EventKind(StrEnum):
    """Event.EventType, as far as the gateway has events of it."""

    ALERT = "Alert"
    RESOURCE_ADDED = "ResourceAdded"
    RESOURCE_REMOVED = "ResourceRemoved"
    RESOURCE_UPDATED = "ResourceUpdated"
    STATUS_CHANGE = "StatusChange"
    OTHER = "Other"


class TaskStep(BaseModel):
    """Which event of which run of a task: no run has the same step twice.

    `percent` is how far the task was that has progressed.
    """

    model_config = ConfigDict(frozen=True)

    task_id: str
    run_id: str
    step: str
    percent: int | None = None


class Event(BaseModel):
    """Something that has happened to a resource.

    `origin` is its URI and `resource_type` its type without a version; `concerns` are
    the URIs of what it is about besides, as the machine of a task. `owner` is whose
    task it is of. `task` is there for events of tasks.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    kind: EventKind
    message: Message
    origin: str
    resource_type: str
    concerns: tuple[str, ...] = ()
    owner: str | None = None
    task: TaskStep | None = None
    given: dict[str, JsonValue] | None = None


class LoggedEvent(BaseModel):
    """An event in the log, at its position.

    What is told beside the log, behind what is at `position`, has an `id` of its own.
    """

    model_config = ConfigDict(frozen=True)

    position: int
    event: Event
    id: str | None = None

    @property
    def event_id(self) -> str:
        """EventId: the same however often the event is sent, and no other's."""
        return self.id or str(self.position)

    def record(self, number: int) -> dict[str, JsonValue]:
        """Return Event.EventRecord; `number` is its place in the payload."""
        event, message = self.event, self.event.message
        record: dict[str, JsonValue] = {
            "EventType": event.kind.value,
            "MemberId": str(number),
            "EventId": self.event_id,
        }
        if event.given is not None:
            return record | event.given
        record |= {
            "EventTimestamp": written(event.at),
            "MessageId": message.message_id,
            "Message": message.message,
            "MessageArgs": list(message.message_args),
            "MessageSeverity": message.severity,
            "OriginOfCondition": {"@odata.id": event.origin},
        }
        if message.resolution:
            record["Resolution"] = message.resolution
        return record


def event_payload(events: Sequence[LoggedEvent], context: str) -> dict[str, JsonValue]:
    """Return the Event that is sent for some events, the last of which names it."""
    records = [logged.record(number) for number, logged in enumerate(events)]
    return event_frame(events[-1], context) | {"Events": list(records)}


def event_frame(last: LoggedEvent, context: str) -> dict[str, JsonValue]:
    """Return the Event that is sent, but for its Events; the last of them names it."""
    return {
        "@odata.type": SCHEMA.odata_type("Event"),
        "Id": last.event_id,
        "Name": "Events",
        "Context": context,
    }


def resource_created(uri: str, **more: object) -> Event:
    """Return the event of a resource that is there now."""
    message = resource_message("ResourceCreated")
    return _of_resource(EventKind.RESOURCE_ADDED, message, uri, more)


def resource_removed(uri: str, **more: object) -> Event:
    """Return the event of a resource that is there no more."""
    message = resource_message("ResourceRemoved")
    return _of_resource(EventKind.RESOURCE_REMOVED, message, uri, more)


def events_were_lost() -> Event:
    """Return the event that takes the place of others which the log has forgotten."""
    return Event(
        at=datetime.now(UTC),
        kind=EventKind.ALERT,
        message=base_message("EventBufferExceeded"),
        origin=EVENT_SERVICE,
        resource_type="EventService",
    )


def heartbeat() -> Event:
    """Return the event that only says that the gateway is at work."""
    return Event(
        at=datetime.now(UTC),
        kind=EventKind.OTHER,
        message=heartbeat_message("RedfishServiceFunctional"),
        origin=EVENT_SERVICE,
        resource_type="EventService",
    )


def subscription_terminated(subscription_id: str) -> Event:
    """Return the last event that a subscriber gets, whose subscription has ended."""
    return Event(
        at=datetime.now(UTC),
        kind=EventKind.OTHER,
        message=base_message("SubscriptionTerminated"),
        origin=subscription_uri(subscription_id),
        resource_type="EventDestination",
    )


def subscription_uri(subscription_id: str) -> str:
    """Return the URI of an EventDestination."""
    return f"{EVENT_SERVICE}/Subscriptions/{subscription_id}"


def written(moment: datetime) -> str:
    """Return a moment as Redfish writes it, to the millisecond."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _of_resource(
    kind: EventKind, message: Message, uri: str, more: dict[str, object]
) -> Event:
    at_uri = SCHEMA.kind_at(uri)
    values = {
        "at": datetime.now(UTC),
        "kind": kind,
        "message": message,
        "origin": uri,
        "resource_type": at_uri.type if at_uri else "Oem",
        **more,
    }
    return Event.model_validate(values)
