"""The adapter for a BMC that speaks Redfish itself and makes its own tasks."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

from pydantic import JsonValue

from taskfish.errors import (
    AbortRefusedError,
    SourceUnreachableError,
    UnreadableAnswerError,
)
from taskfish.plugins import answers, reports
from taskfish.plugins.following import check_before_abort, follow
from taskfish.plugins.pausing import Pausing
from taskfish.plugins.protocol import (
    ABORTABLE_RESETS,
    Accepted,
    Answered,
    Change,
    EventAccess,
    Identity,
    ListedTask,
    Plugin,
)
from taskfish.plugins.redfish import mapping
from taskfish.plugins.service import Service
from taskfish.plugins.transport import Call, Reply, Transport
from taskfish.redfish.links import ROOT
from taskfish.redfish.sources import Source
from taskfish.redfish.task import Answer, PluginTask, TaskReport
from taskfish.settings import Settings

Item = TypeVar("Item")
MAX_PAGES = 50
MAX_LISTED = 100
"""How many tasks are read at most: of more, the first and the last of the list, which
some sources begin with the newest."""
ALWAYS_READ = 5
"""How many at either end are read again each time: a URI may have a new task."""


def connect(
    source: Source, plugin_source: Source | None, settings: Settings, calls: int
) -> Plugin:
    """Make the adapter of a source; `calls` limits its concurrent calls from here."""
    return RedfishPlugin(source, Transport(source, settings, calls))


class RedfishPlugin:
    """`Plugin` for one Redfish service."""

    can_list_tasks = True
    sends_preconditions = True
    events: EventAccess = "service"

    def __init__(self, source: Source, transport: Transport) -> None:
        self._name = source.id
        self.abortable_resets = ABORTABLE_RESETS if source.has_tasks else ()
        self._pausing = Pausing(
            source.id, get=partial(self._get, urgent=True), post=self._act
        )
        self._transport = transport
        self._service = Service(transport, source, mapping.SESSIONS)

    async def identify(self) -> Identity:
        """Read the ServiceRoot, and a resource that asks for credentials."""
        root = await self.read(ROOT)
        identity = mapping.identity(root.body) if root.succeeded else None
        if identity is None:
            raise UnreadableAnswerError(
                f"source {self._name} has no Redfish ServiceRoot at {ROOT}"
                f" (HTTP {root.status}): check its HostName and ConnectionMethod"
            )
        await self.read(mapping.guarded_uri(root.body))
        return identity

    async def check(self) -> None:
        """Read the ServiceRoot, which is open to all: no password is tried."""
        reply = await self._transport.ask(Call("GET", ROOT))
        fault = answers.passing_fault(self._answer(reply), self._name)
        if fault is not None:
            raise fault

    async def read(self, uri: str) -> Answer:
        """GET one resource, following up to three redirects within the source."""
        reply = await self._service.get(Call("GET", self._service.own(uri)))
        answer = self._answer(answers.whole(reply, self._name))
        answers.refuse_unread(answer, self._name)
        return answer

    def turn(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Take one of the source's concurrent calls; see `Plugin`."""
        return self._transport.turn(seconds)

    async def submit(self, change: Change) -> Accepted | Answered:
        """Send a change once; see `Plugin`."""
        reply = await self._service.send_once(
            Call(
                change.method,
                self._service.own(change.uri),
                body=change.body,
                headers=change.headers,
            )
        )
        answer = self._answer(reply)
        answers.refuse_unsent(answer, self._name)
        if not reports.is_accepted(answer):
            return Answered(answer=answer)
        return Accepted(
            task=reports.plugin_task(answer), report=reports.accepted_report(answer)
        )

    async def poll(self, task: PluginTask) -> TaskReport:
        """Ask the monitor, and the Task where that helps; see `follow`."""
        return await follow(task, self._get, self._name)

    async def abort(self, task: PluginTask) -> None:
        """DELETE the monitor, or the Task where there is no monitor; see `Plugin`."""
        if not task.uri:
            raise AbortRefusedError(f"source {self._name} did not name its task")
        get = partial(self._get, urgent=True)
        await check_before_abort(task, get, self._name)
        call = Call("DELETE", self._service.own(task.uri), urgent=True)
        answers.refuse_abort(self._answer(await self._service.ask(call)), self._name)

    async def pause(self, task: PluginTask) -> None:
        """POST to the action that the Task offers for it; see `Plugin`."""
        await self._pausing.pause(task)

    async def resume(self, task: PluginTask) -> None:
        """POST to the action that the Task offers for it; see `Plugin`."""
        await self._pausing.resume(task)

    async def list_tasks(
        self, settled: Collection[str] = ()
    ) -> AsyncIterator[ListedTask]:
        """Yield a hundred Tasks of the TaskService at most, the last one first."""
        members = _ends([member async for member in self._task_members()], MAX_LISTED)
        newest = [mapping.link_of(each) for each in _ends(members, 2 * ALWAYS_READ)]
        for member in reversed(members):
            uri = mapping.link_of(member) or ""
            if uri in settled and uri not in newest:
                continue
            answer = Answer(status=200, body=member)
            if not reports.is_task(member):
                answer = await self._get(uri)
            if answer.succeeded and reports.is_task(answer.body):
                yield mapping.listed_task(uri, answer)

    async def aclose(self) -> None:
        """End the session and close the connections."""
        await self._service.aclose()

    async def _task_members(self) -> AsyncIterator[dict[str, JsonValue]]:
        page: str | None = mapping.TASKS
        for _ in range(MAX_PAGES):
            if page is None:
                return
            answer = await self.read(page)
            if answer.status >= 500:
                raise SourceUnreachableError(
                    f"source {self._name} cannot list its tasks (HTTP {answer.status})"
                )
            for member in mapping.members_of(answer.body):
                yield member
            page = mapping.next_page(answer.body)

    async def _get(self, uri: str, *, urgent: bool = False) -> Answer:
        call = Call("GET", self._service.own(uri), urgent=urgent)
        return self._answer(await self._service.get(call))

    async def _act(self, target: str) -> Answer:
        call = Call("POST", self._service.own(target), body={}, urgent=True)
        return self._answer(await self._service.ask(call))

    def _answer(self, reply: Reply) -> Answer:
        return mapping.answer_of(reply, self._service.origin)


def _ends(items: Sequence[Item], most: int) -> Sequence[Item]:
    """Return all of them, or of more than `most` the first and the last."""
    half = most // 2
    return items if len(items) <= most else [*items[:half], *items[-half:]]
