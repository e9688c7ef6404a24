"""What the lines that DMTF's validators end with mean."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

TOOLS = ("protocol", "service", "interop")
_NUMBERS = re.compile(
    r"(?P<tool>\w+) pass=\d+ warn=\d+ fail=(?P<fail>\d+) nottested=\d+"
)


@dataclass(frozen=True)
class Verdict:
    """How one run of the validators came out, `complaints` in words for people."""

    complaints: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the service."""
        return not self.complaints


def verdict(printed: Iterable[str], wanted: Iterable[str] = TOOLS) -> Verdict:
    """Judge what the run printed.

    A tool that gave no numbers has tested nothing, which is no success.
    """
    failed = {
        match["tool"]: int(match["fail"])
        for match in map(_NUMBERS.fullmatch, printed)
        if match
    }
    complaints = []
    for tool in wanted:
        if tool not in failed:
            complaints.append(f"{tool}: no numbers")
        elif failed[tool]:
            complaints.append(f"{tool}: {failed[tool]} failed")
    return Verdict(tuple(complaints))
