"""A request inside another, sent to the app itself in the name of the same user."""

import json
from collections.abc import Mapping
from urllib.parse import unquote

from fastapi import Request
from fastapi.responses import Response
from pydantic import JsonValue
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope

_KEPT_HEADERS = (b"host", b"origin", b"authorization", b"x-auth-token", b"cookie")
"""Who asks, and from which page."""
_CONNECTION = ("type", "asgi", "http_version", "scheme", "server", "client")
"""What a request has of its connection."""


async def request_inside(
    outer: Request,
    method: str,
    uri: str,
    body: dict[str, JsonValue] | None,
    headers: Mapping[str, str],
) -> Response:
    """Return the app's answer to a request as if it had come from outside.

    So it passes whatever such a one does: the login, privileges, limits, the audit log.
    It has the outer one's request id.
    """
    content = b"" if body is None else json.dumps(body).encode()
    given = [pair for pair in outer.headers.raw if pair[0] in _KEPT_HEADERS]
    sent = MutableHeaders(raw=given)
    sent["X-Request-Id"] = outer.state.request_id
    if content:
        sent["Content-Type"] = "application/json"
    sent.update(headers)
    scope: Scope = {
        **{name: outer.scope[name] for name in _CONNECTION if name in outer.scope},
        "method": method,
        "path": unquote(uri),
        "raw_path": uri.encode("ascii"),
        "query_string": b"",
        "headers": sent.raw,
        "state": {},
    }
    is_read = False

    async def receive() -> Message:
        nonlocal is_read
        if is_read:
            return await outer.receive()
        is_read = True
        return {"type": "http.request", "body": content, "more_body": False}

    answer = Response()
    parts: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status_code = message["status"]
            answer.raw_headers = message["headers"]
        else:
            parts.append(message.get("body", b""))

    await outer.app(scope, receive, send)
    answer.body = b"".join(parts)
    return answer
