"""What a source is told when the gateway subscribes to its events."""

import secrets

from pydantic import BaseModel, ConfigDict, SecretStr

RECEIVER = "/southbound/events"
"""The path at which the gateway takes events; the source's Id follows."""
TOKEN_HEADER = "X-Taskfish-Token"
CONTEXT = "taskfish"
"""The Context of a subscription whose token is in a header."""
REGISTRIES = ("TaskEvent", "ResourceEvent")
"""The registries whose messages are about tasks."""


class EventReceiver(BaseModel):
    """Where a source sends its events, and the token by which they are known."""

    model_config = ConfigDict(frozen=True)

    destination: str
    token: SecretStr


def event_receiver(public_url: str, source: str) -> EventReceiver:
    """Return the receiver for a source, with a new token."""
    return EventReceiver(
        destination=destination_of(public_url, source),
        token=SecretStr(secrets.token_urlsafe(32)),
    )


def destination_of(public_url: str, source: str) -> str:
    """Return the URL that a source sends its events to."""
    return f"{public_url}{RECEIVER}/{source}"
