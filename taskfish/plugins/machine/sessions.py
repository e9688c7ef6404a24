"""Who may talk to a machine: accounts by password, and sessions by token."""

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from taskfish.plugins.machine.answers import unauthorized
from taskfish.plugins.machine.modes import Modes

MOST_SESSIONS = 200
"""More sessions than these push out the oldest one."""


@dataclass
class Session:
    """One login."""

    id: str
    user_name: str
    token: str
    opened: float
    requests: int = 0


class Sessions:
    """The open sessions of one service; modes say when their tokens expire."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.by_id: dict[str, Session] = {}
        self._clock = clock
        self._next = 1

    def open(self, user_name: str) -> Session:
        """Start a session for somebody whose password was right."""
        session = Session(
            str(self._next), user_name, secrets.token_hex(16), self._clock()
        )
        self._next += 1
        self.by_id[session.id] = session
        if len(self.by_id) > MOST_SESSIONS:
            del self.by_id[next(iter(self.by_id))]
        return session

    def use(self, token: str, modes: Modes) -> bool:
        """Count one request under a token; False if it is unknown or expired."""
        session = next((s for s in self.by_id.values() if s.token == token), None)
        if session is None:
            return False
        session.requests += 1
        age = self._clock() - session.opened
        too_old = modes.token_lifetime is not None and age >= modes.token_lifetime
        used_up = (
            modes.token_requests is not None and session.requests > modes.token_requests
        )
        if too_old or used_up:
            del self.by_id[session.id]
            return False
        return True

    def forget(self) -> None:
        """End every session, as a restart does."""
        self.by_id.clear()


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return user name and password of a Basic header, None if it is not one."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user_name, colon, password = text.partition(":")
    return (user_name, password) if colon else None


def authenticate(
    headers: Mapping[str, str],
    accepts: Callable[[str, str], bool],
    sessions: Sessions,
    modes: Modes,
) -> None:
    """Raise a 401 unless token or password are good, or none is required."""
    if not modes.auth_required:
        return
    token = headers.get("x-auth-token")
    if token is not None:
        if not sessions.use(token, modes):
            raise unauthorized()
        return
    credentials = basic_credentials(headers.get("authorization", ""))
    if credentials is None or not accepts(*credentials):
        raise unauthorized()
