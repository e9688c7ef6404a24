"""Errors in Ironic's form: a JSON text within JSON, as its clients read it."""

import json
from http import HTTPStatus
from typing import Any


def fault_of(status: int, body: bytes) -> bytes:
    """Return the body of an error, made of that which the gateway has for it.

    The words are those of the first message; `debuginfo` is what to do about it.
    """
    message = _first_message(body)
    return _within(
        {
            "faultcode": "Server" if status >= 500 else "Client",
            "faultstring": message.get("Message", HTTPStatus(status).phrase),
            "debuginfo": message.get("Resolution"),
        }
    )


def version_fault(text: str) -> bytes:
    """Return the body of the 406 for a version that is not spoken here."""
    return _within({"code": 406, "title": "Not Acceptable", "description": text})


def _within(error: dict[str, Any]) -> bytes:
    return json.dumps({"error_message": json.dumps(error)}).encode()


def _first_message(body: bytes) -> dict[str, str]:
    """Return the first message of a Redfish error; empty for any other body."""
    try:
        found: dict[str, str] = json.loads(body)["error"]["@Message.ExtendedInfo"][0]
    except (ValueError, KeyError, IndexError, TypeError):
        return {}
    return found
