"""Messages of a source, read however carelessly they were made."""

from pydantic import JsonValue

from taskfish.redfish.messages import (
    BASE,
    REGISTRIES,
    TASK_EVENT,
    Entry,
    Message,
    Severity,
    filled,
)

MAX_MESSAGES = 100
"""How many messages of one Task are kept: the newest."""
_SEVERITIES: dict[str, Severity] = {
    "ok": "OK",
    "warning": "Warning",
    "critical": "Critical",
}


def messages_of(body: JsonValue) -> tuple[Message, ...]:
    """Return the messages in a body, in our form however carelessly they were made."""
    return tuple(_message(item) for item in message_objects(body)[-MAX_MESSAGES:])


def message_objects(body: JsonValue) -> list[dict[str, JsonValue]]:
    """Return the Message objects of a Task, an error or an extended information body.

    Plain strings in their place become objects with a Message.
    """
    found = _objects(body).get("Messages")
    for holder in (_objects(body), _objects(_objects(body).get("error"))):
        found = found or holder.get("@Message.ExtendedInfo")
    # Some services send one object where the schema has a list.
    items = found if isinstance(found, list) else [found]
    return [
        item if isinstance(item, dict) else {"Message": item}
        for item in items
        if item and isinstance(item, dict | str)
    ]


def severity_of(value: JsonValue) -> Severity:
    """Return a severity in our form; OK for what is none."""
    return _SEVERITIES.get(str(value).lower(), "OK")


def task_event_of(message: Message) -> str | None:
    """Return the key of a TaskEvent message of any version, None for any other."""
    message_id = message.message_id
    return message_id.rpartition(".")[2] if _is_task_event(message_id) else None


def _message(foreign: dict[str, JsonValue]) -> Message:
    message_id = _text(foreign.get("MessageId")) or f"{BASE}.GeneralError"
    arguments = tuple(_strings(foreign.get("MessageArgs")))
    entry = _entry(message_id)
    text = entry.text if entry else message_id
    words = _text(foreign.get("Message")) or filled(text, arguments)
    return Message(
        message_id=message_id,
        message=words,
        message_args=arguments,
        severity=_severity(foreign, message_id),
        resolution=_text(foreign.get("Resolution")),
        related_properties=tuple(_strings(foreign.get("RelatedProperties"))),
    )


def _severity(foreign: dict[str, JsonValue], message_id: str) -> Severity:
    """Return the severity that is given, else the one that TaskEvent has for the key:
    by that a task's end is known.
    """
    given = foreign.get("MessageSeverity") or foreign.get("Severity")
    entry = _entry(message_id)
    if given is None and entry is not None and _is_task_event(message_id):
        return entry.severity
    return severity_of(given)


def _entry(message_id: str) -> Entry | None:
    """Return the entry that a message id has in our registries, of any version."""
    registry, _, key = message_id.rpartition(".")
    for name, entries in REGISTRIES.items():
        if _family(name) == _family(registry):
            return entries.get(key)
    return None


def _is_task_event(message_id: str) -> bool:
    return _family(message_id) == _family(TASK_EVENT)


def _family(registry: str) -> str:
    return registry.partition(".")[0]


def _objects(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _strings(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
