"""A gateway's API on a real socket, for clients that know no ASGI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from api.app import create_app
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
