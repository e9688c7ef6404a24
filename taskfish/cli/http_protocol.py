"""uvicorn's HTTP/1.1 with limits of its own: requests, their heads, connections.

What cannot be served is answered in Redfish's form, and a client that sends or reads
slower than it needs to is not waited for.
"""

import asyncio
import json
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from taskfish.redfish.messages import base_message, error_body
from taskfish.stopping import STOPPING

HEAD_BYTES = 32 << 10
"""The longest request line with its headers."""
LINGER_SECONDS = 2.0
"""How long a refused client has to read its answer before the connection is cut."""
CLOSING_SECONDS = 1.0
"""How long an idle client has to end its side of a connection that is closed."""
_WORDS = {
    400: "The request is not HTTP/1.1.",
    408: "The request did not come in time.",
    431: f"The request's headers are longer than {HEAD_BYTES} bytes.",
    503: "The service has as many connections as it takes.",
}
_HOW = {503: "Try again in a moment, and keep fewer connections open."}


class LimitedProtocol(H11Protocol):
    """One connection.

    `request_seconds` is from a request's first byte to its last, and how long the
    client may leave any of what it is sent unread. Of `most_connections` one more is
    answered 503. An answer that has no end by itself is told when the server stops.
    """

    request_seconds: float
    most_connections: int

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._refused = False
        self._stopping = asyncio.Event()
        self._serve, self.app = self.app, self._serve_until_stopped

    async def _serve_until_stopped(self, scope: Any, receive: Any, send: Any) -> Any:
        scope.setdefault("extensions", {})[STOPPING] = self._stopping
        return await self._serve(scope, receive, send)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request from the beginning, unless there are too many already."""
        super().connection_made(transport)
        # Anything unread pauses: one answer at most waits for a client.
        transport.set_write_buffer_limits(high=1, low=0)
        if len(self.connections) > self.most_connections:
            self._refuse(503)
        else:
            self._watch_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_timer()
        self._spare()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what comes; what a refused client goes on sending is dropped."""
        if not self._refused:
            super().data_received(data)
            self._watch_time()

    def on_response_complete(self) -> None:
        """Go on with the next request, perhaps begun already."""
        super().on_response_complete()
        self._watch_time()
        if self.transport.is_closing():
            self._cut_in(self.request_seconds)

    def pause_writing(self) -> None:
        """Give the client its time to read."""
        super().pause_writing()
        self._cut_in(self.request_seconds)

    def resume_writing(self) -> None:
        """Go on: the client has read all there was."""
        super().resume_writing()
        # What TLS has still to send after a close is not counted here.
        if not self.transport.is_closing():
            self._spare()

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 could not read: 431 for a head too long, else 400."""
        error = sys.exception()
        status = getattr(error, "error_status_hint", 400)
        self._refuse(status if status in _WORDS else 400)

    def shutdown(self) -> None:
        """Close an idle connection soon, also one whose client does not end its TLS."""
        self._stopping.set()
        super().shutdown()
        self._close_soon()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing comes any more, as `shutdown` does."""
        super().timeout_keep_alive_handler()
        self._close_soon()

    def _close_soon(self) -> None:
        if self.transport.is_closing():
            self._spare()
            self._cut_in(CLOSING_SECONDS)

    def _cut_in(self, seconds: float) -> None:
        """Cut the connection after a time, unless that is to be done already."""
        if self._cut is None:
            self._cut = self.loop.call_later(seconds, self.transport.abort)

    def _spare(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def _watch_time(self) -> None:
        """Let the timer run while a request is on its way, and only then."""
        is_idle = self.timeout_keep_alive_task is not None
        is_coming = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if not is_coming or is_idle:
            self._stop_timer()
        elif self._timer is None and not self._refused:
            self._timer = self.loop.call_later(self.request_seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Answer in the application's place, and close.

        Only once the client has had the time to read the answer: closed at once, with
        what it still sends unread, the connection would lose it.
        """
        self._stop_timer()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(_refusal(status))
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)


def limited_protocol(
    request_seconds: float, most_connections: int
) -> type[LimitedProtocol]:
    """Return the protocol with its time for one request, and its connections."""
    limits = {"request_seconds": request_seconds, "most_connections": most_connections}
    return type("Protocol", (LimitedProtocol,), limits)


def _refusal(status: int) -> bytes:
    text, how = _WORDS[status], _HOW.get(status, "Mend the request.")
    message = base_message("GeneralError", text=text, resolution=how)
    body = json.dumps(error_body(message)).encode()
    head = (
        b"HTTP/1.1 %d %b\r\n" % (status, STATUS_PHRASES[status]),
        b"content-type: application/json\r\n",
        b"odata-version: 4.0\r\n",
        b"cache-control: no-cache\r\n",
        b"retry-after: %d\r\n" % LINGER_SECONDS if status == 503 else b"",
        b"content-length: %d\r\n" % len(body),
        b"connection: close\r\n\r\n",
    )
    return b"".join(head) + body
