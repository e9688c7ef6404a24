"""What a client prefers: the Prefer header (RFC 7240), as far as it is honoured."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import Request

LONGEST_WAIT = 60
"""Seconds that a request waits at most, whatever it asks for (contracts.md 6)."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WORD = re.compile(rf'(?:{_TOKEN.pattern}|"(?:[^"\\]|\\.)*")?')
_SECONDS = re.compile(r"[0-9]{1,9}")
_LONGEST_HEADER = 1000
"""A longer one is not read: nobody prefers so much."""


@dataclass(frozen=True)
class Wait:
    """How many seconds an answer may take; `applied` is what Preference-Applied says.

    `applied` is None where the client prefers nothing.
    """

    seconds: float
    applied: str | None = None


def preferred_wait(request: Request) -> Wait | None:
    """Return how long the client wants to wait, None if it does not say so.

    `respond-async` without `wait` is not to wait at all. What cannot be read is
    ignored; of a preference that is there twice the first counts (RFC 7240 2).
    """
    preferences = read_preferences(request.headers.getlist("Prefer"))
    asked = preferences.get("wait")
    if asked is not None and _SECONDS.fullmatch(asked):
        seconds = min(int(asked), LONGEST_WAIT)
        return Wait(seconds, f"wait={seconds}")
    if "respond-async" in preferences:
        return Wait(0, "respond-async")
    return None


def note_applied(request: Request, wait: Wait) -> None:
    """Have the answer say which preference was honoured; `Front` adds the header."""
    request.state.preference_applied = wait.applied


def read_preferences(headers: Iterable[str]) -> dict[str, str]:
    """Return preference (in small letters) → value, empty for one without."""
    found: dict[str, str] = {}
    for header in (header for header in headers if len(header) <= _LONGEST_HEADER):
        for part in _split(header, ","):
            preference, *parameters = (_read(item) for item in _split(part, ";"))
            if preference and preference[0] and None not in parameters:
                found.setdefault(*preference)
    return found


def _split(text: str, separator: str) -> list[str]:
    """Split at separators outside quotes, looking at each character once."""
    parts, start, quoted, escaped = [], 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _read(item: str) -> tuple[str, str] | None:
    """Return name and value of a preference or one of its parameters.

    Both are empty for an empty item; None stands for what cannot be read.
    """
    name, _, value = (part.strip(" \t") for part in item.partition("="))
    if not item.strip(" \t"):
        return "", ""
    if not _TOKEN.fullmatch(name) or not _WORD.fullmatch(value):
        return None
    return name.lower(), _unquoted(value)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
