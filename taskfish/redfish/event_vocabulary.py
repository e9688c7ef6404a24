"""What may be asked for of events: the values that filters take (EventService v1.12).

Each check returns the value as it is kept, or raises `UnknownValueError`.
"""

import re
from collections.abc import Iterable

from taskfish.redfish.event_filters import short_message_id
from taskfish.redfish.events import EventKind
from taskfish.redfish.inventory import COLLECTIONS
from taskfish.redfish.links import ROOT
from taskfish.redfish.manager_resources import GATEWAY_MANAGER
from taskfish.redfish.messages import REGISTRIES
from taskfish.redfish.schema import SCHEMA

REGISTRY_PREFIXES = tuple(sorted(name.partition(".")[0] for name in REGISTRIES))
MESSAGE_IDS = tuple(
    sorted(
        f"{name.partition('.')[0]}.{key}"
        for name, entries in REGISTRIES.items()
        for key in entries
    )
)
RESOURCE_TYPES = tuple(sorted({"EventService", "Manager", *SCHEMA.removable_types}))
"""What comes and goes, and what events are of besides."""
SEVERITIES = ("OK", "Warning", "Critical")
EVENT_TYPES = tuple(kind.value for kind in EventKind)
EVENT_FORMAT = "Event"
_SHOWN_IDS = 12
_MEMBER_OF_NOBODY = re.compile(rf"{ROOT}/({'|'.join(COLLECTIONS)})/[^/.]+(/.*)?")
"""Members of sources have a dot in their name (contracts.md 1)."""
_PATH = re.compile(r"[!-\x22$->@-~]+")
"""Printable, and without a query or a fragment."""
_OF_GATEWAY = re.compile(rf"{GATEWAY_MANAGER}(/.*)?")


class UnknownValueError(ValueError):
    """No event has such a value; `allowed` says in words which there are."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


def registry_prefix(value: str) -> str:
    """Check a registry's name, without a version."""
    return _one_of(value, REGISTRY_PREFIXES)


def message_id(value: str) -> str:
    """Check `TaskEvent.TaskStarted`, which may have a version in the middle."""
    if short_message_id(value) not in MESSAGE_IDS:
        prefix = value.partition(".")[0]
        its = [each for each in MESSAGE_IDS if each.startswith(f"{prefix}.")]
        if len(its) not in range(1, _SHOWN_IDS + 1):
            its = [f"{each}.…" for each in REGISTRY_PREFIXES]
        raise UnknownValueError(_listed(its))
    return value


def resource_type(value: str) -> str:
    """Check a type, without a version."""
    return _one_of(value, RESOURCE_TYPES)


def severity(value: str) -> str:
    """Check a severity."""
    return _one_of(value, SEVERITIES)


def event_type(value: str) -> str:
    """Check an event's type (deprecated in favour of its message and resource)."""
    return _one_of(value, EVENT_TYPES)


def origin(value: str) -> str:
    """Check that the service may have a resource at a URI; what is there changes."""
    uri = value.rstrip("/")
    is_nobodys = _MEMBER_OF_NOBODY.fullmatch(uri) and not _OF_GATEWAY.fullmatch(uri)
    if SCHEMA.kind_at(uri) is None or is_nobodys or not _PATH.fullmatch(uri):
        raise UnknownValueError("the @odata.id of a resource or a collection here")
    return uri


def _one_of(value: str, allowed: Iterable[str]) -> str:
    if value not in allowed:
        raise UnknownValueError(_listed(allowed))
    return value


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"'{each}'" for each in values)
