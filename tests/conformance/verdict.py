"""What the lines that DMTF's validators end with mean."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TOOLS = ("protocol", "service", "interop")
EXCEPTED: Mapping[str, str] = {
    "SERV_SSE_": "server-sent events come with the EventService, which is not there yet"
}
"""Assertions that may fail: the beginning of their names → why."""
_NUMBERS = re.compile(
    r"(?P<tool>\w+) pass=\d+ warn=\d+ fail=(?P<fail>\d+) nottested=\d+"
)
_FAILED = re.compile(r"FAIL (?P<name>\S+) x(?P<times>\d+) ")


@dataclass(frozen=True)
class Verdict:
    """How one run of the validators came out, `complaints` in words for people."""

    complaints: tuple[str, ...]
    excepted: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the service."""
        return not self.complaints


def verdict(
    printed: Iterable[str], protocol: Iterable[str], wanted: Iterable[str] = TOOLS
) -> Verdict:
    """Judge what the run printed, and the protocol validator's list of failures.

    A tool that gave no numbers has tested nothing, which is no success.
    """
    failed = {
        match["tool"]: int(match["fail"])
        for match in map(_NUMBERS.fullmatch, printed)
        if match
    }
    excepted, counted = [], 0
    for match in filter(None, map(_FAILED.match, protocol)):
        if match["name"].startswith(tuple(EXCEPTED)):
            excepted.append(match["name"])
            counted += int(match["times"])
    complaints = []
    for tool in wanted:
        allowed = counted if tool == "protocol" else 0
        if tool not in failed:
            complaints.append(f"{tool}: no numbers")
        elif failed[tool] > allowed:
            complaints.append(f"{tool}: {failed[tool] - allowed} failed")
    return Verdict(tuple(complaints), tuple(excepted))
