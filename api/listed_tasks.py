"""A task as a list tells it: from one row of visibility, and what its events say.

What only the waiting activity knows, as whether a task can be aborted just now, stands
in the Task itself.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from activities.memos import UNREADABLE
from activities.progress import SUSPENDED_MEMO
from api.last_words import Killing
from api.task_labels import labels_of
from api.task_reader import plan_in, refusal_in
from api.task_view import (
    OpenMemo,
    TaskView,
    ended_view,
    listed_open_view,
    unreadable_view,
)
from taskfish.store.event_log import Told
from workflows.task import (
    ABORT_REFUSED_MEMO,
    OUTCOME_MEMO,
    PERCENT_MEMO,
    TASK_MEMO,
    OutcomeMemo,
    TaskMemo,
)

logger = logging.getLogger(__name__)


async def listed_view(run: WorkflowExecution, told: Told) -> TaskView:
    """Return the view of a listed run; one that cannot be read says so by itself, and
    breaks no list (contracts.md 4).
    """
    try:
        memo = await run.memo()
        if run.close_time is None:
            return _open(run, memo, told)
        return _ended(run, memo, told)
    except UNREADABLE as error:
        logger.warning("%s cannot be read: %r", run.id, error)
        return unreadable_view(run)


def _ended(run: WorkflowExecution, memo: Mapping[str, Any], told: Told) -> TaskView:
    request = TaskMemo.model_validate(memo[TASK_MEMO])
    outcome = memo.get(OUTCOME_MEMO)
    labels = labels_of(run.typed_search_attributes)
    killed = None
    if run.status is WorkflowExecutionStatus.TERMINATED:
        is_told = told.end is not None and told.end.resolution is not None
        killed = Killing(percent=told.percent if is_told else None, words=told.end)
    return ended_view(
        run,
        request,
        OutcomeMemo.model_validate(outcome) if outcome else None,
        killed,
        begun=told.started_at is not None or labels.plugin_task is not None,
        plan=plan_in(memo),
    )


def _open(run: WorkflowExecution, memo: Mapping[str, Any], told: Told) -> TaskView:
    request = TaskMemo.model_validate(memo[TASK_MEMO])
    kept = OpenMemo(
        percent=max(memo.get(PERCENT_MEMO) or 0, told.percent),
        abort_refused=refusal_in(memo.get(ABORT_REFUSED_MEMO)),
        suspended=memo.get(SUSPENDED_MEMO),
        plan=plan_in(memo),
    )
    deadline = None
    if told.started_at is not None and request.deadline is not None:
        deadline = told.started_at + timedelta(seconds=request.deadline)
    return listed_open_view(run, request, kept, told.last, deadline)
