"""How many events go in one payload: at most 1 MiB of JSON (DSP0266, event service)."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from taskfish.redfish.events import LoggedEvent, event_frame

MOST_BYTES = 1 << 20
MOST_EVENTS = 100
MOST_TEXT = 4096
"""Characters that are left of a text in an event that alone would be too long."""
MOST_ARGUMENTS = 9
"""A registry's text has places for so many."""


class Batch(NamedTuple):
    """An Event as it is sent, and how many events are in it."""

    content: bytes
    number: int


def batch_of(events: Sequence[LoggedEvent], context: str) -> Batch:
    """Return the first of some events, as many as one payload may hold.

    One is in it always: what alone would be too long has its texts cut, and they say
    so.
    """
    longest_id = max((each.event_id for each in events[:MOST_EVENTS]), key=len)
    frame = _json(event_frame(events[0], context) | {"Id": longest_id, "Events": []})
    left, records = MOST_BYTES - len(frame), list[bytes]()
    for number, logged in enumerate(events[:MOST_EVENTS]):
        record = _json(logged.record(number))
        if len(record) > left and not records:
            record = _json(_cut(logged.record(number)))
        if len(record) > left:
            break
        left -= len(record) + len(b",")
        records.append(record)
    frame = _json(event_frame(events[len(records) - 1], context))
    begin = frame.removesuffix(b"}") + b',"Events":['
    return Batch(begin + b",".join(records) + b"]}", len(records))


def _cut(record: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: _shortened(value) for name, value in record.items()}


def _shortened(value: JsonValue) -> JsonValue:
    if isinstance(value, str) and len(value) > MOST_TEXT:
        return f"{value[:MOST_TEXT]}… (cut: it has {len(value)} characters)"
    if isinstance(value, list):
        return [_shortened(each) for each in value[:MOST_ARGUMENTS]]
    return value


def _json(value: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
