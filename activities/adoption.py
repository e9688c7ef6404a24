"""Adopt the tasks that others start at a source: they become tasks here too (D12)."""

import asyncio
import hashlib
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.housekeeping import KEPT_FOR
from activities.look import CLOCK_SKEW
from activities.news import NewsDesk, Overhearing
from activities.task_subjects import first_run_of
from taskfish.errors import SourceUnknownError, TaskfishError
from taskfish.plugins.connection import Connection
from taskfish.plugins.connections import Connections
from taskfish.plugins.protocol import ChangeMethod, ListedTask
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.links import PREFIXED_COLLECTIONS, ROOT
from taskfish.redfish.operations import (
    SLOW_RESTARTS,
    OperationName,
    name_operation,
)
from taskfish.redfish.resources import AGGREGATION_SOURCES
from taskfish.redfish.secrecy import masked
from taskfish.redfish.source_events import task_name
from taskfish.redfish.task import PluginTask, TaskReport, TaskState
from taskfish.redfish.task_memo import TASK_MEMO, TaskMemo
from taskfish.settings import Settings
from taskfish.store.adopted_tasks import AdoptedTasks, Sending
from taskfish.store.inventory import Inventory
from taskfish.store.service_settings import ServiceSettings
from taskfish.temporal import (
    MAX_SEARCH_ATTRIBUTE,
    PLUGIN_TASK,
    RPC_TIMEOUT,
    TASK_BEGAN,
    TASK_NAME,
    TASK_OPERATION,
    TASK_RESOURCE_TYPE,
    TASK_RESOURCES,
    TASK_SOURCE,
    TASK_STATE,
    TASK_TARGET,
)

ADOPTED_TASK = "AdoptedTask"
"""The workflow type, started here by name: workflows lie above."""
UNTOLD_OPERATION = "Task.Adopt"
"""The operation of a task whose source does not say what it does."""
LONGEST_URI = 1000
"""Characters of a task's URI: a longer one has no room in the journal."""
MOST_A_ROUND = 20
"""How many tasks of a source are adopted at once; the next round adopts more."""
AFTER_NEWS = 0.5
"""How long an event is ahead of the task that it is about, and of our own answer."""
AFTER_EARLY_NEWS = 2.0
"""How soon is looked once more, should it have been further ahead."""
FORGOTTEN_AFTER = timedelta(minutes=10)
"""How long nothing is asked again of a task that needs nothing."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 96

logger = logging.getLogger(__name__)


class FoundTask(BaseModel):
    """A task of a source that others have started, as it was found there.

    `method` and `uri` are the change that it carries out, as far as its source shows
    that; else `uri` is the source itself. `task` has no monitor: some can be read once,
    and it is for whoever has started the task.
    """

    model_config = ConfigDict(frozen=True)

    task_id: str
    source: str
    name: str
    method: ChangeMethod | None = None
    uri: str
    task: PluginTask
    report: TaskReport
    heartbeat_timeout: float
    interrupted_after: float


class Adoption:
    """Finds and adopts, given what it needs by the composition root.

    Without `news` no source sends any, and only time says when to look.
    """

    def __init__(
        self,
        client: Client,
        connections: Connections,
        adopted: AdoptedTasks,
        inventory: Inventory,
        service_settings: ServiceSettings,
        news: NewsDesk | None,
        settings: Settings,
    ) -> None:
        self.client = client
        self.connections = connections
        self.adopted = adopted
        self.inventory = inventory
        self.service_settings = service_settings
        self.settings = settings
        self._news = news

    @asynccontextmanager
    async def going_on(self, source_id: str) -> AsyncIterator[None]:
        """Adopt the tasks of a source for as long as the block runs."""
        async with asyncio.TaskGroup() as group:
            adopting = group.create_task(self._adopt(source_id))
            try:
                yield
            finally:
                adopting.cancel()

    async def _adopt(self, source_id: str) -> None:
        """Look every so often, and soon after the source has spoken of a task that
        nobody knows, until it is removed. The first look is at any time within the
        first interval: not all sources are asked at once.
        """
        interval = self.settings.adoption_interval
        due = time.monotonic() + random.uniform(0, interval)
        source_tasks = _SourceTasks(self, source_id)
        overhearing = self._news.overhearing(source_id) if self._news else None
        with overhearing or nullcontext(Overhearing()) as overheard:
            while True:
                names = await overheard.heard(due - time.monotonic())
                if names:
                    await asyncio.sleep(AFTER_NEWS)
                is_new = False
                try:
                    is_new = await source_tasks.have_news(names)
                    if not is_new and time.monotonic() < due:
                        continue
                    await source_tasks.look()
                except SourceUnknownError:
                    return
                except (TaskfishError, RPCError, RuntimeError) as error:
                    logger.info("no tasks of %s are adopted now: %s", source_id, error)
                pause = min(AFTER_EARLY_NEWS, interval) if is_new else interval
                due = time.monotonic() + pause


class _SourceTasks:
    """The tasks of one source, and which of them need nothing any more."""

    def __init__(self, adoption: Adoption, source_id: str) -> None:
        self._its = adoption
        self._source_id = source_id
        self._settled: set[PluginTask] = set()
        self._settled_since = datetime.now(UTC)
        self._names: set[str] = set()
        self._closed: set[Sending] = set()

    async def have_news(self, names: set[str]) -> bool:
        """Say whether one of these tasks is not known, nor was named before."""
        unknown = [
            name
            for name in names - self._names
            if not await self._its.adopted.knows(self._source_id, name)
        ]
        self._names |= names
        return bool(unknown)

    async def look(self) -> None:
        """Adopt what is new at the source, unless a task there may be our own.

        A task of ours was sent before it was listed: so the journal is asked after the
        list, first for what is being sent, then for each task. Before, that only spares
        the list.
        """
        self._forget()
        if await self._sendings() is None:
            return
        listed = await self._list()
        undecided = await self._sendings() if listed else None
        if undecided is None:
            return
        since = datetime.now(UTC) - await self._kept_for()
        adopted = 0
        for found in listed:
            if adopted == MOST_A_ROUND:
                return
            is_new = await self._is_to_be_adopted(found, undecided, since)
            if is_new:
                await self._start(found)
            self._settled.add(_identity(found))
            adopted += is_new

    def _forget(self) -> None:
        """Forget what is settled, from time to time: URIs get new tasks."""
        now = datetime.now(UTC)
        if now - self._settled_since > FORGOTTEN_AFTER:
            self._settled_since = now
            self._settled.clear()
            self._names.clear()

    async def _list(self) -> list[ListedTask]:
        """Return the tasks of the source that are not settled; none if they are not to
        be adopted, or it is to be left alone.
        """
        opening = self._its.connections.open(self._source_id, fresh=True)
        async with opening as connection:
            if not _is_to_be_asked(connection):
                return []
            uris = {task.uri for task in self._settled}
            found = [each async for each in connection.list_tasks(uris)]
        return [
            each
            for each in found
            if len(each.task.uri) <= LONGEST_URI
            and _identity(each) not in self._settled
        ]

    async def _sendings(self) -> list[Sending] | None:
        """Return the changes of ours of which nobody will know what they did; None
        while one is under way to the source, or looked for.
        """
        undecided = await self._its.adopted.undecided(self._source_id)
        self._closed &= set(undecided)
        for sending in undecided:
            if sending not in self._closed and await self._is_open(sending):
                return None
            self._closed.add(sending)
        return undecided

    async def _is_open(self, sending: Sending) -> bool:
        """Say whether the task that has sent it may still find out what came of it; a
        step's row has the run of its task.
        """
        handle = self._its.client.get_workflow_handle(sending.workflow_id)
        try:
            newest = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        is_its = ":" in sending.workflow_id or first_run_of(newest) == sending.run_id
        return newest.close_time is None and is_its

    async def _kept_for(self) -> timedelta:
        """Return how old an end may be: what goes at once is not shown."""
        options = await self._its.service_settings.read()
        return min(options.kept_for or KEPT_FOR, KEPT_FOR)

    async def _is_to_be_adopted(
        self, listed: ListedTask, undecided: Sequence[Sending], since: datetime
    ) -> bool:
        """Say whether a task is nobody's here, surely not ours, and no old one."""
        if not _is_recent(listed.report, since):
            return False
        known = await self._its.adopted.known(self._source_id, listed.task)
        if known is not None:
            return known.is_only_begun
        return not any(self._may_be(each, listed.task) for each in undecided)

    def _may_be(self, sending: Sending, task: PluginTask) -> bool:
        """Say whether a sending that nobody knows the outcome of may have made a task:
        nobody will ever know.
        """
        if task.started is None:
            return True
        settings = self._its.settings
        seconds = max(settings.submit_answer_timeout, settings.submit_deadline)
        latest = sending.sent_at + timedelta(seconds=seconds) + CLOCK_SKEW
        return sending.sent_at - CLOCK_SKEW <= task.started <= latest

    async def _start(self, listed: ListedTask) -> None:
        """Start its workflow: the journal says before that it is about to start, and
        then that it has, so that a crash in between is made good by the next look.
        """
        task = _identity(listed)
        found = self._found(listed, task)
        ended = found.report.state.ended
        final = found.report.model_dump(mode="json", by_alias=True) if ended else None
        adopted = self._its.adopted
        await adopted.begin(found.task_id, self._source_id, task, final)
        operation = _operation(found)
        body = masked(listed.body) if found.method else None
        memo = TaskMemo(
            name=found.name,
            method=found.method or "",
            uri=found.uri,
            body=body,
            began=task.started,
            untold=ended,
        )
        with suppress(WorkflowAlreadyStartedError):
            await self._its.client.start_workflow(
                ADOPTED_TASK,
                found,
                id=found.task_id,
                task_queue=self._its.settings.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                memo={TASK_MEMO: memo},
                search_attributes=await self._search_attributes(found, operation),
                static_summary=f"{operation.summary(body)}, started by others",
                rpc_timeout=RPC_TIMEOUT,
            )
            logger.info("%s is adopted as %s", task.uri, found.task_id)
        await adopted.started(found.task_id)

    def _found(self, listed: ListedTask, task: PluginTask) -> FoundTask:
        settings, report = self._its.settings, listed.report
        if report.answer is not None:
            report = report.model_copy(
                update={"answer": cut(report.answer, MAX_JOURNAL_BODY)}
            )
        method = _method(listed)
        uri = listed.target if method and listed.target else None
        found = FoundTask(
            task_id=_task_id(self._source_id, task),
            source=self._source_id,
            name=(listed.name or f"Task {task_name(task.uri)}")[:MAX_SEARCH_ATTRIBUTE],
            method=method,
            uri=uri or f"{AGGREGATION_SOURCES}/{self._source_id}",
            task=task,
            report=report,
            heartbeat_timeout=settings.heartbeat_timeout,
            interrupted_after=settings.interrupted_after,
        )
        if _operation(found).name.startswith(SLOW_RESTARTS):
            slow = settings.interrupted_after_update
            found = found.model_copy(update={"interrupted_after": slow})
        return found

    async def _search_attributes(
        self, found: FoundTask, operation: OperationName
    ) -> TypedSearchAttributes:
        """Return what lists and filters know of it from its first moment on."""
        state = found.report.state
        plugin_task = f"{found.source} {found.task.uri}"[:MAX_SEARCH_ATTRIBUTE]
        values: dict[SearchAttributeKey[Any], Any] = {
            TASK_STATE: (TaskState.RUNNING if state.ended else state).value,
            TASK_NAME: found.name,
            TASK_OPERATION: operation.name,
            TASK_TARGET: found.uri,
            TASK_RESOURCE_TYPE: operation.resource_type,
            TASK_SOURCE: found.source,
            PLUGIN_TASK: plugin_task,
            TASK_RESOURCES: await self._machines(found.uri) or [found.uri],
            TASK_BEGAN: found.task.started,
        }
        return TypedSearchAttributes(
            [SearchAttributePair(key, value) for key, value in values.items() if value]
        )

    async def _machines(self, uri: str) -> list[str]:
        """Return the member that a task touches; of one that names none the system, if
        its source has only one.
        """
        for collection in PREFIXED_COLLECTIONS:
            if uri.startswith(f"{collection}/"):
                member = uri.removeprefix(f"{collection}/").partition("/")[0]
                return [f"{collection}/{member}"]
        systems = await self._its.inventory.systems_of(self._source_id)
        return [f"{ROOT}/Systems/{systems[0]}"] if len(systems) == 1 else []


def _is_to_be_asked(connection: Connection) -> bool:
    """Say whether the tasks of a source can be listed and are to be adopted."""
    source = connection.access.source
    can_list = connection.plugin.can_list_tasks and source.has_tasks
    return can_list and source.options.adopt_tasks and not connection.refused


def _identity(listed: ListedTask) -> PluginTask:
    """Return what tells a task of a source from all others (contracts.md 9)."""
    return PluginTask(task=listed.task.task, started=listed.report.started)


def _is_recent(report: TaskReport, since: datetime) -> bool:
    """Say whether a task is open, or has ended since a moment; one that does not say
    when is as old as its start.
    """
    if not report.state.ended:
        return True
    moment = report.ended or report.started
    return moment is not None and moment >= since


def _method(listed: ListedTask) -> ChangeMethod | None:
    """Return the method of the change that a task carries out, None if it shows none
    of a resource that there is here.
    """
    target = listed.target
    if target is None or len(target) > MAX_SEARCH_ATTRIBUTE or target == ROOT:
        return None
    methods: tuple[ChangeMethod, ...] = get_args(ChangeMethod)
    return next((each for each in methods if each == listed.method), None)


def _operation(found: FoundTask) -> OperationName:
    if found.method is not None:
        return name_operation(found.method, found.uri)
    return OperationName(UNTOLD_OPERATION, "AggregationSource", found.source)


def _task_id(source_id: str, task: PluginTask) -> str:
    """Return the Id: it is the same whoever adopts the task, and whenever.

    Shape: `Adopted-rack7.42-20261127T093000.125Z`.
    """
    name = task_name(task.uri)
    safe = _UNSAFE.sub("-", name)[:_LONGEST_NAME]
    if safe != name:
        safe += f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    if task.started is None:
        return f"Adopted-{source_id}.{safe}-unknown"
    moment = task.started.astimezone(UTC)
    fraction = f"{moment:.%f}".rstrip("0").rstrip(".")
    return f"Adopted-{source_id}.{safe}-{moment:%Y%m%dT%H%M%S}{fraction}Z"
