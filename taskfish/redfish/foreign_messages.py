"""Messages of a source, read however carelessly they were made."""

from pydantic import JsonValue

from taskfish.redfish.messages import BASE, REGISTRIES, Message, Severity, filled

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


def _message(foreign: dict[str, JsonValue]) -> Message:
    message_id = _text(foreign.get("MessageId")) or f"{BASE}.GeneralError"
    severity = foreign.get("MessageSeverity") or foreign.get("Severity")
    arguments = tuple(_strings(foreign.get("MessageArgs")))
    words = _text(foreign.get("Message")) or _words(message_id, arguments)
    return Message(
        message_id=message_id,
        message=words,
        message_args=arguments,
        severity=severity_of(severity),
        resolution=_text(foreign.get("Resolution")),
        related_properties=tuple(_strings(foreign.get("RelatedProperties"))),
    )


def _words(message_id: str, arguments: tuple[str, ...]) -> str:
    """Return the text that a message id has in our registries, else the id."""
    registry, _, key = message_id.rpartition(".")
    known = next(
        (
            names
            for name, names in REGISTRIES.items()
            if _family(name) == _family(registry)
        ),
        {},
    )
    return filled(known[key].text if key in known else message_id, arguments)


def _family(registry: str) -> str:
    return registry.partition(".")[0]


def _objects(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _strings(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
