"""The open connections of a process: one a source, while its settings stay the same."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from taskfish.errors import SourceUnknownError, StoreUnavailableError
from taskfish.plugins.connection import Connection, SourceBook
from taskfish.plugins.protocol import Plugin
from taskfish.redfish.sources import ConnectionMethod, Source, SourceAccess
from taskfish.settings import Settings

FRESH_SECONDS = 2.0
"""For how long a source's settings are not read again."""

Connect = Callable[[Source, Source | None, Settings, int], Plugin]
"""Makes an adapter: source, plugin in front of it, settings, concurrent calls."""


class Connections:
    """The open connections of this process, one a source."""

    def __init__(
        self,
        book: SourceBook,
        adapters: Mapping[ConnectionMethod, Connect],
        settings: Settings,
        share: float = 1.0,
    ) -> None:
        """Take the adapters by method; `share` is this process's part of a source's
        limit of concurrent calls, at least one call.
        """
        self._book = book
        self._adapters = adapters
        self._settings = settings
        self._share = share
        self._open: dict[str, _Slot] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def open(
        self, source_id: str, *, fresh: bool = False
    ) -> AsyncIterator[Connection]:
        """Give the connection of a source; raise `SourceUnknownError` without one.

        Its settings are at most two seconds old, or as new as can be if `fresh`.
        While the store does not answer, an open connection goes on.
        """
        slot = await self._slot(source_id, fresh)
        slot.users += 1
        try:
            yield slot.connection
        finally:
            slot.users -= 1
            await slot.close_if_abandoned()

    def has(self, source_id: str) -> bool:
        """Say whether this process has spoken to the source."""
        return source_id in self._open

    async def aclose(self) -> None:
        """Close all connections."""
        slots, self._open = list(self._open.values()), {}
        for slot in slots:
            await slot.connection.plugin.aclose()

    async def _slot(self, source_id: str, fresh: bool) -> "_Slot":
        async with self._locks[source_id]:
            slot = self._open.get(source_id)
            if slot is not None and slot.is_fresh() and not fresh:
                return slot
            access = await self._access(source_id, slot)
            if slot is not None and slot.connection.access == access:
                slot.refresh()
                return slot
            if slot is not None:
                del self._open[source_id]
                slot.replaced = True
                await slot.close_if_abandoned()
            if access is None:
                raise SourceUnknownError(f"there is no AggregationSource {source_id}")
            slot = self._open[source_id] = _Slot(self._connect(access))
            return slot

    async def _access(
        self, source_id: str, slot: "_Slot | None"
    ) -> SourceAccess | None:
        try:
            return await self._book.access(source_id)
        except StoreUnavailableError:
            if slot is None:
                raise
            return slot.connection.access

    def _connect(self, access: SourceAccess) -> Connection:
        calls = max(
            1, round(access.source.options.max_concurrent_requests * self._share)
        )
        connect = self._adapters[access.source.method]
        plugin = connect(access.source, access.plugin, self._settings, calls)
        return Connection(access, plugin, self._book)


class _Slot:
    """A connection, and how many use it: closed when replaced and used no more."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.users = 0
        self.replaced = False
        self._checked = time.monotonic()

    def is_fresh(self) -> bool:
        return time.monotonic() - self._checked < FRESH_SECONDS

    def refresh(self) -> None:
        self._checked = time.monotonic()
        self.connection.look_again()

    async def close_if_abandoned(self) -> None:
        if self.replaced and self.users == 0:
            await self.connection.plugin.aclose()
