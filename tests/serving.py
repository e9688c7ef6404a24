"""A gateway's API on a real socket, for clients that know no ASGI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn

from api.app import create_app
from taskfish.cli.api_server import server_options
from taskfish.plugins.serving import Service, listen
from tests.house import House


@asynccontextmanager
async def served(house: House, **changes: Any) -> AsyncIterator[str]:
    """Serve a second API of the house, with some settings changed, with uvicorn;
    yields its URL.
    """
    settings = house.settings.model_copy(update=changes)
    app = create_app(settings, house.temporal)
    service = Service(app, 0, connected=lambda: None)
    async with (
        app.router.lifespan_context(app),
        listen([service], "127.0.0.1") as (url,),
    ):
        yield url


class Api(NamedTuple):
    """An API as `taskfish api` serves it: where, and what tells it to stop."""

    url: str
    server: uvicorn.Server
    serving: asyncio.Task[None]

    async def stop(self) -> None:
        """Stop as at SIGTERM, and wait for the end."""
        self.server.should_exit = True
        await asyncio.wait_for(asyncio.shield(self.serving), 10)


@asynccontextmanager
async def api(house: House, **changes: Any) -> AsyncIterator[Api]:
    """Serve an API over the house's store with the server of `taskfish api`."""
    settings = house.settings.model_copy(update=changes)
    app = create_app(settings, house.temporal)
    options = server_options(lambda: app, settings, "127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(**options))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        assert not serving.done(), serving.result()
    port = server.servers[0].sockets[0].getsockname()[1]
    found = Api(f"http://127.0.0.1:{port}", server, serving)
    try:
        yield found
    finally:
        await found.stop()


async def exchange(url: str, request: bytes) -> tuple[int, bytes]:
    """Send a request byte by byte as it is; return status and body of the answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        await writer.drain()
        answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body
