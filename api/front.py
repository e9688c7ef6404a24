"""What every request and every answer passes: paths that mean one thing, headers."""

import logging
import re
import secrets

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from taskfish.redfish.messages import base_message

logger = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "TRACE")
LONGEST_PATH = 2000
"""Bytes: nothing here has a longer one."""
_AMBIGUOUS = re.compile(rb"//|%2f|%5c|%2e|%00|%23|#|\\|/\.\.?(?:[/;]|$)", re.IGNORECASE)
_ODATA_VERSION = "4.0"
_HEADERS = {"OData-Version": _ODATA_VERSION, "Cache-Control": "no-cache"}
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Front:
    """Wraps the app: refuses ambiguous paths and other versions of OData, drops one
    trailing slash, adds headers, and answers what nobody expected with an error of
    Redfish's form.

    A method that is none of HTTP's is served as TRACE is, which no resource has: with
    the same refusal, behind the same login.

    An encoded slash or a dot segment could reach another source than the one that was
    checked, so such a path is no resource (contracts.md 10). `request.state` has the
    `request_id`, the client's own or a new one; `preference_applied` is what a route
    has honoured of the Prefer header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        answered = False
        state = scope.setdefault("state", {})
        given = Headers(scope=scope)
        state["request_id"] = _request_id(given)

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = state["request_id"]
                if applied := state.get("preference_applied"):
                    headers["Preference-Applied"] = applied
            await send(message)

        raw: bytes = scope["raw_path"].partition(b"?")[0]
        refusal = _refused_path(raw, scope["path"]) or _refused_version(given)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        if raw.endswith(b"/") and raw not in (b"/", b"/redfish/v1/"):
            scope = {**scope, "path": scope["path"][:-1], "raw_path": raw[:-1]}
        if scope["method"] not in METHODS:
            scope = {**scope, "method": "TRACE"}
        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            logger.debug("%s %s: its client is gone", scope["method"], scope["path"])
            if not answered:
                unfinished = error_response(base_message("MalformedJSON"))
                await unfinished(scope, receive, send_with_headers)
        except Exception:
            if answered:
                raise
            logger.exception("%s %s failed", scope["method"], scope["path"])
            failed = error_response(base_message("InternalError"))
            await failed(scope, receive, send_with_headers)


def _refused_path(raw: bytes, path: str) -> Response | None:
    """Return the 404 of a path that could be read in two ways, or is too long."""
    if len(raw) <= LONGEST_PATH and raw.isascii() and not _AMBIGUOUS.search(raw):
        return None
    return error_response(base_message("ResourceMissingAtURI", path[:LONGEST_PATH]))


def _refused_version(headers: Headers) -> Response | None:
    """Return the 412 of a request that speaks another OData (DSP0266 6.2)."""
    if set(headers.getlist("OData-Version")) <= {_ODATA_VERSION}:
        return None
    how = f"Send OData-Version: {_ODATA_VERSION}, or leave the header out."
    message = base_message("HeaderInvalid", "OData-Version", resolution=how)
    return error_response(message, status=412)


def _request_id(headers: Headers) -> str:
    """Return the client's X-Request-Id, or a new one if there is none or a bad one."""
    given = headers.getlist("X-Request-Id")
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0]
    return secrets.token_hex(16)
