"""One stream of events: from a position in the log on, for as long as it is open.

What a client does not read is kept nowhere: the stream goes on from its position when
the client has read, and the server cuts off one that does not (DSP0266, server-sent
events).
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from api.disconnection import until_gone
from api.event_streams import EventStreams, OpenStream
from taskfish.errors import StoreUnavailableError
from taskfish.redfish.events import LoggedEvent, event_payload
from taskfish.stopping import STOPPING

AT_ONCE = 100
"""How many events are written in one go, at most."""
_OPEN = ": the stream is open\n\n"
_ALIVE = ": alive\n\n"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "Allow": "GET, HEAD",
}
"""No proxy keeps it, or keeps it back."""

logger = logging.getLogger(__name__)


class EventStreamResponse(Response):
    """Sends a stream's events until one of the two ends it, or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, streams: EventStreams, stream: OpenStream) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["Content-Length"]
        self._streams = streams
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ends = [
            self._write_all(send),
            until_gone(receive),
            self._stream.ended.wait(),
        ]
        stopping = scope.get("extensions", {}).get(STOPPING)
        if stopping is not None:
            ends.append(stopping.wait())
        try:
            head = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **head})
            await _until_first(ends)
        finally:
            self._streams.closed(self._stream)
        await send({"type": "http.response.body", "body": b""})

    async def _write_all(self, send: Send) -> None:
        async for text in self._texts():
            body = {"body": text.encode(), "more_body": True}
            await send({"type": "http.response.body", **body})

    async def _texts(self) -> AsyncIterator[str]:
        """Yield what is sent: events as they happen, and signs of life without any."""
        yield _OPEN
        keepalive, clock = self._streams.keepalive, asyncio.get_running_loop().time
        due = clock() + keepalive
        while True:
            found = await self._read(max(0.0, due - clock()))
            text = "".join(_written(each, self._stream.context) for each in found)
            if not text and clock() < due:
                continue
            due = clock() + keepalive
            yield text or _ALIVE

    async def _read(self, seconds: float) -> Sequence[LoggedEvent]:
        """Return what this stream gets of what has happened; nothing while the store
        does not answer.
        """
        try:
            return await self._streams.read(self._stream, AT_ONCE, seconds)
        except StoreUnavailableError as error:
            logger.info("a stream waits: %s", error)
            await asyncio.sleep(1)
            return ()


def _written(logged: LoggedEvent, context: str) -> str:
    """Return an event as a stream has it: its position, from which a stream goes on,
    and one line of JSON.
    """
    data = json.dumps(event_payload([logged], context))
    return f"id: {logged.position}\ndata: {data}\n\n"


async def _until_first(ends: Sequence[Awaitable[object]]) -> None:
    """Wait until one of them ends, and end the others."""
    tasks = [asyncio.ensure_future(each) for each in ends]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
