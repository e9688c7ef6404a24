"""Runs ASGI applications on loopback sockets, and can drop their connections.

uvicorn has no way to end a connection without an answer, so a protocol class of our
own hands its transport to the application.
"""

import asyncio
import socket
import ssl
from collections.abc import (
    AsyncIterator,
    Callable,
    Generator,
    MutableMapping,
    Sequence,
)
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT = "taskfish.transport"


class BodyTooLargeError(Exception):
    """A body is longer than its limit."""


async def limited(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """Return a body that comes in chunks; raise BodyTooLargeError beyond `limit`."""
    content = b""
    async for chunk in chunks:
        content += chunk
        if len(content) > limit:
            raise BodyTooLargeError
    return content


async def drop(scope: MutableMapping[str, Any]) -> None:
    """End a request's connection; the response that is sent after it goes nowhere."""
    transport = scope.get("extensions", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("The emulator dropped the connection.")
    transport.abort()
    # uvicorn sees the end of the connection in the next turn of the loop.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def _protocol(connected: Callable[[], None]) -> type[H11Protocol]:
    """Return a protocol that tells of connections and shows its transport."""

    class CountedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            connected()
            app = self.app

            async def with_transport(scope: Any, receive: Any, send: Any) -> None:
                scope.setdefault("extensions", {})[TRANSPORT] = transport
                await app(scope, receive, send)

            self.app = with_transport

    return CountedProtocol


class _Server(uvicorn.Server):
    """A server that starts and stops without delay and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopped = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self.stopped.wait()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@dataclass(frozen=True)
class Service:
    """An application, the port it gets (0: any) and who counts its connections."""

    app: Any
    port: int
    connected: Callable[[], None]


@asynccontextmanager
async def listen(
    services: Sequence[Service], host: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[list[str]]:
    """Serve applications while the context lasts; yields their URLs."""
    with ExitStack() as sockets:
        listeners = [
            sockets.enter_context(_bound(host, service.port)) for service in services
        ]
        servers = [_Server(_config(each, tls)) for each in services]
        serving = asyncio.gather(
            *(
                server.serve([listener])
                for server, listener in zip(servers, listeners, strict=True)
            )
        )
        try:
            for server in servers:
                await server.listening.wait()
            scheme = "https" if tls else "http"
            yield [f"{scheme}://{host}:{each.getsockname()[1]}" for each in listeners]
        finally:
            for server in servers:
                server.stopped.set()
            await serving


def _bound(host: str, port: int) -> socket.socket:
    # Without the protocol's number asyncio leaves Nagle on: 40 ms for each answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _config(service: Service, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        service.app,
        http=_protocol(service.connected),
        ssl_context_factory=(lambda *_: tls) if tls else None,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
