"""Transcripts in a document: requests with their answers, which must be true.

A block of the language `http` is one request and, after an empty line, its answer: each
a first line, headers and a line of JSON. `after=2` lets so many seconds pass before it;
`event` says that it is what a subscriber gets. `…` stands for what changes each time.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ANYTHING = "…"
_BLOCK = re.compile(r"^```http(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.M)


@dataclass(frozen=True)
class Part:
    """A request or an answer; `line` is `POST /path` or `202`."""

    line: str
    headers: dict[str, str]
    body: Any

    def is_shown_by(self, line: str, headers: dict[str, str], body: Any) -> bool:
        """Whether this is what was said, as far as it is written out here."""
        named = all(
            _fits(text, headers.get(name)) for name, text in self.headers.items()
        )
        told = self.body is None or _fits(self.body, body)
        return self.line == line and named and told


@dataclass(frozen=True)
class Transcript:
    """One block."""

    asked: Part
    answered: Part
    after: float
    is_event: bool


def transcripts(document: str) -> Iterator[Transcript]:
    """Yield the transcripts of a document, in their order."""
    for block in _BLOCK.finditer(document):
        asked, _, answered = block["text"].partition("\n\n")
        after = re.search(r"after=([0-9.]+)", block["info"])
        yield Transcript(
            asked=_part(asked),
            answered=_part(answered),
            after=float(after[1]) if after else 0,
            is_event="event" in block["info"],
        )


def _part(text: str) -> Part:
    first, *rest = text.strip().splitlines()
    body = [line for line in rest if line.startswith(("{", '"', " "))]
    pairs = (line.partition(": ") for line in rest if line not in body)
    return Part(
        line=first,
        headers={name.lower(): value for name, _, value in pairs},
        body=json.loads(" ".join(body)) if body else None,
    )


def _fits(written: Any, found: Any) -> bool:
    if written == ANYTHING:
        return True
    if isinstance(written, dict):
        same = isinstance(found, dict) and written.keys() == found.keys()
        return same and all(_fits(written[name], found[name]) for name in written)
    if isinstance(written, list):
        same = isinstance(found, list) and len(written) == len(found)
        return same and all(map(_fits, written, found))
    return bool(written == found)
