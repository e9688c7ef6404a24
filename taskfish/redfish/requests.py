"""What clients may send: bodies checked before anything starts.

Only what the schemas say is checked here; what a source may add passes through. The
checks are strict: "1" is no number.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cryptography.x509 import load_pem_x509_certificates
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_pascal
from pydantic_core import PydanticCustomError

from taskfish.redfish.messages import Message, base_message
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.secrecy import MASK, is_secret_name, masked
from taskfish.redfish.sources import SOURCE_ID, fingerprint, place_of
from taskfish.redfish.tags import Tags

MOST_FAULTS = 100
"""How many faults of a body a refusal tells of."""
_SHOWN_VALUE = 80
_BOUNDS = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "min_length": "at least",
    "max_length": "at most",
}
"""The limits that pydantic names, and what they say."""
SOURCE_READ_ONLY = frozenset(
    {"@odata.id", "@odata.type", "Id", "Name", "HostName", "Links", "Status"}
)
"""Properties of an AggregationSource that a PATCH does not change."""
TASK_SERVICE_READ_ONLY = frozenset(
    {
        *("Actions", "DateTime", "Description", "Id", "Name", "Oem", "Status", "Tasks"),
        *("CompletedTaskOverWritePolicy", "LifeCycleEventOnTaskStateChange"),
    }
)
"""Properties of the TaskService that a PATCH does not change."""
_MOST = 2**31 - 1
PRINTABLE = r"^\P{Cc}*$"
"""No control characters: PostgreSQL stores no NUL, and Basic carries none."""


class RequestBody(BaseModel):
    """Unknown properties pass through to the source."""

    model_config = ConfigDict(strict=True, extra="allow", alias_generator=to_pascal)


def _one_of(enumeration: str) -> AfterValidator:
    """Check that a string is a value of an enumeration of the schemas."""
    allowed = SCHEMA.enumerations[enumeration]

    def check(value: str) -> str:
        if value not in allowed:
            listed = {"expected": ", ".join(allowed)}
            raise PydanticCustomError("literal_error", "not an allowed value", listed)
        return value

    return AfterValidator(check)


def _shown(enumeration: str) -> WithJsonSchema:
    """Let the schema of a body list the values of an enumeration."""
    return WithJsonSchema(
        {"type": "string", "enum": list(SCHEMA.enumerations[enumeration])}
    )


ResetType = Annotated[str, _one_of("ResetType"), _shown("ResetType")]
RaidType = Annotated[str, _one_of("RAIDType"), _shown("RAIDType")]
TransferProtocol = Annotated[
    str, _one_of("TransferProtocolType"), _shown("TransferProtocolType")
]


class IdRef(RequestBody):
    """A reference in a request."""

    odata_id: str = Field(alias="@odata.id")


class VolumeLinks(RequestBody):
    """Volume.Links of a creation."""

    drives: list[IdRef] | None = None


class ResetBody(RequestBody):
    """Parameters of the Reset actions."""

    reset_type: ResetType | None = None


class VolumeBody(RequestBody):
    """A new volume."""

    name: str | None = None
    raid_type: RaidType | None = Field(default=None, alias="RAIDType")
    capacity_bytes: int | None = Field(default=None, ge=0)
    links: VolumeLinks | None = None


class SimpleUpdateBody(RequestBody):
    """Parameters of UpdateService.SimpleUpdate."""

    image_uri: str = Field(alias="ImageURI")
    transfer_protocol: TransferProtocol | None = None
    targets: list[str] | None = None


class InsertMediaBody(RequestBody):
    """Parameters of VirtualMedia.InsertMedia."""

    image: str
    inserted: bool | None = None
    write_protected: bool | None = None


class BiosBody(RequestBody):
    """A change of BIOS settings."""

    attributes: dict[str, JsonValue] | None = None


class SystemBody(RequestBody):
    """A change of a system."""

    boot: dict[str, JsonValue] | None = None


_BODIES: Mapping[str, type[RequestBody]] = {
    "ComputerSystem.Reset": ResetBody,
    "Chassis.Reset": ResetBody,
    "Manager.Reset": ResetBody,
    "Volume.Create": VolumeBody,
    "UpdateService.SimpleUpdate": SimpleUpdateBody,
    "VirtualMedia.InsertMedia": InsertMediaBody,
    "Bios.Update": BiosBody,
    "ComputerSystem.Update": SystemBody,
}


class SourceLinks(RequestBody):
    """Links of a new AggregationSource."""

    model_config = ConfigDict(extra="forbid")

    connection_method: IdRef


def _certificate(pem: str) -> str:
    """Check that a text is one or more certificates in PEM."""
    try:
        load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise PydanticCustomError("string_pem", "no certificate") from error
    return pem


def _fingerprint(text: str) -> str:
    """Check that a text is a SHA-256 fingerprint; return it as it is kept."""
    try:
        return fingerprint(text)
    except ValueError as error:
        raise PydanticCustomError("string_fingerprint", "no SHA-256") from error


class SourceOem(RequestBody):
    """Oem.Taskfish of an AggregationSource request."""

    model_config = ConfigDict(extra="forbid")

    odata_type: str | None = Field(default=None, alias="@odata.type")
    plugin: IdRef | None = None
    plugin_auth: Literal["Basic", "XAuthToken"] | None = None
    instances: list[str] | None = None
    verify_certificate: bool | None = None
    ca_certificate: Annotated[str, AfterValidator(_certificate)] | None = Field(
        default=None, alias="CACertificate"
    )
    fingerprint: Annotated[str, AfterValidator(_fingerprint)] | None = None
    max_concurrent_requests: int | None = Field(default=None, ge=1, le=64)
    poll_seconds: float | None = Field(default=None, ge=0.05, le=3600)
    adopt_tasks: bool | None = None


class SourceOemHolder(RequestBody):
    """Oem of an AggregationSource request; other vendors' parts are ignored."""

    taskfish: SourceOem | None = None


class SourceChange(RequestBody):
    """PATCH of an AggregationSource."""

    model_config = ConfigDict(extra="forbid")

    user_name: Annotated[str, Field(max_length=255, pattern=PRINTABLE)] | None = None
    password: SecretStr | None = None
    oem: SourceOemHolder | None = None


class RemovalOem(RequestBody):
    """Oem.Taskfish of a removal."""

    model_config = ConfigDict(extra="forbid")

    force: bool | None = None


class RemovalOemHolder(RequestBody):
    """Oem of a removal; other vendors' parts are ignored."""

    taskfish: RemovalOem | None = None


class SourceRemoval(RequestBody):
    """DELETE of an AggregationSource; its body is optional."""

    model_config = ConfigDict(extra="forbid")

    oem: RemovalOemHolder | None = None


def _reachable(host_name: str) -> str:
    """Check what the pattern cannot: the port's range and an IPv6 address."""
    try:
        place_of(host_name)
    except ValueError as error:
        raise PydanticCustomError("string_host", "not a host") from error
    return host_name


class NewSourceBody(SourceChange):
    """POST to AggregationSources."""

    id: str | None = Field(default=None, pattern=f"^{SOURCE_ID.pattern}$")
    name: (
        Annotated[str, Field(min_length=1, max_length=128, pattern=PRINTABLE)] | None
    ) = None
    host_name: Annotated[str, AfterValidator(_reachable)] = Field(
        min_length=1,
        max_length=255,
        pattern=r"^((?i:https?)://)?([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?/?$",
    )
    links: SourceLinks


class TagsBody(RequestBody):
    """Parameters of Taskfish.SetTags."""

    model_config = ConfigDict(extra="forbid")

    tags: Tags


class PauseBeforeBody(RequestBody):
    """Parameters of Taskfish.PauseBefore."""

    model_config = ConfigDict(extra="forbid")

    steps: list[str] = Field(min_length=1)


class TaskServiceBody(RequestBody):
    """PATCH of the TaskService: minutes, seconds."""

    model_config = ConfigDict(extra="forbid")

    task_auto_delete_timeout_minutes: int = Field(default=1, ge=1, le=_MOST)
    task_monitor_auto_expiry_seconds: int = Field(default=0, ge=0, le=_MOST)
    service_enabled: bool = True


def check_body(operation: str, body: JsonValue) -> list[Message]:
    """Return what is wrong with the body of an operation; empty if nothing is known."""
    model = _BODIES.get(operation)
    if model is None:
        return []
    try:
        model.model_validate(body)
    except ValidationError as error:
        action = operation if _is_action(operation) else None
        return messages_of(error, action)
    return []


def messages_of(
    error: ValidationError,
    action: str | None = None,
    read_only: frozenset[str] = frozenset(),
) -> list[Message]:
    """Turn what a model refused into messages; of an action's parameters if given.

    Of many faults the first ones tell enough: a body may have a hundred thousand.
    """
    messages: list[Message] = []
    for problem in error.errors(include_url=False)[: 2 * MOST_FAULTS]:
        name = "/".join(str(part) for part in problem["loc"])
        value = shown_value(name, problem["input"])
        kind = problem["type"]
        if kind == "extra_forbidden" and name in read_only:
            kind = "read_only"
        message = _message(kind, name, value, action)
        if how := _how_to_choose(kind, problem.get("ctx", {})):
            message = message.model_copy(update={"resolution": how})
        if message not in messages:
            messages.append(message)
    return messages[:MOST_FAULTS]


def _how_to_choose(kind: str, limits: Mapping[str, Any]) -> str:
    """Return what may be chosen, from what pydantic says of a value's limits; empty
    where there are none.
    """
    if allowed := limits.get("expected"):
        return f"Choose one of: {allowed}."
    what = "The value"
    if limits.keys() & {"min_length", "max_length"}:
        parts = "characters" if kind.startswith("string") else "elements"
        what = f"The number of its {parts}"
    found = [
        f"{words} {limits[key]}" for key, words in _BOUNDS.items() if key in limits
    ]
    return f"{what} must be {' and '.join(found)}." if found else ""


def _message(kind: str, name: str, value: str, action: str | None) -> Message:
    related = () if action else (f"#/{name}",)
    if kind == "missing" and action:
        return base_message("ActionParameterMissing", action, name)
    if kind == "extra_forbidden" and action:
        return base_message("ActionParameterUnknown", action, name)
    if kind == "missing":
        return base_message("PropertyMissing", name, related=related)
    if kind == "read_only":
        return base_message("PropertyNotWritable", name, related=related)
    if kind == "extra_forbidden":
        return base_message("PropertyUnknown", name, related=related)
    if kind == "refused_value":
        return base_message("PropertyValueIncorrect", name, value, related=related)
    if kind == "literal_error":
        fault = "NotInList"
    elif kind.startswith(("greater_than", "less_than", "too_long", "too_short")):
        fault = "OutOfRange"
    elif kind.startswith("string_") and kind != "string_type":
        fault = "FormatError"
    else:
        fault = "TypeError"
    if action:
        return base_message(f"ActionParameterValue{fault}", value, name, action)
    return base_message(f"PropertyValue{fault}", value, name, related=related)


def _is_action(operation: str) -> bool:
    verb = operation.rpartition(".")[2]
    return verb not in ("Create", "Update", "Replace", "Delete")


def shown_value(name: str, value: JsonValue) -> str:
    """Return a short form of a value for a message: JSON, text without its quotes.

    `name` is the way to the value, `Attributes/AdminPw`; a secret is not shown.
    """
    secret = any(is_secret_name(part) for part in name.split("/"))
    if secret or masked(value) != value:
        return MASK
    if isinstance(value, str):
        return value[:_SHOWN_VALUE]
    return json.dumps(value, ensure_ascii=False)[:_SHOWN_VALUE]
