"""The versions of Ironic's API: what a request asks for, and what is spoken here.

A request that names none gets the lowest. What a later version has added to what is
served here is refused or left out below it, as in Ironic.
"""

import re

from fastapi import Request
from starlette.datastructures import Headers

from api.errors import refuse

VERSION = "X-OpenStack-Ironic-API-Version"
MINIMUM, MAXIMUM = (
    f"X-OpenStack-Ironic-API-{bound}-Version" for bound in ("Minimum", "Maximum")
)
LOWEST, HIGHEST = 1, 95
"""1.95 is the last version that says anything of power."""
NAMES, SOFT_POWER, NMI = 5, 27, 29
"""Since when nodes are found by name, and there are soft changes and NMIs."""
_VERSION = re.compile(r"(?P<major>[0-9]{1,4})\.(?P<minor>[0-9]{1,4})")


class UnspokenVersionError(Exception):
    """The request asks for a version that is not spoken here; the text says so."""


def shown(minor: int) -> str:
    """Return a version as headers and documents have it."""
    return f"1.{minor}"


def asked_version(headers: Headers) -> int:
    """Return the minor version that a request asks for.

    Raises `UnspokenVersionError` for one that is not spoken, or is none.
    """
    given = headers.get(VERSION, shown(LOWEST)).strip().lower()
    if given == "latest":
        return HIGHEST
    match = _VERSION.fullmatch(given)
    if match is None:
        raise UnspokenVersionError(f"Invalid value for {VERSION} header")
    if match["major"] == "1" and LOWEST <= int(match["minor"]) <= HIGHEST:
        return int(match["minor"])
    raise UnspokenVersionError(
        f"Mutually exclusive versions requested. Version {given} requested but not "
        "supported by this service. The supported version range is: "
        f"[{shown(LOWEST)}, {shown(HIGHEST)}]."
    )


def version_of(request: Request) -> int:
    """Return the minor version of a request that came through the door."""
    version: int = request.state.ironic_version
    return version


def require_version(request: Request, since: int) -> None:
    """Raise 406 for what the version of the request does not have yet."""
    if version_of(request) < since:
        how = f"Ask for version {shown(since)} or later in {VERSION}."
        raise refuse(
            "HeaderInvalid",
            VERSION,
            text="Request not acceptable.",
            resolution=how,
            status=406,
        )
