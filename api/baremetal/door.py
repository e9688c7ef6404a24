"""What everything under /baremetal passes: versions, headers, the form of errors."""

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.baremetal.faults import fault_of, version_fault
from api.baremetal.places import BAREMETAL
from api.baremetal.versions import (
    HIGHEST,
    LOWEST,
    MAXIMUM,
    MINIMUM,
    VERSION,
    UnspokenVersionError,
    asked_version,
    shown,
)

_REQUEST_ID = "OpenStack-Request-Id"
_JSON = "application/json"


class Door:
    """Wraps the app, outside of all else: whoever refuses a request under /baremetal,
    it is refused in Ironic's form. `request.state` has the `ironic_version`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _is_inside(scope["path"]):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            state["ironic_version"] = asked_version(Headers(scope=scope))
        except UnspokenVersionError as error:
            await _refusal(str(error))(scope, receive, send)
            return
        await self._app(scope, receive, _Answering(state, send))


class _Answering:
    """Sends one answer; that of an error when it is whole, in its other form."""

    def __init__(self, state: dict[str, object], send: Send) -> None:
        self._state = state
        self._send = send
        self._refused: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        """Send a part of the answer, or keep it."""
        if message["type"] == "http.response.start":
            self._add_headers(MutableHeaders(scope=message))
            if message["status"] >= 400:
                self._refused = message
                return
        elif self._refused is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_refusal(self._refused)
            return
        await self._send(message)

    def _add_headers(self, headers: MutableHeaders) -> None:
        version = self._state["ironic_version"]
        assert isinstance(version, int), "the door has set it"
        headers[VERSION] = shown(version)
        headers[MINIMUM], headers[MAXIMUM] = shown(LOWEST), shown(HIGHEST)
        headers[_REQUEST_ID] = f"req-{self._state['request_id']}"

    async def _send_refusal(self, start: Message) -> None:
        body = fault_of(start["status"], self._body)
        headers = MutableHeaders(scope=start)
        headers["Content-Type"] = _JSON
        headers["Content-Length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _is_inside(path: str) -> bool:
    return path == BAREMETAL or path.startswith(f"{BAREMETAL}/")


def _refusal(text: str) -> Response:
    bounds = {MINIMUM: shown(LOWEST), MAXIMUM: shown(HIGHEST)}
    return Response(version_fault(text), 406, bounds, _JSON)
