"""What clients may send to the EventService and its subscriptions (bundle 2025.4)."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from taskfish.redfish import event_vocabulary as vocabulary
from taskfish.redfish.event_filters import EventFilter, short_message_id
from taskfish.redfish.requests import IdRef, RequestBody

MOST_VALUES = 100
"""How many values a filter may list."""
MOST_HEADERS = 32
_TEXT = r"^\P{Cc}*$"
_TIMESTAMP = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$"
_DURATION = r"^P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$"
"""EventDestination's own pattern of a duration, which has no years or months."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?|")
_URL = re.compile(r"(?i:https?)://[\x21-\x7e]+")
_MOMENT, _SPAN = TypeAdapter(datetime), TypeAdapter(timedelta)
_AT_MOST = Field(max_length=MOST_VALUES)


def _known(check: Callable[[str], str]) -> AfterValidator:
    """Check a value with the vocabulary, and say which there are."""

    def checked(value: str) -> str:
        try:
            return check(value)
        except vocabulary.UnknownValueError as error:
            context = {"expected": error.allowed}
            raise PydanticCustomError("literal_error", "unknown", context) from error

    return AfterValidator(checked)


def _destination(url: str) -> str:
    """Check that a text is an http or https URL that carries no credentials."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _URL.fullmatch(url) or parts.fragment:
        raise PydanticCustomError("string_url", "no URL")
    if "@" in parts.netloc:
        how = {"expected": "a URL without user name and password; use HttpHeaders"}
        raise PydanticCustomError("refused_value", "credentials", how)
    return url


def _headers(given: list[dict[str, str]]) -> list[dict[str, str]]:
    """Check that headers are such as HTTP can carry."""
    pairs = [pair for each in given for pair in each.items()]
    if len(pairs) > MOST_HEADERS:
        limit = {"max_length": MOST_HEADERS}
        raise PydanticCustomError("too_long", "too many", limit)
    for name, value in pairs:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise PydanticCustomError("string_header", "no header")
    return given


def _read_by(adapter: TypeAdapter[datetime] | TypeAdapter[timedelta]) -> AfterValidator:
    """Check that a text of the right form means something: not the 30th of February."""

    def checked(text: str) -> str:
        try:
            adapter.validate_python(text)
        except ValidationError as error:
            raise PydanticCustomError("string_time", "no time") from error
        return text

    return AfterValidator(checked)


Text = Annotated[str, StringConstraints(max_length=1024, pattern=_TEXT)]
EventType = Annotated[str, _known(vocabulary.event_type)]
RegistryPrefixes = Annotated[
    list[Annotated[str, _known(vocabulary.registry_prefix)]], _AT_MOST
]
MessageIds = Annotated[list[Annotated[str, _known(vocabulary.message_id)]], _AT_MOST]
ResourceTypes = Annotated[
    list[Annotated[str, _known(vocabulary.resource_type)]], _AT_MOST
]
Severities = Annotated[list[Annotated[str, _known(vocabulary.severity)]], _AT_MOST]
EventTypes = Annotated[list[EventType], _AT_MOST]
HttpHeaders = Annotated[list[dict[str, str]], AfterValidator(_headers)]
RetryPolicyName = Literal[
    "TerminateAfterRetries",
    "SuspendRetries",
    "RetryForever",
    "RetryForeverWithBackoff",
]


class OriginRef(IdRef):
    """A reference to a resource that this service may have."""

    odata_id: Annotated[str, _known(vocabulary.origin)] = Field(alias="@odata.id")


class EventServiceChange(RequestBody):
    """PATCH of the EventService. Only what was given counts."""

    model_config = ConfigDict(extra="forbid")

    service_enabled: bool = True


class SubscriptionChange(RequestBody):
    """PATCH of an EventDestination: what the schema lets clients write."""

    model_config = ConfigDict(extra="forbid")

    context: Text | None = None
    http_headers: HttpHeaders | None = None
    verify_certificate: bool = False
    delivery_retry_policy: RetryPolicyName = "TerminateAfterRetries"

    @property
    def headers(self) -> dict[str, str]:
        """The headers by their names."""
        return {name: each[name] for each in self.http_headers or () for name in each}


class NewSubscriptionBody(SubscriptionChange):
    """POST to Subscriptions: what RequiredOnCreate says has to be there."""

    destination: Annotated[
        str, StringConstraints(max_length=2048), AfterValidator(_destination)
    ]
    protocol: Literal["Redfish"]
    name: Annotated[Text, StringConstraints(min_length=1, max_length=255)] | None = None
    subscription_type: Literal["RedfishEvent"] = "RedfishEvent"
    event_format_type: Literal["Event"] = "Event"
    registry_prefixes: RegistryPrefixes = []
    message_ids: MessageIds = []
    exclude_registry_prefixes: RegistryPrefixes = []
    exclude_message_ids: MessageIds = []
    resource_types: ResourceTypes = []
    origin_resources: Annotated[list[OriginRef], _AT_MOST] = []
    subordinate_resources: bool = False
    severities: Severities = []
    event_types: EventTypes = []
    include_origin_of_condition: Literal[False] = False
    send_heartbeat: bool = False
    heartbeat_interval_minutes: Annotated[int, Field(ge=1, le=65535)] = 60

    @property
    def filters(self) -> EventFilter:
        """What the subscription asks for."""
        return EventFilter(
            registry_prefixes=tuple(self.registry_prefixes),
            message_ids=tuple(self.message_ids),
            exclude_registry_prefixes=tuple(self.exclude_registry_prefixes),
            exclude_message_ids=tuple(self.exclude_message_ids),
            resource_types=tuple(self.resource_types),
            origins=tuple(each.odata_id for each in self.origin_resources),
            subordinate_resources=self.subordinate_resources,
            severities=tuple(self.severities),
            kinds=tuple(self.event_types),
        )

    @property
    def conflict(self) -> tuple[str, str] | None:
        """Two properties that cannot both be meant."""
        ids = {short_message_id(each) for each in self.message_ids}
        if ids & {short_message_id(each) for each in self.exclude_message_ids}:
            return "MessageIds", "ExcludeMessageIds"
        if set(self.registry_prefixes) & set(self.exclude_registry_prefixes):
            return "RegistryPrefixes", "ExcludeRegistryPrefixes"
        given = "heartbeat_interval_minutes" in self.model_fields_set
        if given and not self.send_heartbeat:
            return "HeartbeatIntervalMinutes", "SendHeartbeat"
        return None


class ResumeBody(RequestBody):
    """Parameters of EventDestination.ResumeSubscription."""

    model_config = ConfigDict(extra="forbid")

    deliver_buffered_event_duration: (
        Annotated[
            str,
            StringConstraints(max_length=64, pattern=_DURATION),
            _read_by(_SPAN),
        ]
        | None
    ) = None

    @property
    def deliver_since(self) -> timedelta | None:
        """How old an event may be that is still delivered; None for any age."""
        text = self.deliver_buffered_event_duration
        return None if text is None else _SPAN.validate_python(text)


class SubmittedEvent(RequestBody):
    """Parameters of EventService.SubmitTestEvent."""

    model_config = ConfigDict(extra="forbid")

    message_id: Annotated[
        str, StringConstraints(max_length=255, pattern=r"^\w+\.\d+\.\d+\.\w+$")
    ]
    message: Annotated[str, StringConstraints(max_length=4096)] | None = None
    message_args: Annotated[list[Text], Field(max_length=20)] | None = None
    message_severity: Literal["OK", "Warning", "Critical"] | None = None
    severity: Literal["OK", "Warning", "Critical"] | None = None
    event_type: EventType | None = None
    event_id: Annotated[Text, StringConstraints(max_length=255)] | None = None
    event_timestamp: (
        Annotated[str, StringConstraints(pattern=_TIMESTAMP), _read_by(_MOMENT)] | None
    ) = None
    event_group_id: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    origin_of_condition: (
        Annotated[str, StringConstraints(max_length=1024, pattern=r"^/[\x21-\x7e]*$")]
        | None
    ) = None
