"""What every request and every answer passes: paths that mean one thing, headers."""

import logging
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from taskfish.redfish.messages import base_message

logger = logging.getLogger(__name__)

_AMBIGUOUS = re.compile(rb"//|%2f|%5c|%2e|%00|%23|#|\\|/\.\.?(?:[/;]|$)", re.IGNORECASE)
_HEADERS = {"OData-Version": "4.0", "Cache-Control": "no-cache"}


class Front:
    """Wraps the app: refuses ambiguous paths, drops one trailing slash, adds headers,
    and answers what nobody expected with an error of Redfish's form.

    An encoded slash or a dot segment could reach another source than the one that was
    checked, so such a path is no resource (contracts.md 10).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        answered = False

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        raw: bytes = scope["raw_path"].partition(b"?")[0]
        if _AMBIGUOUS.search(raw) or not raw.isascii():
            missing = base_message("ResourceMissingAtURI", scope["path"])
            await error_response(missing)(scope, receive, send_with_headers)
            return
        if raw.endswith(b"/") and raw not in (b"/", b"/redfish/v1/"):
            scope = {**scope, "path": scope["path"][:-1], "raw_path": raw[:-1]}
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if answered:
                raise
            logger.exception("%s %s failed", scope["method"], scope["path"])
            failed = error_response(base_message("InternalError"))
            await failed(scope, receive, send_with_headers)
