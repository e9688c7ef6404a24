"""ETags of the gateway's own resources, If-Match and If-None-Match (DSP0266, ETags)."""

import hmac
import json
import re
from collections.abc import Sequence

from fastapi import Request
from fastapi.responses import Response

from api.errors import refuse
from api.responses import json_response
from taskfish.redfish.resources import RedfishModel

LONGEST_LIST = 1000
"""Characters of an If-Match: nobody has read so many versions of a resource."""
_LIST = re.compile(rf"[\x20-\x7e]{{0,{LONGEST_LIST}}}")
_TAG = re.compile(r'(?:^|,)\s*(?:W/)?("[^"]*"|[^\s,"]+)\s*(?=,|$)')
"""A tag, without the mark of a weak one. BMCs also make some without quotes. What is
longer than a tag is none: `"1"x` is not version "1"."""


def etag_of(resource: RedfishModel, key: str = "", revision: int = 0) -> str:
    """Return a strong ETag: it changes with anything that a GET shows.

    With the `revision` it changes too with what no GET shows, a password; under a
    secret `key` it tells nothing of the resource to who may not read it.
    """
    text = json.dumps([revision, resource.to_json()], sort_keys=True)
    return f'"{hmac.digest(key.encode(), text.encode(), "sha256").hex()[:32]}"'


def etags_in(text: str) -> frozenset[str]:
    """Return the tags of a list, as strong ones.

    A weak ETag is taken for the strong one that it was: a proxy that compresses
    answers makes it weak.
    """
    return frozenset(_TAG.findall(text))


def if_match(request: Request) -> str | None:
    """Return If-Match as one list, None without it; raise 400 if it is none.

    An empty list names no version: 412, and no unconditional change.
    """
    given = request.headers.getlist("If-Match")
    if not given:
        return None
    text = ", ".join(value.strip() for value in given)
    if not _LIST.fullmatch(text):
        how = f"Send '*' or a list of ETags of at most {LONGEST_LIST} characters."
        raise refuse("HeaderInvalid", "If-Match", resolution=how)
    if not text.strip(", "):
        raise refuse("PreconditionFailed")
    return text


def wanted_etags(request: Request) -> frozenset[str] | None:
    """Return the ETags that If-Match lists, None if any version will do.

    `*` means that only where it stands alone (RFC 9110 13.1.1).
    """
    text = if_match(request)
    return None if text is None or text == "*" else etags_in(text)


def check_if_match(request: Request, etag: str) -> None:
    """Raise 412 unless If-Match, where given, names the resource as it is now."""
    wanted = wanted_etags(request)
    if wanted is not None and etag not in wanted:
        raise refuse("PreconditionFailed")


def is_known(etag: str, if_none_match: Sequence[str]) -> bool:
    """Say whether the client has this version already (RFC 9110 13.1.2)."""
    listed = etags_in(",".join(if_none_match))
    return bool(etag) and (listed == {"*"} or bool(etags_in(etag) & listed))


def versioned_response(
    resource: RedfishModel,
    etag: str,
    allowed: Sequence[str],
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a resource with its ETag, in the header and in the body."""
    return json_response(
        {**resource.to_json(), "@odata.etag": etag},
        status,
        {"Allow": ", ".join(allowed), "ETag": etag, **(headers or {})},
    )
