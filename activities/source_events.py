"""Have sources send us the events of their tasks, for as long as they are sources."""

import logging
from contextlib import suppress

from taskfish.errors import SourceUnknownError, SubscriptionRefusedError, TaskfishError
from taskfish.plugins.connection import Connection
from taskfish.plugins.connections import Connections
from taskfish.redfish.event_receiver import destination_of, event_receiver
from taskfish.store.source_subscriptions import SourceSubscriptions

logger = logging.getLogger(__name__)


class SourceEvents:
    """The gateway's subscriptions at its sources.

    Without `public_url` no source could reach us, and none is asked.
    """

    def __init__(
        self,
        connections: Connections,
        subscriptions: SourceSubscriptions,
        public_url: str | None,
    ) -> None:
        self._connections = connections
        self._subscriptions = subscriptions
        self._public_url = public_url

    async def keep(self, source_id: str) -> str:
        """Subscribe, unless that was done and is still so; say how it stands.

        Raises `SourceUnknownError` and `StoreUnavailableError` only: a source without
        events is polled.
        """
        if self._public_url is None:
            return "no TASKFISH_PUBLIC_URL"
        try:
            async with self._connections.open(source_id) as connection:
                if not await self._is_kept(connection, source_id):
                    await self._renew(connection, source_id)
        except SourceUnknownError:
            raise
        except SubscriptionRefusedError as error:
            await self._subscriptions.forget(source_id)
            return f"polled only: {error}"
        except TaskfishError as error:
            return f"not known: {error}"
        return "subscribed"

    async def _is_kept(self, connection: Connection, source_id: str) -> bool:
        """Say whether the subscription is there; its BMC may have been reset."""
        assert self._public_url is not None, "asked before"
        kept = await self._subscriptions.get(source_id)
        if kept is None or kept.uri is None:
            return False
        destination = destination_of(self._public_url, source_id)
        return await connection.is_subscribed(kept.uri, destination)

    async def _renew(self, connection: Connection, source_id: str) -> None:
        """Subscribe with a new token, which counts before the source has it.

        A plugin may still have the earlier one, though it shows none.
        """
        assert self._public_url is not None, "asked before"
        before = await self._subscriptions.get(source_id)
        if before and before.uri and connection.plugin.events == "calls":
            with suppress(TaskfishError):
                await connection.unsubscribe(before.uri)
        receiver = event_receiver(self._public_url, source_id)
        if not await self._subscriptions.begin(source_id, receiver.token):
            raise SourceUnknownError(f"{source_id} was removed meanwhile")
        uri = await connection.subscribe(receiver)
        if not await self._subscriptions.made(source_id, uri):
            with suppress(TaskfishError):
                await connection.unsubscribe(uri)
            raise SourceUnknownError(f"{source_id} was removed meanwhile")
        logger.info("%s sends us its events: %s", source_id, uri)
