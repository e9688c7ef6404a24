"""Where a page of tasks begins, as a link says it that nobody else can make up."""

import base64
import json
from dataclasses import dataclass

from api.task_conditions import bad_value
from taskfish.encryption import Keyring
from taskfish.errors import UndecryptableError

SKIP_TOKEN = "$skiptoken"
PURPOSE = b"pages"
"""What the tokens of pages are sealed for."""


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind Temporal's token, or at its list's beginning.

    `shown` are tasks that earlier pages have shown before visibility knew of them;
    `pending` are those that there was no room for yet.
    """

    token: bytes | None = None
    shown: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()


class Places:
    """Seals and opens the places of pages."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring.bound_to(PURPOSE)

    def sealed(self, place: Place) -> str:
        """Return a place as it goes out."""
        inner = base64.b64encode(place.token).decode() if place.token else None
        written = json.dumps([inner, place.shown, place.pending]).encode()
        return base64.urlsafe_b64encode(self._keyring.seal(written)).decode()

    def opened(self, token: str) -> Place:
        """Return the place of a token; raise 400 for one that is none."""
        try:
            sealed = base64.b64decode(token, altchars=b"-_", validate=True)
            inner, shown, pending = json.loads(self._keyring.open(sealed))
        except (ValueError, UndecryptableError) as error:
            how = "Follow Members@odata.nextLink as it stands."
            raise bad_value(SKIP_TOKEN, token, how) from error
        token_bytes = base64.b64decode(inner) if inner else None
        return Place(token_bytes, tuple(shown), tuple(pending))
