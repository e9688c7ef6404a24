"""Take the gateway's subscription back from a source that is removed."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.gateway import Gateway
from taskfish.errors import TaskfishError

SECONDS = 3.0
"""How long a source may take: a dead one is removed all the same."""

logger = logging.getLogger(__name__)


@asynccontextmanager
async def unsubscribing(gateway: Gateway, source_id: str) -> AsyncIterator[None]:
    """Remove the subscription at a source once the block has removed the source here.

    Only then, so that no watcher makes it anew; who the source is, is known before.
    """
    kept = await gateway.source_subscriptions.get(source_id)
    if kept is None or kept.uri is None:
        yield
        return
    async with gateway.connections.open(source_id) as connection:
        yield
        try:
            async with asyncio.timeout(SECONDS):
                await connection.unsubscribe(kept.uri)
        except (TaskfishError, TimeoutError) as error:
            logger.info("%s keeps its subscription: %s", source_id, error)
