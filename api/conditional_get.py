"""If-None-Match: 304 for the version that a client has already (RFC 9110 13.1.2)."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.etags import is_known

_OF_THE_BODY = ("Content-Type", "Content-Length")


class ConditionalGet:
    """Wraps the app: what it answers with an ETag is not sent to who knows it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).getlist("If-None-Match")
        unchanged = False

        async def send_what_is_new(message: Message) -> None:
            nonlocal unchanged
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(scope=message)
                unchanged = is_known(headers.get("ETag", ""), known)
                if unchanged:
                    message["status"] = 304
                    for name in _OF_THE_BODY:
                        del headers[name]
            elif unchanged and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, send_what_is_new if known else send)
