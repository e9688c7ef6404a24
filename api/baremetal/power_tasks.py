"""The tasks that change the power of nodes, whichever door they came through."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activities.retention import TASKS_QUERY
from api.authentication import User
from api.gateway import Gateway
from api.listed_tasks import listed_view
from api.privileges import may_see
from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from api.temporal_queries import quoted
from taskfish.redfish.operations import RESET_ACTION
from taskfish.redfish.task import TaskState
from taskfish.temporal import RPC_TIMEOUT

MOST_OF_A_NODE, MOST = 20, 1000
"""How many are looked at of one node, and of all: first the open ones."""
_RESETS = f"{TASKS_QUERY} AND TaskOperation = '{RESET_ACTION}'"


@dataclass(frozen=True)
class PowerTask:
    """A reset of a System, as much of it as its power states are told from.

    `uri` is the System's; `view` is what it was read from.
    """

    id: str
    run_id: str
    uri: str
    reset_type: str
    owner: str
    state: TaskState
    started: datetime
    ended: datetime | None
    words: str = ""
    view: TaskView | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether it has not ended, and does not wait for its maintenance window."""
        view = self.view
        waits = view and view.is_unsent and view.request.not_before is not None
        return not (self.state.ended or waits)


async def power_tasks(gateway: Gateway, user: User, system: str) -> list[PowerTask]:
    """Return the tasks of one node that the user may see, the newest first.

    Visibility may lag behind: what has a place on the machine, and what is listed as
    open, is described, so that nothing is missing that has just started or ended.
    """
    uri = f"{system}/Actions/{RESET_ACTION}"
    query = f"{_RESETS} AND TaskTarget = {quoted(uri)}"
    listed = await _listed(gateway, query)
    ended = {task.id: task for task in reversed(listed) if task.ended}
    to_read = {task.id for task in listed if not task.ended}
    places = sorted(await gateway.turns.on([system]), key=lambda each: each.taken_at)
    for place in places[-MOST_OF_A_NODE:]:
        seen = ended.get(place.task_id)
        if seen is None or seen.started < place.taken_at:
            to_read.add(place.task_id)
    found = {task.run_id: task for task in listed if task.ended}
    for task_id in to_read:
        view = await gateway.tasks.read(task_id)
        if view is not None and view.request.uri == uri:
            found[view.run_id] = _power_task(view)
    return _seen(gateway, user, found.values())


async def recent_power_tasks(
    gateway: Gateway, user: User, since: datetime
) -> list[PowerTask]:
    """Return the tasks of all nodes that the user may see, the newest first: the open
    ones and those that have ended since a moment, as visibility has them.
    """
    moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    recent = f"(ExecutionStatus = 'Running' OR CloseTime > '{moment}')"
    return _seen(gateway, user, await _listed(gateway, f"{_RESETS} AND {recent}", MOST))


def remembered_since(gateway: Gateway) -> datetime:
    """Return since when an abort still shows as the power state `error`."""
    seconds = gateway.settings.baremetal_error_seconds
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _seen(gateway: Gateway, user: User, tasks: Iterable[PowerTask]) -> list[PowerTask]:
    seen = [task for task in tasks if may_see(user, task.owner, gateway.settings)]
    return sorted(seen, key=lambda task: task.started, reverse=True)


async def _listed(
    gateway: Gateway, query: str, most: int = MOST_OF_A_NODE
) -> list[PowerTask]:
    """Return the tasks that visibility lists; one that nobody can read is left out."""
    rows = gateway.temporal.list_workflows(
        query, page_size=most, limit=most, rpc_timeout=RPC_TIMEOUT
    )
    try:
        runs = {(row.id, row.run_id): row async for row in rows}
    except TEMPORAL_FAULTS as error:
        raise unavailable(error) from error
    told = await gateway.event_log.told_of(runs)
    views = [await listed_view(row, told[run]) for run, row in runs.items()]
    return [task for view in views if (task := _power_task(view)).reset_type]


def _power_task(view: TaskView) -> PowerTask:
    body = view.request.body if isinstance(view.request.body, dict) else {}
    return PowerTask(
        id=view.id,
        run_id=view.run_id,
        uri=view.request.uri.partition("/Actions/")[0],
        reset_type=str(body.get("ResetType", "")),
        owner=view.owner,
        state=view.state,
        started=view.started,
        ended=view.ended,
        words=view.messages[-1].message if view.messages else "",
        view=view,
    )
