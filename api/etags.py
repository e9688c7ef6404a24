"""ETags of the gateway's own resources, and If-Match (DSP0266, ETags)."""

import hmac
import json
from collections.abc import Sequence

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from api.errors import refuse
from taskfish.redfish.resources import RedfishModel


def etag_of(resource: RedfishModel, key: str = "", revision: int = 0) -> str:
    """Return a strong ETag: it changes with anything that a GET shows.

    With the `revision` it changes too with what no GET shows, a password; under a
    secret `key` it tells nothing of the resource to who may not read it.
    """
    text = json.dumps([revision, resource.to_json()], sort_keys=True)
    return f'"{hmac.digest(key.encode(), text.encode(), "sha256").hex()[:32]}"'


def wanted_etags(request: Request) -> frozenset[str] | None:
    """Return the ETags that If-Match lists, None if any version will do.

    `*` means that only where it stands alone (RFC 9110 13.1.1). A weak ETag is taken
    for the strong one that it was: a proxy that compresses answers makes it weak.
    """
    given = request.headers.getlist("If-Match")
    if not given or [value.strip() for value in given] == ["*"]:
        return None
    tags = ",".join(given).split(",")
    return frozenset(tag.strip().removeprefix("W/") for tag in tags)


def check_if_match(request: Request, etag: str) -> None:
    """Raise 412 unless If-Match, where given, names the resource as it is now."""
    wanted = wanted_etags(request)
    if wanted is not None and etag not in wanted:
        raise refuse("PreconditionFailed")


def versioned_response(
    resource: RedfishModel,
    etag: str,
    allowed: Sequence[str],
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a resource with its ETag, in the header and in the body."""
    return JSONResponse(
        {**resource.to_json(), "@odata.etag": etag},
        status_code=status,
        headers={"Allow": ", ".join(allowed), "ETag": etag, **(headers or {})},
    )
