"""Lists of tasks: one visibility query a page, and what it does not know yet (D7).

Visibility lags behind by moments. So a list has, besides, the tasks that its caller has
started or asked to end within the last minute, as they are now (contracts.md 6).
"""

import asyncio
import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecution

from activities.retention import TASKS_QUERY
from api.listed_tasks import listed_view
from api.task_conditions import Condition, bad_value
from api.task_reader import TaskReader
from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from taskfish.encryption import Keyring
from taskfish.errors import UndecryptableError
from taskfish.store.event_log import EventLog
from taskfish.store.requests import RequestRecord, Requests
from taskfish.temporal import RPC_TIMEOUT

SKIP_TOKEN = "$skiptoken"
LONGEST_PAGE = 1000
"""Rows that Temporal gives at once, at most."""
VISIBLE_AFTER = timedelta(seconds=60)
"""After this long visibility knows of everything."""
SHOWN_AFTER = timedelta(seconds=5)
"""After this long it has, as a rule, the state of a task that was just started."""
MOST_FRESH = 200
"""How many tasks of the last minute a list looks up by themselves, the newest."""
PURPOSE = b"pages"
"""What the tokens of pages are sealed for."""
MOST_SHOWN = 50
"""How many tasks that visibility did not know are remembered from page to page."""
_AT_ONCE = 16


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
        """Say whether a task that was read is one of them."""
        is_there = self.cancelled_too or view.state != "Cancelled"
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
        self._reader = reader
        self._event_log = event_log
        self._requests = requests
        self._keyring = keyring.bound_to(PURPOSE)

    async def page(
        self, wanted: Wanted, size: int, token: str | None = None
    ) -> TaskPage:
        """Return a page of tasks, at most about `size`: the open ones first, the newest
        of them first, then the last ended.

        A token of the page before makes it the next, whatever was started since. Raises
        400 for one that is none.
        """
        place = self._opened(token)
        rows, following = await self._rows(wanted, size, place.token)
        fresh = await self._fresh(wanted.caller, rows, is_first=token is None)
        listed = [row for row in rows if row.id not in {*fresh, *place.shown}]
        views = await self._views(listed)
        there = {row.id for row in rows} - set(place.shown)
        views += [v for v in fresh.values() if v and v.id in there and wanted.holds(v)]
        shown = place.shown
        if token is None:
            unseen = [v for v in fresh.values() if v and v.id not in there]
            newer = await self._unlisted(wanted, unseen)
            views += newer
            shown = tuple(view.id for view in newer)[:MOST_SHOWN]
        return TaskPage(_in_order(views), self._sealed(following, shown))

    async def skipped(self, wanted: Wanted, count: int) -> str | None:
        """Return the token of the page behind the first so many tasks; None if there
        are no more.
        """
        token: bytes | None = None
        while count > 0:
            size = min(count, LONGEST_PAGE)
            rows, token = await self._rows(wanted, size, token)
            count -= len(rows)
            if token is None:
                return None
        return self._sealed(token)

    async def count(self, wanted: Wanted) -> int:
        """Return how many tasks there are, as visibility counts them."""
        try:
            found = await self._client.count_workflows(
                wanted.query, rpc_timeout=RPC_TIMEOUT
            )
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        return found.count

    async def _rows(
        self, wanted: Wanted, size: int, token: bytes | None
    ) -> tuple[Sequence[WorkflowExecution], bytes | None]:
        """Return the rows of a page, each task once, and the next page's token."""
        page = self._client.list_workflows(
            wanted.query,
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

    async def _views(self, rows: Iterable[WorkflowExecution]) -> list[TaskView]:
        runs = {(row.id, row.run_id): row for row in rows}
        told = await self._event_log.told_of(runs)
        return [await listed_view(row, told[run]) for run, row in runs.items()]

    async def _fresh(
        self, caller: str, rows: Sequence[WorkflowExecution], *, is_first: bool
    ) -> dict[str, TaskView | None]:
        """Return what the caller's last requests are about, as it is now; None for what
        is no more.

        A task that was started a while ago and is listed is taken as it is listed.
        """
        now = datetime.now(UTC)
        recent = await self._requests.of_owner_since(caller, now - VISIBLE_AFTER)
        listed = {row.id for row in rows}

        def is_stale(request: RequestRecord) -> bool:
            if request.ends_task or now - request.made_at < SHOWN_AFTER:
                return is_first or request.task_id in listed
            return is_first and request.task_id not in listed

        wanted = dict.fromkeys(each.task_id for each in recent if is_stale(each))
        places = asyncio.Semaphore(_AT_ONCE)

        async def read(task_id: str) -> TaskView | None:
            async with places:
                return await self._reader.read(task_id)

        ids = list(wanted)[:MOST_FRESH]
        return dict(zip(ids, await asyncio.gather(*map(read, ids)), strict=True))

    async def _unlisted(
        self, wanted: Wanted, views: Sequence[TaskView]
    ) -> list[TaskView]:
        """Return those of these that are wanted and that visibility would not list, on
        this page or another.
        """
        held = [view for view in views if wanted.holds(view)]
        if not held:
            return []
        ids = ", ".join(f"'{view.id}'" for view in held)
        query = f"{wanted.query} AND WorkflowId IN ({ids})"
        listed = self._client.list_workflows(query, rpc_timeout=RPC_TIMEOUT)
        try:
            visible = {run.id async for run in listed}
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        return [view for view in held if view.id not in visible]

    def _sealed(self, token: bytes | None, shown: Sequence[str] = ()) -> str | None:
        """Return the place of a page as it goes out: nobody can make one up."""
        if not token:
            return None
        place = json.dumps([base64.b64encode(token).decode(), *shown]).encode()
        return base64.urlsafe_b64encode(self._keyring.seal(place)).decode()

    def _opened(self, token: str | None) -> "_Place":
        if token is None:
            return _Place()
        try:
            sealed = base64.b64decode(token, altchars=b"-_", validate=True)
            inner, *shown = json.loads(self._keyring.open(sealed))
        except (ValueError, UndecryptableError) as error:
            how = "Follow Members@odata.nextLink as it stands."
            raise bad_value(SKIP_TOKEN, token, how) from error
        return _Place(base64.b64decode(inner), tuple(shown))


@dataclass(frozen=True)
class _Place:
    """Where a page begins: behind Temporal's token, and without the tasks that were
    shown before visibility knew of them.
    """

    token: bytes | None = None
    shown: tuple[str, ...] = ()


def _in_order(views: Iterable[TaskView]) -> list[TaskView]:
    """Sort as Temporal does: the open ones first, then the last ended."""
    latest = datetime.max.replace(tzinfo=UTC)
    return sorted(
        views, key=lambda view: (view.closed or latest, view.started), reverse=True
    )
