"""The gateway's side of its sources: northbound names in, northbound names out.

A `Connection` puts an adapter and the link map of its source together, and remembers
the source's health; `Connections` keeps one a source while its settings stay the same.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Protocol
from urllib.parse import urlsplit

from taskfish.errors import (
    AnswerLostError,
    CredentialsRefusedError,
    SourceUnknownError,
    SourceUnreachableError,
    StoreUnavailableError,
)
from taskfish.plugins.discovery import Discovery, discover
from taskfish.plugins.protocol import Accepted, Answered, Change, ListedTask, Plugin
from taskfish.redfish.links import PREFIXED_COLLECTIONS, LinkMap
from taskfish.redfish.sources import ConnectionMethod, Source, SourceAccess
from taskfish.redfish.task import Answer, PluginTask, TaskReport, TaskState
from taskfish.settings import Settings

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""For how long a source's settings are not read again."""
HEALTH_SECONDS = 10.0
"""For how long a source's health is not told again to a store that other processes
write to as well."""
TURN_SECONDS = 5.0
"""How long a change waits for one of its source's concurrent calls."""

Connect = Callable[[Source, Source | None, Settings, int], Plugin]
"""Makes an adapter: source, plugin in front of it, settings, concurrent calls."""


class SourceBook(Protocol):
    """Where sources are looked up and their health is kept (the store)."""

    async def access(self, source_id: str) -> SourceAccess | None:
        """Return what is needed to speak to a source."""
        ...

    async def note_health(self, source_id: str, answers: bool) -> None:
        """Keep that a source answers, or does not."""
        ...

    async def note_refused(self, source: Source) -> None:
        """Keep that a source refuses these credentials, if they are still its own."""
        ...


class Connection:
    """One source, in the gateway's own words. Raises what `Plugin` raises."""

    def __init__(self, access: SourceAccess, plugin: Plugin, book: SourceBook) -> None:
        self.access = access
        self.plugin = plugin
        self.links = LinkMap(access.source.id, access.manager)
        self._book = book
        self._told: tuple[bool, float] | None = None
        self._refused = False

    @property
    def refused(self) -> bool:
        """Whether the source refused our credentials, and they are still the same."""
        return self._refused or self.access.refused

    def look_again(self) -> None:
        """Forget a refusal that this process has seen: the store knows better now."""
        self._refused = False

    async def read(self, uri: str) -> Answer:
        """GET a resource by its northbound URI, links and Id translated."""
        async with self._watched():
            answer = await self.plugin.read(self._south(uri))
        return _with_member_id(self._north(answer), uri)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Take one of the source's concurrent calls for a `submit`, if soon free."""
        return self.plugin.turn(TURN_SECONDS)

    async def submit(self, change: Change) -> Accepted | Answered:
        """Send a change once, within a `turn`, its URI and links translated.

        A task that has ended already is as good as an answer.
        """
        south = change.model_copy(
            update={
                "uri": self._south(change.uri),
                "body": self.links.south(change.body),
            }
        )
        async with self._watched():
            submission = await self.plugin.submit(south)
        if isinstance(submission, Answered):
            return Answered(answer=self._north(submission.answer))
        report = self._report(submission.report)
        if report.answer is not None:
            return Answered(answer=report.answer)
        return Accepted(task=submission.task, report=report)

    async def poll(self, task: PluginTask) -> TaskReport:
        """Ask for the source's task."""
        async with self._watched():
            return self._report(await self.plugin.poll(task))

    async def abort(self, task: PluginTask) -> None:
        """Ask the source to abort its task."""
        async with self._watched():
            await self.plugin.abort(task)

    async def list_tasks(self) -> AsyncIterator[ListedTask]:
        """Yield the source's own tasks, what they changed named as northbound."""
        async for listed in self.plugin.list_tasks():
            target = self.links.north_uri(listed.target) if listed.target else None
            report = self._report(listed.report)
            yield listed.model_copy(update={"target": target, "report": report})

    async def discover(self) -> Discovery:
        """Prove the credentials and read what the source has."""
        async with self._watched():
            return await discover(self.plugin, self.access.source.id)

    async def check(self) -> None:
        """Ask the source for a sign of life."""
        async with self._watched():
            await self.plugin.check()

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Keep what a call tells of the source's health.

        Keeping it must not spoil the call: what it brought may be there only once.
        """
        try:
            yield
        except CredentialsRefusedError:
            self._refused = True
            with _store_may_fail():
                await self._book.note_refused(self.access.source)
            raise
        except (SourceUnreachableError, AnswerLostError):
            await self._note(answers=False)
            raise
        await self._note(answers=True)

    async def _note(self, *, answers: bool) -> None:
        now = time.monotonic()
        if self._told and self._told[0] is answers and now < self._told[1]:
            return
        with _store_may_fail():
            await self._book.note_health(self.access.source.id, answers)
            self._told = (answers, now + HEALTH_SECONDS)

    def _south(self, uri: str) -> str:
        path, separator, fragment = uri.partition("#")
        south = self.links.south_uri(path)
        if south is None:
            raise SourceUnknownError(f"{uri} does not belong to {self.links.source}")
        return south + separator + fragment

    def _north(self, answer: Answer) -> Answer:
        headers = dict(answer.headers)
        for name in [name for name in headers if name.lower() == "location"]:
            location = self._north_location(headers.pop(name))
            if location is not None:
                headers[name] = location
        return Answer(
            status=answer.status, headers=headers, body=self.links.north(answer.body)
        )

    def _north_location(self, location: str) -> str | None:
        parts = urlsplit(location)
        path = parts.path + (f"#{parts.fragment}" if parts.fragment else "")
        return self.links.north_uri(path)

    def _report(self, report: TaskReport) -> TaskReport:
        created = (self._north_location(uri) for uri in report.created)
        return report.model_copy(
            update={
                "state": _seen_from_north(report.state),
                "answer": self._north(report.answer) if report.answer else None,
                "created": tuple(uri for uri in created if uri),
            }
        )


def _seen_from_north(state: TaskState) -> TaskState:
    """Return a source's state as one of ours: its task is new, ours is not any more."""
    return TaskState.PENDING if state is TaskState.NEW else state


@contextmanager
def _store_may_fail() -> Iterator[None]:
    try:
        yield
    except StoreUnavailableError as error:
        logger.warning("a source's health was not kept: %s", error)


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


def _with_member_id(answer: Answer, uri: str) -> Answer:
    """Give a member of a prefixed collection the Id that its northbound URI has."""
    collection, _, name = uri.rpartition("/")
    if collection not in PREFIXED_COLLECTIONS or not isinstance(answer.body, dict):
        return answer
    if "Id" not in answer.body:
        return answer
    return answer.model_copy(update={"body": {**answer.body, "Id": name}})
