"""What a source's events are read for: which of its tasks they name, and no more.

An event may be lost, early, double or forged. It says when to ask for a task, never how
that went, so a name is all that is taken from it.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from taskfish.redfish.json_values import check_encodable

MOST_NAMES = 256
"""How many tasks one payload names at most; it is polling that finds the others."""
LONGEST_NAME = 255
_TASK_EVENT = "TaskEvent."
_OF_TASKS = re.compile(
    r"/(?:TaskService/Tasks|TaskMonitors|taskmon)/([^/?#]+)", re.IGNORECASE
)


def task_name(uri: str) -> str:
    """Return what a Task's URI, its monitor's and its bare id have in common: the id.

    Shape: `t1` for `/taskmon/t1`, `https://10.24.0.4/redfish/v1/TaskService/Tasks/t1`
    and `t1`; for a URI of another form its last segment, "" for none.
    """
    found = _OF_TASKS.search(uri)
    if found is not None:
        return found[1]
    path = re.split(r"[?#]", uri, maxsplit=1)[0]
    return path.rstrip("/").rpartition("/")[2]


def decoded(content: bytes) -> dict[str, JsonValue]:
    """Return the JSON object that was sent; ValueError if it is none, or has text that
    could not be kept.
    """
    try:
        value: JsonValue = json.loads(content)
        check_encodable(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def opened(payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the Event in ODIM's envelope, or what is no envelope as it is.

    An envelope is `{"ip", "request", "eventType"}`, its `request` the base64 of the
    Event's JSON (southbound.md A6). Raises ValueError if that cannot be read.
    """
    request = payload.get("request")
    if not isinstance(request, str) or "Events" in payload:
        return payload
    try:
        return decoded(base64.b64decode(request, validate=True))
    except binascii.Error as error:
        raise ValueError("not base64") from error


def named_tasks(event: dict[str, JsonValue]) -> tuple[str, ...]:
    """Return the names of the tasks that an Event is about, each once.

    A record names them in `MessageArgs[0]` of a TaskEvent (an id or a URI) and in
    `OriginOfCondition`, if that is a task's. A name that is too long, or has control
    characters, is left out. Raises ValueError for what is no Event.
    """
    records = event.get("Events")
    if not isinstance(records, list):
        raise ValueError("no Events")
    names = (name for record in records for name in _names(record))
    return tuple(dict.fromkeys(filter(_is_good, names)))[:MOST_NAMES]


def _is_good(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def _names(record: JsonValue) -> Iterator[str]:
    if not isinstance(record, dict):
        return
    arguments = record.get("MessageArgs")
    is_of_task = str(record.get("MessageId")).startswith(_TASK_EVENT)
    if is_of_task and isinstance(arguments, list) and arguments:
        yield task_name(str(arguments[0]))
    origin = record.get("OriginOfCondition")
    uri = origin.get("@odata.id") if isinstance(origin, dict) else origin
    if isinstance(uri, str) and _OF_TASKS.search(uri):
        yield task_name(uri)
