"""Which version each subscription is in: asked for by many, read once a second."""

import asyncio
import time

from taskfish.store.subscriptions import Subscriptions

FRESH_SECONDS = 1.0
"""How old what is told may be."""


class SubscriptionRevisions:
    """The revisions of all subscriptions, as one process has last read them."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions
        self._revisions: dict[str, int] = {}
        self._read_at = -FRESH_SECONDS
        self._reading = asyncio.Lock()

    async def of(self, subscription_id: str) -> int | None:
        """Return a subscription's revision, None if it is not there, or not yet.

        Raises StoreUnavailableError.
        """
        async with self._reading:
            now = time.monotonic()
            if now - self._read_at >= FRESH_SECONDS:
                self._revisions = await self._subscriptions.revisions()
                self._read_at = now
        return self._revisions.get(subscription_id)
