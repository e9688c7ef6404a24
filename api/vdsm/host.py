"""The verbs of Host: all tasks, or all jobs, in one answer."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated

from pydantic import Field, JsonValue

from api.task_collections import tasks_wanted
from api.task_conditions import Condition
from api.task_filter import one_of
from api.task_view import TaskView
from api.vdsm.calls import Call, verbs
from api.vdsm.records import Record, details, info, job, status

VERBS = verbs()
HOST = "Host."
"""What the names of these verbs begin with: each reads many tasks."""
SPM = "spm"
"""The tag of the tasks that callers of old know of."""
PAGE = 500
"""Tasks that are read at once, and of which only records are kept."""
Word = Annotated[str, Field(pattern=r"^[\x21-\x7e]{0,255}$")]
Words = Annotated[list[Word], Field(max_length=100)]
Records = dict[str, Record]


@VERBS.add("Host.getAllTasks", pass_context=True)
async def get_all_tasks(
    call: Call, tag: Word | Words | None = None, options: JsonValue = None
) -> Records:
    """Return every task, or those that have a tag, or one of several."""
    tags = [tag] if isinstance(tag, str) else tag or []
    return await _records(call, details, _any(_TAGS, tags))


@VERBS.add("Host.getAllTasksInfo", pass_context=True)
async def get_all_tasks_info(
    call: Call, spUUID: JsonValue = None, options: JsonValue = None
) -> Records:
    """Return what the tasks with the tag spm are."""
    return await _records(call, info, _any(_TAGS, [SPM]))


@VERBS.add("Host.getAllTasksStatuses", pass_context=True)
async def get_all_tasks_statuses(
    call: Call, spUUID: JsonValue = None, options: JsonValue = None
) -> Records:
    """Return how the tasks with the tag spm are."""
    return await _records(call, status, _any(_TAGS, [SPM]))


@VERBS.add("Host.getJobs", pass_context=True)
async def get_jobs(
    call: Call,
    job_type: Word | None = None,
    job_ids: Words | None = None,
    options: JsonValue = None,
) -> Records:
    """Return all tasks as jobs, or those of some ids, or of one operation."""
    kind = _any(_OPERATION, [job_type or ""])
    return await _records(call, job, kind, _any(_ID, job_ids or []))


_TAGS, _OPERATION, _ID = "Oem/Taskfish/Tags", "Oem/Taskfish/Operation", "Id"


def _any(name: str, values: list[str]) -> Condition | None:
    """Ask for one of some values, or for all tasks where none is named."""
    named = [value for value in values if value]
    return one_of(name, named) if named else None


async def _records(
    call: Call, shown: Callable[[TaskView], Record], *conditions: Condition | None
) -> Records:
    return {view.id: shown(view) async for view in _tasks(call, *conditions)}


async def _tasks(call: Call, *conditions: Condition | None) -> AsyncIterator[TaskView]:
    """Yield all tasks that are there for who asks, page by page.

    One that ends meanwhile may come twice, the second time as it has ended.
    """
    wanted = tasks_wanted(call.gateway, call.user, *conditions)
    token = None
    while True:
        page = await call.gateway.task_list.page(wanted, PAGE, token)
        for view in page.views:
            yield view
        token = page.next_token
        if token is None:
            return
