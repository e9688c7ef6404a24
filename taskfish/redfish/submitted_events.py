"""Events that are submitted to test who gets them (EventService v1.12, actions).

They go through the log as all others do: what the filters say of them holds.
"""

from datetime import datetime

from pydantic import JsonValue

from taskfish.redfish.event_requests import SubmittedEvent
from taskfish.redfish.events import EVENT_SERVICE, Event, EventKind, written
from taskfish.redfish.messages import Message, resource_message, submitted_message
from taskfish.redfish.schema import SCHEMA


def event_of_test(at: datetime) -> Event:
    """Return the event of TestEventSubscription."""
    return Event(
        at=at,
        kind=EventKind.ALERT,
        message=resource_message("TestMessage"),
        origin=EVENT_SERVICE,
        resource_type="EventService",
    )


def submitted_event(given: SubmittedEvent, at: datetime) -> Event:
    """Return the event of SubmitTestEvent.

    Its record says what was given and nothing else, but for a text and a severity that
    a registry of ours has for its message. Without an origin it is the service's.
    """
    message = _message(given)
    uri = given.origin_of_condition
    kind = SCHEMA.kind_at(uri) if uri else None
    return Event(
        at=at,
        kind=EventKind(given.event_type or EventKind.ALERT),
        message=message,
        origin=uri or EVENT_SERVICE,
        resource_type=kind.type if kind else "Oem" if uri else "EventService",
        given=_record(given, message, at),
    )


def _message(given: SubmittedEvent) -> Message:
    args = tuple(given.message_args or ())
    known = submitted_message(given.message_id, args)
    severity = given.message_severity or (known.severity if known else "OK")
    return Message(
        message_id=given.message_id,
        message=given.message or (known.message if known else ""),
        message_args=args,
        severity=severity,
    )


def _record(
    given: SubmittedEvent, message: Message, at: datetime
) -> dict[str, JsonValue]:
    record = given.model_dump(by_alias=True, exclude_none=True, exclude={"event_type"})
    record["MessageSeverity"] = message.severity
    record.setdefault("EventTimestamp", written(at))
    if message.message:
        record["Message"] = message.message
    if given.origin_of_condition:
        record["OriginOfCondition"] = {"@odata.id": given.origin_of_condition}
    return record
