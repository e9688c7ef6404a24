"""Which URIs a step may have: those of what the sources have, and no ambiguous ones."""

import re

from taskfish.redfish.links import ROOT, is_ambiguous, member_of
from taskfish.redfish.operations import composite_at
from taskfish.redfish.resources import SIMPLE_UPDATE

LONGEST_URI = 255
"""Characters: more cannot be looked for (contracts.md 1)."""
_OF_THE_GATEWAY = re.compile(rf"{ROOT}/.+/Oem/Taskfish/.*")


def uri_fault(uri: str) -> str:
    """Return why no step may have a URI, in words; empty for one that it may have."""
    if not uri.startswith(f"{ROOT}/") or is_ambiguous(uri) or re.search("[?#]", uri):
        return f"{uri[:LONGEST_URI]} is no path of a resource"
    if len(uri) > LONGEST_URI:
        return f"the URI is longer than {LONGEST_URI} characters"
    if uri == SIMPLE_UPDATE or composite_at(uri) is not None:
        return ""
    if member_of(uri) is None or _OF_THE_GATEWAY.fullmatch(uri):
        return (
            f"{uri} is no resource of a machine: steps work on what AggregationSources "
            "have"
        )
    return ""
