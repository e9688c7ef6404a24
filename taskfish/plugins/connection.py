"""One source in the gateway's own words: northbound names in, northbound names out.

A `Connection` puts an adapter and the link map of its source together, and tells the
store what it learns of the source's health.
"""

import logging
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Protocol
from urllib.parse import urlsplit

from taskfish.errors import (
    AddressRefusedError,
    AnswerLostError,
    CredentialsRefusedError,
    SourceUnknownError,
    SourceUnreachableError,
    StoreUnavailableError,
)
from taskfish.plugins import subscribing
from taskfish.plugins.abortable_actions import SYSTEMS, with_abortable_actions
from taskfish.plugins.discovery import Discovery, discover
from taskfish.plugins.protocol import Accepted, Answered, Change, ListedTask, Plugin
from taskfish.redfish.event_receiver import EventReceiver
from taskfish.redfish.links import PREFIXED_COLLECTIONS, LinkMap
from taskfish.redfish.sources import Source, SourceAccess
from taskfish.redfish.task import Answer, PluginTask, TaskReport, TaskState

logger = logging.getLogger(__name__)

HEALTH_SECONDS = 10.0
"""For how long a source's health is not told again to a store that other processes
write to as well."""
TURN_SECONDS = 5.0
"""How long a change waits for one of its source's concurrent calls."""


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
        """GET a resource by its northbound URI, links and Id translated.

        A system also shows which of its resets can be aborted.
        """
        async with self._watched():
            answer = await self.plugin.read(self._south(uri))
        north = _with_member_id(self._translated(answer), uri)
        if uri.rpartition("/")[0] == SYSTEMS:
            return with_abortable_actions(north, self.plugin.abortable_resets)
        return north

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Take one of the source's concurrent calls for a `submit`, if soon free."""
        return self.plugin.turn(TURN_SECONDS)

    async def submit(self, change: Change) -> Accepted | Answered:
        """Send a change once, within a `turn`, its URI and links translated.

        A task that has ended already and cannot be asked for is as good as an answer.
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
        if report.answer is not None and not submission.task.uri:
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

    async def pause(self, task: PluginTask) -> None:
        """Ask the source to suspend its task."""
        async with self._watched():
            await self.plugin.pause(task)

    async def resume(self, task: PluginTask) -> None:
        """Ask the source to go on with its task."""
        async with self._watched():
            await self.plugin.resume(task)

    async def list_tasks(
        self, settled: Collection[str] = ()
    ) -> AsyncIterator[ListedTask]:
        """Yield the source's own tasks, what they changed named as northbound; see
        `Plugin`.
        """
        async for listed in self.plugin.list_tasks(settled):
            known = {
                "target": self._north_target(listed.target) if listed.target else None,
                "body": self.links.north(listed.body),
                "report": self._report(listed.report),
            }
            yield listed.model_copy(update=known)

    async def subscribe(self, receiver: EventReceiver) -> str:
        """Have the source send the events of its tasks; see `subscribing`."""
        async with self._watched():
            return await subscribing.subscribe(self.plugin, receiver)

    async def is_subscribed(self, uri: str, destination: str) -> bool:
        """Say whether a subscription is still there, and still ours."""
        async with self._watched():
            return await subscribing.is_subscribed(self.plugin, uri, destination)

    async def unsubscribe(self, uri: str) -> None:
        """Remove a subscription; one that is not there is as good."""
        async with self._watched():
            await subscribing.unsubscribe(self.plugin, uri)

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
        except (SourceUnreachableError, AnswerLostError, AddressRefusedError):
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
        """Return a change's answer northbound; a member in it has its name there."""
        north = self._translated(answer)
        body = north.body if isinstance(north.body, dict) else {}
        return _with_member_id(north, str(body.get("@odata.id", "")).rstrip("/"))

    def _translated(self, answer: Answer) -> Answer:
        headers = dict(answer.headers)
        for name in [name for name in headers if name.lower() == "location"]:
            location = self._north_location(headers.pop(name))
            if location is not None:
                headers[name] = location
        return Answer(
            status=answer.status, headers=headers, body=self.links.north(answer.body)
        )

    def _north_location(self, location: str) -> str | None:
        """Return the path that a Location has here, None for one that has none."""
        try:
            parts = urlsplit(location)
        except ValueError:
            return None
        path = parts.path + (f"#{parts.fragment}" if parts.fragment else "")
        return self.links.north_uri(path)

    def _north_target(self, target: str) -> str | None:
        """Return what a change of the source was made to, also to a shared action."""
        shared = target if self.links.south_uri(target) == target else None
        return self.links.north_uri(target) or shared

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


def _with_member_id(answer: Answer, uri: str) -> Answer:
    """Give a member of a prefixed collection the Id that its northbound URI has."""
    collection, _, name = uri.rpartition("/")
    if collection not in PREFIXED_COLLECTIONS or not isinstance(answer.body, dict):
        return answer
    if "Id" not in answer.body:
        return answer
    return answer.model_copy(update={"body": {**answer.body, "Id": name}})
