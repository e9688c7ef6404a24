"""Lists of tasks: one visibility query a page, and what it does not know yet (D7).

Visibility lags behind by moments. So a list has, besides, the tasks that its caller has
started or asked to end within the last minute, as they are now.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from activities.retention import TASKS_QUERY
from api.fresh_tasks import FreshTasks, is_unsettled
from api.listed_tasks import listed_view
from api.task_conditions import Condition
from api.task_counts import TaskCounts
from api.task_places import Place, Places
from api.task_reader import TaskReader
from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from api.temporal_queries import quoted
from taskfish.encryption import Keyring
from taskfish.redfish.task import TaskState
from taskfish.store.event_log import EventLog
from taskfish.store.requests import RequestRecord, Requests
from taskfish.temporal import RPC_TIMEOUT

LONGEST_PAGE = 1000
"""Rows that Temporal gives at once, at most."""


@dataclass(frozen=True)
class TaskPage:
    """One page: its tasks, the newest first, and where the next one begins."""

    views: Sequence[TaskView]
    next_token: str | None


@dataclass(frozen=True)
class Wanted:
    """What a list is of: who asks, and what is asked of the tasks. `cancelled_too` is
    False where cancelled tasks go when they have ended.
    """

    caller: str
    condition: Condition | None = None
    cancelled_too: bool = True

    @property
    def query(self) -> str:
        """The visibility query."""
        parts = [TASKS_QUERY]
        if not self.cancelled_too:
            parts.append("ExecutionStatus != 'Canceled'")
        if self.condition is not None:
            parts.append(self.condition.query)
        return " AND ".join(parts)

    def holds(self, view: TaskView) -> bool:
        """Say whether a task that was read is one of them.

        Listed ones are asked too: the development server's visibility takes upper and
        lower case for the same where it looks for beginnings.
        """
        is_there = self.cancelled_too or view.state is not TaskState.CANCELLED
        return is_there and (self.condition is None or self.condition.holds(view))


class TaskList:
    """Lists of tasks. Raises `TemporalUnavailableError` when Temporal is silent."""

    def __init__(
        self,
        client: Client,
        reader: TaskReader,
        event_log: EventLog,
        requests: Requests,
        keyring: Keyring,
    ) -> None:
        self._client = client
        self._event_log = event_log
        self._fresh = FreshTasks(reader, requests)
        self._counts = TaskCounts(client)
        self._places = Places(keyring)

    async def page(
        self, wanted: Wanted, size: int, token: str | None = None
    ) -> TaskPage:
        """Return a page of tasks, at most `size`: the open ones first, the newest of
        them first, then the last ended.

        A token of the page before makes it the next, whatever was started since. Raises
        400 for one that is none.
        """
        recent = await self._fresh.recent(wanted.caller)
        if token is None:
            unlisted = await self._unlisted(wanted, recent)
            ids = tuple(view.id for view in unlisted)
            place = Place(shown=ids, pending=ids[size:])
            views = unlisted[:size]
        else:
            place = self._places.opened(token)
            views = await self._pending(wanted, place.pending[:size])
            place = Place(place.token, place.shown, place.pending[size:])
        room = size - len(views)
        if room == 0:
            return TaskPage(views, self._places.sealed(place))
        rows, following = await self._rows(wanted.query, room, place.token)
        views += await self._listed(wanted, rows, place.shown, recent)
        after = Place(following, place.shown, place.pending)
        more = following is not None or after.pending
        return TaskPage(_in_order(views), self._places.sealed(after) if more else None)

    async def skipped(self, wanted: Wanted, count: int) -> str | None:
        """Return the token of the page behind the first so many tasks; None if there
        are no more.
        """
        token: bytes | None = None
        while count > 0:
            size = min(count, LONGEST_PAGE)
            rows, token = await self._rows(wanted.query, size, token)
            count -= len(rows)
            if token is None:
                return None
        return self._places.sealed(Place(token))

    async def count(self, wanted: Wanted) -> int:
        """Return how many tasks there are, as visibility counts them: now, or moments
        ago if the caller has changed nothing since (`TaskCounts`).
        """
        recent = await self._fresh.recent(wanted.caller)
        changed_at = recent[0].made_at if recent else None
        return await self._counts.number(wanted.query, changed_at)

    async def _listed(
        self,
        wanted: Wanted,
        rows: Sequence[WorkflowExecution],
        shown: Sequence[str],
        recent: Sequence[RequestRecord],
    ) -> list[TaskView]:
        """Return the tasks of a page's rows, those as they are now that its caller has
        just done something to; without those that an earlier page has shown.
        """
        ids = {row.id for row in rows} - set(shown)
        unsettled = [each.task_id for each in recent if is_unsettled(each)]
        fresh = await self._fresh.read(each for each in unsettled if each in ids)
        others = [row for row in rows if row.id in ids - set(fresh)]
        runs = {(row.id, row.run_id): row for row in await self._newest(others)}
        told = await self._event_log.told_of(runs)
        views = [await listed_view(row, told[run]) for run, row in runs.items()]
        views += [view for view in fresh.values() if view is not None]
        return [view for view in views if wanted.holds(view)]

    async def _unlisted(
        self, wanted: Wanted, recent: Sequence[RequestRecord]
    ) -> list[TaskView]:
        """Return the tasks of its caller that are wanted and that visibility would list
        on no page, the newest first.
        """
        settled = {each.task_id for each in recent if not is_unsettled(each)}
        settled -= {each.task_id for each in recent if is_unsettled(each)}
        visible = await self._visible(TASKS_QUERY, settled)
        fresh = await self._fresh.read(
            each.task_id for each in recent if each.task_id not in visible
        )
        held = [view for view in fresh.values() if view and wanted.holds(view)]
        listed = await self._visible(wanted.query, {view.id for view in held})
        return _in_order(view for view in held if view.id not in listed)

    async def _pending(self, wanted: Wanted, ids: Iterable[str]) -> list[TaskView]:
        fresh = await self._fresh.read(ids)
        return [view for view in fresh.values() if view and wanted.holds(view)]

    async def _newest(
        self, rows: Sequence[WorkflowExecution]
    ) -> list[WorkflowExecution]:
        """Leave out the runs that go on as later runs: a reset ends the one before."""
        terminated = WorkflowExecutionStatus.TERMINATED
        ended = {row.id for row in rows if row.status is terminated}
        if not ended:
            return list(rows)
        newest: dict[str, WorkflowExecution] = {}
        async for run in self._runs(TASKS_QUERY, ended):
            known = newest.get(run.id)
            if known is None or run.start_time > known.start_time:
                newest[run.id] = run
        return [
            row
            for row in rows
            if row.id not in newest or row.run_id == newest[row.id].run_id
        ]

    async def _visible(self, query: str, ids: Iterable[str]) -> set[str]:
        """Return those of these tasks that visibility lists for a query."""
        return {run.id async for run in self._runs(query, ids)}

    async def _runs(
        self, query: str, ids: Iterable[str]
    ) -> AsyncIterator[WorkflowExecution]:
        wanted = ", ".join(quoted(each) for each in ids)
        if not wanted:
            return
        listed = self._client.list_workflows(
            f"{query} AND WorkflowId IN ({wanted})", rpc_timeout=RPC_TIMEOUT
        )
        try:
            async for run in listed:
                yield run
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error

    async def _rows(
        self, query: str, size: int, token: bytes | None
    ) -> tuple[Sequence[WorkflowExecution], bytes | None]:
        """Return the rows of a page, each task once, and the next page's token."""
        page = self._client.list_workflows(
            query,
            page_size=min(size, LONGEST_PAGE),
            next_page_token=token,
            rpc_timeout=RPC_TIMEOUT,
        )
        try:
            await page.fetch_next_page()
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        rows: dict[str, WorkflowExecution] = {}
        for row in page.current_page or ():
            rows.setdefault(row.id, row)
        return list(rows.values()), page.next_page_token


def _in_order(views: Iterable[TaskView]) -> list[TaskView]:
    """Sort as Temporal does: the open ones first, then the last ended."""
    latest = datetime.max.replace(tzinfo=UTC)
    return sorted(
        views, key=lambda view: (view.closed or latest, view.started), reverse=True
    )
