"""The gateway's side of its sources: northbound names in, northbound names out.

A `Connection` puts an adapter and the link map of its source together, and remembers
the source's health; `Connections` keeps one a source while its settings stay the same.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol
from urllib.parse import urlsplit

from taskfish.errors import (
    AnswerLostError,
    CredentialsRefusedError,
    SourceUnknownError,
    SourceUnreachableError,
)
from taskfish.plugins.protocol import Accepted, Answered, Change, ListedTask, Plugin
from taskfish.redfish.links import PREFIXED_COLLECTIONS, LinkMap
from taskfish.redfish.sources import ConnectionMethod, Source, SourceAccess
from taskfish.redfish.task import Answer, PluginTask, TaskReport
from taskfish.settings import Settings

FRESH_SECONDS = 2.0
"""For how long a source's settings are not read again."""

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

    async def note_refused(self, source_id: str) -> None:
        """Keep that a source refuses our credentials."""
        ...


class Connection:
    """One source, in the gateway's own words. Raises what `Plugin` raises."""

    def __init__(self, access: SourceAccess, plugin: Plugin, book: SourceBook) -> None:
        self.access = access
        self.plugin = plugin
        self.links = LinkMap(access.source.id, access.manager)
        self._book = book
        self._answers: bool | None = None

    async def read(self, uri: str) -> Answer:
        """GET a resource by its northbound URI, links and Id translated."""
        async with self._watched():
            answer = await self.plugin.read(self._south(uri))
        return _with_member_id(self._north(answer), uri)

    async def submit(self, change: Change) -> Accepted | Answered:
        """Send a change once, its URI and links translated."""
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
        return Accepted(task=submission.task, report=self._report(submission.report))

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

    async def check(self) -> None:
        """Ask the source for a sign of life."""
        async with self._watched():
            await self.plugin.check()

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Keep what a call tells of the source's health, when that is news."""
        try:
            yield
        except CredentialsRefusedError:
            await self._book.note_refused(self.access.source.id)
            raise
        except (SourceUnreachableError, AnswerLostError):
            await self._note(answers=False)
            raise
        await self._note(answers=True)

    async def _note(self, *, answers: bool) -> None:
        if self._answers is not answers:
            await self._book.note_health(self.access.source.id, answers)
            self._answers = answers

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
                "answer": self._north(report.answer) if report.answer else None,
                "created": tuple(uri for uri in created if uri),
            }
        )


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
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def open(self, source_id: str) -> AsyncIterator[Connection]:
        """Give the connection of a source; raise `SourceUnknownError` without one."""
        slot = await self._slot(source_id)
        with slot.used():
            yield slot.connection
        if slot.abandoned:
            await slot.connection.plugin.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        slots, self._open = list(self._open.values()), {}
        for slot in slots:
            await slot.connection.plugin.aclose()

    async def _slot(self, source_id: str) -> "_Slot":
        async with self._lock:
            slot = self._open.get(source_id)
            if slot is not None and time.monotonic() - slot.checked < FRESH_SECONDS:
                return slot
            access = await self._book.access(source_id)
            if slot is not None and slot.connection.access == access:
                slot.checked = time.monotonic()
                return slot
            if slot is not None:
                await self._replace(source_id, slot)
            if access is None:
                raise SourceUnknownError(f"there is no AggregationSource {source_id}")
            slot = _Slot(self._connect(access))
            self._open[source_id] = slot
            return slot

    async def _replace(self, source_id: str, slot: "_Slot") -> None:
        del self._open[source_id]
        slot.replaced = True
        if slot.abandoned:
            await slot.connection.plugin.aclose()

    def _connect(self, access: SourceAccess) -> Connection:
        calls = max(
            1, round(access.source.options.max_concurrent_requests * self._share)
        )
        connect = self._adapters[access.source.method]
        plugin = connect(access.source, access.plugin, self._settings, calls)
        return Connection(access, plugin, self._book)


class _Slot:
    """A connection, and who uses it: it is closed when replaced and used no more."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.checked = time.monotonic()
        self.replaced = False
        self._users = 0

    @contextmanager
    def used(self) -> Iterator[None]:
        """Count a user for as long as the block runs."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    @property
    def abandoned(self) -> bool:
        return self.replaced and self._users == 0


def _with_member_id(answer: Answer, uri: str) -> Answer:
    """Give a member of a prefixed collection the Id that its northbound URI has."""
    collection, _, name = uri.rpartition("/")
    if collection not in PREFIXED_COLLECTIONS or not isinstance(answer.body, dict):
        return answer
    if "Id" not in answer.body:
        return answer
    return answer.model_copy(update={"body": {**answer.body, "Id": name}})
