"""Read a request's JSON body within its limits (contracts.md 8)."""

import json
import re

from fastapi import Depends, Request
from pydantic import JsonValue

from api.errors import refuse
from api.gateway import Gateway, gateway_of
from taskfish.redfish.json_values import check_encodable, finite_number, refuse_constant

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]*)', re.IGNORECASE)
_UTF_8 = {"utf-8", "utf8", "us-ascii"}


async def json_body(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> dict[str, JsonValue]:
    """Return the body, `{}` if there is none.

    Raises 413 for one that is too long, 415 for one that does not say it is JSON, or
    for none that says it is anything else (a page of another site can send that), 400
    for malformed JSON, a name that occurs twice, JSON nested too deeply and for
    anything but an object.
    """
    raw = await limited(request, gateway.settings.max_body_bytes)
    is_empty = not raw.strip()
    if not is_empty or "Content-Type" in request.headers:
        check_media_type(request)
    if is_empty:
        return {}
    try:
        body = parsed(raw)
    except ValueError as error:
        raise refuse("MalformedJSON") from error
    if not isinstance(body, dict):
        raise refuse("UnrecognizedRequestBody")
    if depth_of(body) > gateway.settings.max_json_depth:
        raise refuse("UnrecognizedRequestBody", text="The body is nested too deeply.")
    return body


def parsed(raw: bytes) -> JsonValue:
    """Return the value of a JSON text; raise ValueError for one that is malformed, has
    a name twice in an object, or could not be sent on.
    """
    try:
        value: JsonValue = json.loads(
            raw,
            parse_constant=refuse_constant,
            parse_float=finite_number,
            object_pairs_hook=_unique,
        )
        check_encodable(value)
    except RecursionError as error:
        raise ValueError("the text is nested too deeply") from error
    return value


async def limited(request: Request, limit: int) -> bytes:
    """Return the body as it came; raise 413 for one of more bytes than the limit."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise refuse(
                "PayloadTooLarge",
                text=f"The body is larger than {limit} bytes.",
                headers={"Connection": "close"},
            )
        chunks.append(chunk)
    return b"".join(chunks)


def check_media_type(request: Request) -> None:
    """Raise 415: a browser sends other types to other sites without asking, and JSON
    is UTF-8 (RFC 8259 section 8.1).
    """
    kinds = request.headers.getlist("Content-Type")
    media_types = [kind.partition(";")[0].strip().lower() for kind in kinds]
    charsets = {found.lower() for kind in kinds for found in _CHARSET.findall(kind)}
    encoded = set(request.headers.getlist("Content-Encoding")) - {"identity"}
    if encoded or media_types != ["application/json"] or charsets - _UTF_8:
        name = "Content-Encoding" if encoded else "Content-Type"
        how = "Send the body as application/json in UTF-8, without an encoding."
        raise refuse("HeaderInvalid", name, resolution=how, status=415)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def depth_of(value: JsonValue) -> int:
    """Return how deeply a value is nested, without recursion."""
    deepest, pending = 0, [(value, 1)]
    while pending:
        item, depth = pending.pop()
        deepest = max(deepest, depth)
        if isinstance(item, dict):
            pending += [(child, depth + 1) for child in item.values()]
        elif isinstance(item, list):
            pending += [(child, depth + 1) for child in item]
    return deepest
