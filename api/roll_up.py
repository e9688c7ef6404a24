"""How far a multi-step operation is while its steps run, without a worker."""

from collections.abc import Sequence
from dataclasses import replace

from api.task_view import TaskView
from taskfish.redfish.step_plan import step_workflow
from taskfish.redfish.steps import UNDO
from taskfish.store.event_log import EventLog

MOST_STEPS = 50
"""Of an operation of more steps those that run are too small a share of it."""


async def rolled_up(event_log: EventLog, views: Sequence[TaskView]) -> list[TaskView]:
    """Return views, those of open operations with the share of the steps that run:
    the workflow itself notes ended steps only.
    """
    steps = {view.run: _steps_of(view) for view in views}
    wanted = [step for names in steps.values() for step in names]
    if not wanted:
        return list(views)
    since = min(view.started for view in views if steps[view.run])
    told = await event_log.percents_of(wanted, since)
    return [
        _rolled_up(view, [told.get(each, 0) for each in steps[view.run]])
        for view in views
    ]


def _steps_of(view: TaskView) -> list[str]:
    """Return the workflow ids of the steps that count, of an operation that is open."""
    if view.plan is None or view.state.ended or len(view.plan) > MOST_STEPS:
        return []
    names = (name for name in view.plan.names if not name.startswith(UNDO))
    return [step_workflow(view.id, name) for name in names]


def _rolled_up(view: TaskView, percents: Sequence[int]) -> TaskView:
    if not percents:
        return view
    share = sum(percents) // len(percents)
    return replace(view, percent=max(view.percent or 0, share))
