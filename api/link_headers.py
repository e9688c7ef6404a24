"""The Link header: which schema describes what an answer holds (DSP0266, 8.3)."""

from pydantic import JsonValue
from starlette.datastructures import MutableHeaders

from taskfish.redfish.published_files import schema_publication


def schema_link(body: JsonValue) -> str | None:
    """Return the Link to DMTF's JSON schema of a resource, of just its version.

    None for what DMTF has no schema of: another vendor's resource, an error.
    """
    odata_type = body.get("@odata.type") if isinstance(body, dict) else None
    published = schema_publication(odata_type) if isinstance(odata_type, str) else None
    return f"<{published}>; rel=describedby" if published else None


def add_link(headers: MutableHeaders, link: str) -> None:
    """Add a link to those that are there: one header holds them all (RFC 8288)."""
    before = headers.get("Link")
    headers["Link"] = f"{before}, {link}" if before else link
