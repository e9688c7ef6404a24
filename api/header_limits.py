"""How much a request's headers may be, whatever server the API runs under."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import error_response
from taskfish.redfish.messages import base_message

MOST_HEADERS = 128
MOST_BYTES = 32 << 10
"""Of all names and values together."""


class HeaderLimits:
    """Wraps the app: answers 431 to a request with more headers than anybody needs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _too_many(scope["headers"]):
            await self._app(scope, receive, send)
            return
        message = base_message(
            "GeneralError",
            text=f"More than {MOST_HEADERS} headers, or {MOST_BYTES} bytes of them.",
            resolution="Send fewer and shorter headers.",
        )
        await error_response(message, status=431)(scope, receive, send)


def _too_many(headers: list[tuple[bytes, bytes]]) -> bool:
    size = sum(len(name) + len(value) for name, value in headers)
    return len(headers) > MOST_HEADERS or size > MOST_BYTES
