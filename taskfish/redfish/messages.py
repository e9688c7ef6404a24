"""Messages of DMTF's registries, in our own words.

The ids, the numbers of arguments and the severities are the registries' own (Base
1.22, TaskEvent 1.0 and such; a test compares them with DMTF's files). The HTTP status
that an error has is decided here and nowhere else.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue

BASE = "Base.1.22"
TASK_EVENT = "TaskEvent.1.0"
RESOURCE_EVENT = "ResourceEvent.1.4"
HEARTBEAT_EVENT = "HeartbeatEvent.1.1"

Severity = Literal["OK", "Warning", "Critical"]
_PLACE = re.compile(r"%[1-9]")


class Message(BaseModel):
    """Message.v1_3_0.Message, as it stands in Task.Messages and in error bodies."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    message_id: str = Field(alias="MessageId")
    message: str = Field(alias="Message")
    message_args: tuple[str, ...] = Field(default=(), alias="MessageArgs")
    severity: Severity = Field(default="OK", alias="MessageSeverity")
    resolution: str | None = Field(default=None, alias="Resolution")
    related_properties: tuple[str, ...] = Field(default=(), alias="RelatedProperties")
    oem: dict[str, JsonValue] | None = Field(default=None, alias="Oem")

    def to_json(self) -> dict[str, JsonValue]:
        """Return the Redfish form, without what is empty."""
        body: dict[str, JsonValue] = {"@odata.type": "#Message.v1_3_0.Message"}
        body |= self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return body | {"MessageSeverity": self.severity}


class Entry(NamedTuple):
    """One message of a registry: `%1` in the text is the first argument, and the text
    has them all.
    """

    severity: Severity
    text: str
    resolution: str
    status: int = 400

    @property
    def number_of_args(self) -> int:
        """How many arguments the message has: NumberOfArgs of its registry."""
        return max((int(place[1:]) for place in _PLACE.findall(self.text)), default=0)


_BASE: dict[str, Entry] = {
    "Success": Entry("OK", "The operation has succeeded.", "None.", 200),
    "GeneralError": Entry(
        "Critical",
        "The request could not be carried out.",
        "See @Message.ExtendedInfo for what to do.",
        500,
    ),
    "InternalError": Entry(
        "Critical",
        "The gateway met an error of its own.",
        "Try again; if it stays, look into the gateway's log.",
        500,
    ),
    "MalformedJSON": Entry(
        "Critical",
        "The body is not valid JSON.",
        "Send a body that is one JSON object.",
    ),
    "UnrecognizedRequestBody": Entry(
        "Warning",
        "The body is not of a form that this resource takes.",
        "Send one JSON object with Content-Type application/json.",
    ),
    "PropertyValueTypeError": Entry(
        "Warning",
        "The value '%1' of property %2 has the wrong type.",
        "Send the property with the type that its schema gives.",
    ),
    "PropertyValueFormatError": Entry(
        "Warning",
        "The value '%1' of property %2 has the wrong form.",
        "Send the property in the form that its schema gives.",
    ),
    "PropertyValueNotInList": Entry(
        "Warning",
        "The value '%1' of property %2 is not one of the allowed values.",
        "Choose one of the allowed values.",
    ),
    "PropertyValueOutOfRange": Entry(
        "Warning",
        "The value '%1' of property %2 is out of range.",
        "Choose a value within the range.",
    ),
    "PropertyMissing": Entry(
        "Warning",
        "The property %1 is required and missing.",
        "Add the property to the body.",
    ),
    "PropertyUnknown": Entry(
        "Warning",
        "The resource has no property %1.",
        "Leave the property out.",
    ),
    "PropertyValueConflict": Entry(
        "Warning",
        "The value of property %1 does not go together with that of %2.",
        "Change one of the two.",
    ),
    "PropertyValueIncorrect": Entry(
        "Warning",
        "The value '%2' of property %1 cannot be accepted.",
        "Choose another value.",
    ),
    "NoOperation": Entry(
        "Warning",
        "The body holds nothing to change.",
        "Add the properties that are to change.",
    ),
    "PropertyNotWritable": Entry(
        "Warning",
        "The property %1 cannot be written.",
        "Leave the property out.",
    ),
    "ActionNotSupported": Entry(
        "Critical",
        "The resource does not know the action %1.",
        "Use one of the actions that the resource lists.",
    ),
    "ActionParameterUnknown": Entry(
        "Warning",
        "The action %1 has no parameter %2.",
        "Leave the parameter out.",
    ),
    "ActionParameterMissing": Entry(
        "Critical",
        "The action %1 requires the parameter %2.",
        "Add the parameter to the body.",
    ),
    "ActionParameterValueTypeError": Entry(
        "Warning",
        "The value '%1' of parameter %2 of action %3 has the wrong type.",
        "Send the parameter with the type that the action's schema gives.",
    ),
    "ActionParameterValueNotInList": Entry(
        "Warning",
        "The value '%1' of parameter %2 of action %3 is not one of the allowed values.",
        "Choose one of the allowed values.",
    ),
    "ActionParameterValueFormatError": Entry(
        "Warning",
        "The value '%1' of parameter %2 of action %3 has the wrong form.",
        "Send the parameter in the form that the action's schema gives.",
    ),
    "ActionParameterValueOutOfRange": Entry(
        "Warning",
        "The value '%1' of parameter %2 of action %3 is out of range.",
        "Choose a value within the range.",
    ),
    "ActionParameterValueConflict": Entry(
        "Warning",
        "The parameter '%1' with the value '%2' cannot be carried out here.",
        "Change the parameter.",
    ),
    "QueryNotSupported": Entry(
        "Warning",
        "The query options of this request are not supported.",
        "Send the request without query options that begin with $.",
        501,
    ),
    "QueryCombinationInvalid": Entry(
        "Warning",
        "The query options cannot be given together.",
        "Give each option once, and `only` without `$expand`.",
    ),
    "QueryParameterValueFormatError": Entry(
        "Warning",
        "The value '%1' of the query parameter %2 has the wrong form.",
        "Send the parameter as a nextLink of the service has it.",
    ),
    "QueryParameterValueError": Entry(
        "Warning",
        "The value of the query parameter %1 asks for what there is not.",
        "Ask for what the service lists.",
    ),
    "ResourceMissingAtURI": Entry(
        "Critical",
        "There is no resource at '%1'.",
        "Check the URI; collections list what there is.",
        404,
    ),
    "ResourceNotFound": Entry(
        "Critical",
        "There is no %1 named '%2'.",
        "Check the name; collections list what there is.",
        404,
    ),
    "OperationNotAllowed": Entry(
        "Critical",
        "The resource does not take this method.",
        "Use one of the methods in the Allow header.",
        405,
    ),
    "ResourceInUse": Entry(
        "Warning",
        "The resource is in use.",
        "Wait until it is free, or end what uses it.",
        409,
    ),
    "ResourceAlreadyExists": Entry(
        "Critical",
        "There is already a %1 whose %2 is '%3'.",
        "Use the one that exists, or choose another value.",
        409,
    ),
    "PreconditionFailed": Entry(
        "Critical",
        "The resource is not the version that If-Match names.",
        "Read the resource again and repeat with its ETag.",
        412,
    ),
    "PayloadTooLarge": Entry(
        "Critical",
        "The body is larger than this service accepts.",
        "Send a smaller body.",
        413,
    ),
    "HeaderInvalid": Entry(
        "Critical", "The header '%1' is invalid.", "Correct the header."
    ),
    "AccessUnauthorized": Entry(
        "Critical",
        "The request needs a valid user name and password.",
        "Send the X-Auth-Token of an open session, or valid HTTP Basic credentials.",
        401,
    ),
    "InsufficientPrivilege": Entry(
        "Critical",
        "The account may not do this.",
        "Use an account with the privilege, or ask an administrator for it.",
        403,
    ),
    "PasswordChangeRequired": Entry(
        "Critical",
        "The password of '%1' has to be changed before anything else.",
        "Send a PATCH with a new Password, and nothing else, to this account.",
        403,
    ),
    "SessionLimitExceeded": Entry(
        "Critical",
        "There are as many sessions as the gateway allows.",
        "End sessions that are not needed any more, or wait until some expire.",
        503,
    ),
    "PasswordIncorrectLength": Entry(
        "Critical",
        "The password is too short or too long.",
        "Choose a password whose length is within the limits of the AccountService.",
    ),
    "PasswordReuseTooRecent": Entry(
        "Critical",
        "The new password is the one that has to be changed.",
        "Choose another password.",
    ),
    "ResourceAtUriUnauthorized": Entry(
        "Critical",
        "The source refuses the gateway's credentials at '%1': %2.",
        "Correct the UserName and Password of the AggregationSource.",
        500,
    ),
    "CouldNotEstablishConnection": Entry(
        "Critical",
        "The source at '%1' cannot be reached.",
        "Check the source and the network, then try again.",
        503,
    ),
    "ResourceAtUriInUnknownFormat": Entry(
        "Critical",
        "What '%1' answered cannot be understood.",
        "Check that the source speaks the protocol of its ConnectionMethod.",
        500,
    ),
    "EventSubscriptionLimitExceeded": Entry(
        "Critical",
        "There are as many subscriptions as the gateway allows.",
        "Delete subscriptions that are not needed any more.",
        503,
    ),
    "EventBufferExceeded": Entry(
        "Warning",
        "Events were forgotten before they could be delivered.",
        "Read the tasks and resources anew to see their present state.",
    ),
    "SubscriptionTerminated": Entry(
        "OK", "The subscription has ended: no more events come.", "None."
    ),
    "ServiceTemporarilyUnavailable": Entry(
        "Critical",
        "The service cannot do this now. Try again in %1 seconds.",
        "Wait, then repeat the request.",
        503,
    ),
    "ResetRequired": Entry(
        "Warning",
        "The change waits for a reset: send '%2' to '%1'.",
        "Perform the reset.",
    ),
    "ServiceDisabled": Entry(
        "Warning",
        "The service at %1 is disabled and takes no requests.",
        "Enable the service, then repeat the request.",
        503,
    ),
    "OperationFailed": Entry(
        "Warning",
        "The operation has failed; a part of it may have been done.",
        "Read the resource to see its state before trying again.",
        500,
    ),
    "OperationTimeout": Entry(
        "Warning",
        "The operation has not ended in time; a part of it may have been done.",
        "Read the resource to see its state before trying again.",
        500,
    ),
}

_TASK_EVENT: dict[str, Entry] = {
    "TaskStarted": Entry("OK", "The task %1 has started.", "None."),
    "TaskCompletedOK": Entry("OK", "The task %1 has completed.", "None."),
    "TaskCompletedWarning": Entry(
        "Warning", "The task %1 has completed with warnings.", "See its messages."
    ),
    "TaskAborted": Entry(
        "Critical", "The task %1 has ended with errors.", "See its messages."
    ),
    "TaskCancelled": Entry("Warning", "The task %1 was cancelled.", "None."),
    "TaskRemoved": Entry("Warning", "The task %1 was removed.", "None."),
    "TaskPaused": Entry("Warning", "The task %1 was paused.", "None."),
    "TaskResumed": Entry("OK", "The task %1 was resumed.", "None."),
    "TaskProgressChanged": Entry("OK", "The task %1 is %2 percent complete.", "None."),
}

_RESOURCE_EVENT: dict[str, Entry] = {
    "ResourceCreated": Entry("OK", "The resource is there now.", "None."),
    "ResourceRemoved": Entry("OK", "The resource is there no more.", "None."),
    "TestMessage": Entry("OK", "This is a test of the subscription.", "None."),
}

_HEARTBEAT_EVENT: dict[str, Entry] = {
    "RedfishServiceFunctional": Entry("OK", "The gateway is at work.", "None."),
}

REGISTRIES: dict[str, dict[str, Entry]] = {
    BASE: _BASE,
    TASK_EVENT: _TASK_EVENT,
    RESOURCE_EVENT: _RESOURCE_EVENT,
    HEARTBEAT_EVENT: _HEARTBEAT_EVENT,
}


def base_message(
    key: str,
    *args: str,
    text: str | None = None,
    resolution: str | None = None,
    related: Iterable[str] = (),
) -> Message:
    """Build a message of the Base registry; `text` replaces the entry's own words, and
    is said as it is: what a client has sent may be in it.
    """
    return _build(BASE, key, args, text, resolution, tuple(related))


def task_message(key: str, *args: str, text: str | None = None) -> Message:
    """Build a message of the TaskEvent registry; the first argument is a Task Id."""
    return _build(TASK_EVENT, key, args, text, None, ())


def resource_message(key: str) -> Message:
    """Build a message of the ResourceEvent registry: the event names the resource."""
    return _build(RESOURCE_EVENT, key, (), None, None, ())


def heartbeat_message(key: str) -> Message:
    """Build a message of the HeartbeatEvent registry: the gateway is at work."""
    return _build(HEARTBEAT_EVENT, key, (), None, None, ())


def submitted_message(message_id: str, args: Sequence[str]) -> Message | None:
    """Return a message that a client names by its id, whatever the version there.

    None for one that none of our registries has; its places without arguments stay.
    """
    registry, _, key = message_id.partition(".")
    key = key.rpartition(".")[2]
    for name, entries in REGISTRIES.items():
        if name.partition(".")[0] == registry and key in entries:
            return _build(name, key, tuple(args), None, None, ())
    return None


def status_of(message: Message) -> int:
    """Return the HTTP status that an error led by this message has (400 if unknown)."""
    registry, _, key = message.message_id.rpartition(".")
    entry = REGISTRIES.get(registry, {}).get(key)
    return entry.status if entry else 400


def error_body(*messages: Message) -> dict[str, JsonValue]:
    """Return the body of an error response (DSP0266, error responses)."""
    first = messages[0]
    single = len(messages) == 1
    return {
        "error": {
            "code": first.message_id if single else f"{BASE}.GeneralError",
            "message": first.message if single else _BASE["GeneralError"].text,
            "@Message.ExtendedInfo": [message.to_json() for message in messages],
        }
    }


def success_body(*messages: Message) -> dict[str, JsonValue]:
    """Return the body of a success that has something to say."""
    return {"@Message.ExtendedInfo": [message.to_json() for message in messages]}


def filled(text: str, args: Iterable[str]) -> str:
    """Return a text with `%1` replaced by the first argument, and so on."""
    places = {f"%{number}": arg for number, arg in enumerate(args, start=1)}
    return _PLACE.sub(lambda found: places.get(found[0], found[0]), text)


def _build(
    registry: str,
    key: str,
    args: tuple[str, ...],
    text: str | None,
    resolution: str | None,
    related: tuple[str, ...],
) -> Message:
    entry = REGISTRIES[registry][key]
    assert len(args) == entry.number_of_args, f"{key} has other arguments than {args}"
    words = text or filled(entry.text, args)
    resolution = resolution or entry.resolution
    return Message(
        message_id=f"{registry}.{key}",
        message=words,
        message_args=args,
        severity=entry.severity,
        resolution=None if resolution == "None." else resolution,
        related_properties=related,
    )
