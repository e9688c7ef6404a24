"""What a node says of its power: derived from the inventory and from its tasks.

No state of its own (contracts.md 9).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.baremetal.power_targets import ERROR, UNDER_WAY, state_of
from api.baremetal.power_tasks import PowerTask
from taskfish.plugins.protocol import ABORTABLE_RESETS
from taskfish.redfish.inventory import Member
from taskfish.redfish.task import TaskState


@dataclass(frozen=True)
class Power:
    """The three properties of a node that tell of its power."""

    state: str | None
    target: str | None
    last_error: str | None


def power_of(member: Member, tasks: Sequence[PowerTask], since: datetime) -> Power:
    """Return the power of a node, from its tasks, the newest first.

    After an abort the state is `error` until a later change succeeds, for an abort
    that has ended before `since` no more.
    """
    under_way = next((task for task in tasks if task.is_under_way), None)
    ended = [task for task in tasks if task.state.ended]
    aborted = _aborted(ended, since)
    return Power(
        state=ERROR if aborted else state_of(member),
        target=UNDER_WAY.get(under_way.reset_type) if under_way else None,
        last_error=_last_error(aborted, under_way, ended),
    )


def _aborted(ended: Sequence[PowerTask], since: datetime) -> PowerTask | None:
    """Return the abort after which the state is not trusted, None without one."""
    aborts = (
        task
        for task in ended
        if task.state is TaskState.CANCELLED
        and task.reset_type in ABORTABLE_RESETS
        and _end(task) >= since
    )
    newest = next(aborts, None)
    if newest is None or any(_succeeds(task, newest) for task in ended):
        return None
    return newest


def _succeeds(task: PowerTask, aborted: PowerTask) -> bool:
    """Say whether a change came or ended after an aborted one, and was done."""
    is_later = task.started > aborted.started or _end(task) > _end(aborted)
    return task.state is TaskState.COMPLETED and is_later


def _end(task: PowerTask) -> datetime:
    return task.ended or task.started


def _last_error(
    aborted: PowerTask | None,
    under_way: PowerTask | None,
    ended: Sequence[PowerTask],
) -> str | None:
    """Return what went wrong last; a new change takes it back, as in Ironic."""
    if aborted is not None:
        return error_text(aborted)
    if under_way is not None or not ended or ended[0].state is TaskState.COMPLETED:
        return None
    return error_text(ended[0])


def error_text(task: PowerTask) -> str:
    """Return what a change says that has ended without success."""
    target = UNDER_WAY.get(task.reset_type, task.reset_type)
    if task.state is TaskState.CANCELLED:
        return f"The change to '{target}' was aborted: {task.words}".rstrip(": ")
    return f"Failed to change power state to '{target}': {task.words}".rstrip(": ")
