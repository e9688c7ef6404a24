"""A subscriber on a loopback socket: it keeps what it gets, and fails as it is told."""

import asyncio
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from activities.event_deliveries import start_delivery
from taskfish.cli.free_ports import LOOPBACK, free_port
from taskfish.store.event_log import EventLog
from taskfish.store.subscriptions import Subscription, Subscriptions
from tests.house import USER, House
from tests.workflows.houses import until

Fault = Literal["hang", "huge", "drip", "drop"]
"""Answers never; without end; its headers without end; or ends the connection."""
_REASON = {200: "OK", 204: "No Content", 307: "Temporary Redirect"}
_HUGE = 64 << 20


@dataclass(frozen=True)
class Post:
    """One request as it arrived; names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    content: bytes
    at: datetime

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.content)
        return body

    @property
    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.body["Events"]
        return events


class Listener:
    """What a subscriber is; `status` is what it answers, `faults` what it does first.

    `posts` are all requests, `accepted` those that were answered with a 2xx.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.status = 204
        self.fault: Fault | None = None
        self.posts: list[Post] = []
        self.accepted: list[Post] = []
        self.connections = 0
        self.sent = 0
        self._tls = tls
        self._port = free_port()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """The Destination that leads here."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{LOOPBACK}:{self._port}/events"

    @property
    def events(self) -> list[dict[str, Any]]:
        """All event records that were accepted, in their order."""
        return [event for post in self.accepted for event in post.events]

    @property
    def keys(self) -> list[str]:
        """The last parts of the MessageIds that were accepted."""
        return [each["MessageId"].rpartition(".")[2] for each in self.events]

    async def until(self, number: int) -> None:
        """Wait until so many events were accepted."""
        await until(lambda: len(self.events) >= number)

    async def until_tried(self, times: int) -> None:
        """Wait until there were so many requests."""
        await until(lambda: len(self.posts) >= times)

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(
            self._serve, LOOPBACK, self._port, ssl=self._tls
        )

    async def stop(self) -> None:
        """Refuse connections, and end those that are there."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Take one request; say whether another may follow on the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        content = await reader.readexactly(int(headers["content-length"]))
        post = Post(first.split()[1], headers, content, datetime.now(UTC))
        self.posts.append(post)
        if self.fault in ("hang", "drop"):
            await (reader.read() if self.fault == "hang" else asyncio.sleep(0))
            return False
        if 200 <= self.status < 300:
            self.accepted.append(post)
        await self._answer(writer)
        return self.fault is None

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        reason = _REASON.get(self.status, "Whatever")
        length = _HUGE if self.fault == "huge" else 0
        writer.write(
            f"HTTP/1.1 {self.status} {reason}\r\nContent-Length: {length}\r\n".encode()
        )
        if self.status == 307:
            writer.write(f"Location: {self.url}/elsewhere\r\n".encode())
        while self.fault == "drip":
            writer.write(b"X-More: of it\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"\r\n")
        while self.fault == "huge" and self.sent < _HUGE:
            self.sent += 1 << 16
            writer.write(bytes(1 << 16))
            await writer.drain()
        await writer.drain()


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """Run a subscriber while the block lasts."""
    listener = Listener(tls)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


async def subscribe(house: House, listener: Listener, **changes: Any) -> Subscription:
    """Subscribe a listener to all events of a house from now on; have it delivered."""
    values = {
        "id": uuid.uuid4().hex,
        "kind": "RedfishEvent",
        "owner": USER,
        "destination": listener.url,
        "context": "mine",
        "cursor": await EventLog(house.store).newest(),
        "created_at": datetime.now(UTC),
    }
    new = Subscription.model_validate(values | changes)
    await Subscriptions(house.store).add(new)
    await start_delivery(house.temporal, house.settings.task_queue, new)
    return new
