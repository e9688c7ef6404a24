"""The gateway on a real socket, for clients that no one here wrote."""

from collections.abc import AsyncIterator

import pytest

from api.app import create_app
from taskfish.plugins.serving import Service, listen
from tests.house import House


@pytest.fixture
async def gateway_url(house: House) -> AsyncIterator[str]:
    """Serve the house's gateway on a loopback port; give its URL."""
    app = create_app(house.settings, house.temporal)
    async with (
        app.router.lifespan_context(app),
        listen([Service(app, 0, lambda: None)], "127.0.0.1") as (url,),
    ):
        yield url
