"""The streams of events of a process: who has one open, and whether it may go on.

While a stream is open there is an EventDestination of it in the store. Every other
second the process shows there that its streams are open, and sees which are not to be
any more.
"""

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from activities.event_audience import readable
from api.stream_credentials import Credential, accounts_by_name
from taskfish.errors import StoreUnavailableError
from taskfish.redfish.event_conditions import Condition
from taskfish.redfish.events import LoggedEvent, events_were_lost
from taskfish.settings import Settings
from taskfish.store.accounts import Accounts
from taskfish.store.event_log import EventLog
from taskfish.store.event_service import EventServiceSettings
from taskfish.store.log_end import LogEnd
from taskfish.store.subscriptions import Subscription, Subscriptions

LOOK_EVERY = 2.0
LOST_AFTER = timedelta(seconds=30)
"""After which a stream that no process shows to be open is taken for none."""

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class OpenStream:
    """A stream: what it asks for, and how far it has come.

    `position` is that of the last event that it got or needs not; `told` is what it
    gets first.
    """

    id: str
    context: str
    credential: Credential
    condition: Condition
    position: int
    told: tuple[LoggedEvent, ...] = ()
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class EventStreams:
    """All streams of a process. One object a process; `run` goes on beside them."""

    def __init__(
        self,
        settings: Settings,
        event_log: EventLog,
        subscriptions: Subscriptions,
        event_settings: EventServiceSettings,
        accounts: Accounts,
    ) -> None:
        self._settings = settings
        self._event_log = event_log
        self._subscriptions = subscriptions
        self._event_settings = event_settings
        self._accounts = accounts
        self._log_end = LogEnd(event_log)
        self._open: dict[str, OpenStream] = {}
        self._opening = 0
        self._closed: set[str] = set()
        self._woken = asyncio.Event()

    @property
    def keepalive(self) -> float:
        """After how many seconds without an event a stream gives a sign of life."""
        return self._settings.stream_keepalive

    async def open(
        self,
        credential: Credential,
        destination: str,
        condition: Condition,
        behind: int | None,
    ) -> OpenStream | None:
        """Open a stream of what happens from now on, or `behind` a position.

        Returns None while there are as many as there may be.
        """
        if len(self._open) + self._opening >= self._settings.max_streams:
            return None
        self._opening += 1
        try:
            stream = await self._stream(credential, condition, behind)
            await self._subscriptions.add(_subscription(stream, destination))
            self._open[stream.id] = stream
        finally:
            self._opening -= 1
        return stream

    async def read(
        self, stream: OpenStream, limit: int, seconds: float
    ) -> list[LoggedEvent]:
        """Return what a stream gets of the next events; wait for one so many seconds.

        May be empty before that time: not all that happens is asked for. Raises
        StoreUnavailableError, and the stream stays where it is.
        """
        if stream.told:
            told, stream.told = list(stream.told), ()
            return told
        found = await self._log_end.after(stream.position, limit, seconds)
        if not found:
            return []
        lost = await self._lost_before(found[0], stream.position)
        wanted = [each for each in found if stream.condition(each.event)]
        user = stream.credential.user
        got = await readable(wanted, user, self._accounts, self._settings)
        stream.position = found[-1].position
        return [*lost, *got]

    def end(self, stream_id: str) -> None:
        """End a stream, if it is one of this process."""
        if stream_id in self._open:
            self._open[stream_id].ended.set()

    def closed(self, stream: OpenStream) -> None:
        """Note that nothing is sent on a stream any more."""
        self._open.pop(stream.id, None)
        self._closed.add(stream.id)
        self._woken.set()

    async def run(self) -> None:
        """Look after the streams until cancelled; a fault of the store puts it off."""
        while True:
            try:
                await self._look()
                await self._forget_for(LOOK_EVERY)
            except StoreUnavailableError as error:
                logger.info("nobody looks after the streams: %s", error)
                await asyncio.sleep(LOOK_EVERY)

    async def close(self) -> None:
        """End what is left, once `run` has ended."""
        for stream in list(self._open.values()):
            stream.ended.set()
            self.closed(stream)
        await self._log_end.close()
        with suppress(StoreUnavailableError):
            await self._forget_closed()

    async def _stream(
        self, credential: Credential, condition: Condition, behind: int | None
    ) -> OpenStream:
        """Return a new stream; one that names a position which never was is told that
        events may have been lost.
        """
        newest = await self._event_log.newest()
        told: tuple[LoggedEvent, ...] = ()
        if behind is not None and behind > newest:
            told = (_lost(newest, behind),)
        return OpenStream(
            id=secrets.token_hex(8),
            context=secrets.token_urlsafe(12),
            credential=credential,
            condition=condition,
            position=newest if behind is None else min(behind, newest),
            told=told,
        )

    async def _lost_before(
        self, first: LoggedEvent, position: int
    ) -> list[LoggedEvent]:
        """Return what is told in place of events that the log has forgotten."""
        if first.position == position + 1:
            return []
        if await self._event_log.oldest() < first.position:
            return []
        return [_lost(first.position - 1, position)]

    async def _forget_for(self, seconds: float) -> None:
        """Remove at once what is closed, for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self._forget_closed()
                    await self._woken.wait()
                    self._woken.clear()

    async def _forget_closed(self) -> None:
        closed = set(self._closed)
        if closed:
            await self._subscriptions.remove_streams(closed)
            self._closed -= closed

    async def _look(self) -> None:
        """Show which streams are open, and end those that are not to go on."""
        await self._subscriptions.forget_streams(datetime.now(UTC) - LOST_AFTER)
        streams = dict(self._open)
        if not streams:
            return
        enabled = (await self._event_settings.read()).service_enabled
        there = await self._subscriptions.note_open(streams)
        accounts = await accounts_by_name(self._accounts, self._settings)
        for stream in streams.values():
            holds = stream.credential.holds(accounts)
            if not enabled or stream.id not in there or not holds:
                stream.ended.set()


def _lost(until: int, behind: int) -> LoggedEvent:
    """Return what is told in place of the events between two positions, with an EventId
    of its own: who has it goes on from there.
    """
    return LoggedEvent(position=until, event=events_were_lost(), id=f"lost-{behind}")


def _subscription(stream: OpenStream, destination: str) -> Subscription:
    now = datetime.now(UTC)
    return Subscription(
        id=stream.id,
        kind="SSE",
        owner=stream.credential.user,
        destination=destination,
        context=stream.context,
        cursor=stream.position,
        seen_at=now,
        created_at=now,
    )
