"""A task as Temporal tells it at one moment (D7): the model, and how it is read."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio.client import (
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)

from activities.progress import Progress
from api.composite_words import cancel_of_steps, words_of_steps
from api.last_words import Killing, words_of_killed
from api.task_labels import TaskLabels, labels_of
from taskfish.redfish.messages import Message, base_message, task_message
from taskfish.redfish.step_plan import PlanMemo
from taskfish.redfish.task import Health, TaskState
from taskfish.temporal import TASK_TARGET
from workflows.task import OutcomeMemo, TaskMemo

_STATUS_OF = {
    WorkflowExecutionStatus.COMPLETED: TaskState.COMPLETED,
    WorkflowExecutionStatus.FAILED: TaskState.EXCEPTION,
    WorkflowExecutionStatus.TIMED_OUT: TaskState.EXCEPTION,
    WorkflowExecutionStatus.CANCELED: TaskState.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: TaskState.KILLED,
}
_HEALTH_OF = {
    TaskState.COMPLETED: Health.OK,
    TaskState.EXCEPTION: Health.CRITICAL,
    TaskState.CANCELLED: Health.WARNING,
    TaskState.KILLED: Health.CRITICAL,
}
_HOW_TO_READ = (
    "Check that TASKFISH_ENCRYPTION_KEYS has the key of then, and that this version is "
    "not older than the one that started the task."
)
ITS_SOURCE = "its source"
"""Who has asked to cancel a task that its source has cancelled by itself."""


@dataclass(frozen=True)
class TaskView:
    """A task as Temporal tells it at one moment. `status` is there at its end only.

    `first_run_id` stays the same when the workflow is reset. `percent` is None where
    nobody has kept it. `deadline` is the moment at which it is aborted, None without
    one and while its time stands still. `is_cancelling`: somebody has asked for it
    and nobody refused; `abort_refused` is why the source has, else empty. `abortable`
    is False if the source says that its task cannot be aborted, or makes none of what
    it is being sent; None if nothing is known. `suspended` is who has suspended it,
    None if nobody has. `is_unsent`: nothing is under way to the source, so that it can
    still be held back. `closed` is when its workflow ended, from which on it is kept:
    an adopted task may have ended before. A multi-step operation has a `plan`, and
    `running` names its steps under way; of a listed one they are not known.
    """

    id: str
    run_id: str
    first_run_id: str
    request: TaskMemo
    labels: TaskLabels
    state: TaskState
    started: datetime
    status: Health | None = None
    ended: datetime | None = None
    percent: int | None = None
    messages: tuple[Message, ...] = ()
    created: tuple[str, ...] = ()
    deadline: datetime | None = None
    is_cancelling: bool = False
    abort_refused: str = ""
    abortable: bool | None = None
    pausable: bool = False
    suspended: str | None = None
    is_unsent: bool = False
    closed: datetime | None = None
    plan: PlanMemo | None = None
    running: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """Who has started it."""
        return self.labels.owner

    @property
    def run(self) -> tuple[str, str]:
        """Workflow id and run id."""
        return self.id, self.run_id


@dataclass(frozen=True)
class OpenMemo:
    """What a running workflow keeps in its memo beside its request."""

    percent: int = 0
    abort_refused: str = ""
    suspended: str | None = None
    plan: PlanMemo | None = None
    running: tuple[str, ...] = ()


def is_cancel_requested(run: WorkflowExecutionDescription) -> bool:
    """Say whether Temporal was asked to cancel it, be it in vain."""
    return run.raw_description.workflow_extended_info.cancel_requested


def open_view(
    run: WorkflowExecutionDescription,
    request: TaskMemo,
    memo: OpenMemo,
    progress: Progress | None,
    cancelled_by: str | None,
) -> TaskView:
    """Return the view of a running task; `progress` is what its wait has last seen.

    `cancelled_by` is who has asked to cancel it, be it in vain; None if nobody has.
    """
    labels = labels_of(run.typed_search_attributes)
    if labels.state is TaskState.STOPPING and cancelled_by == ITS_SOURCE:
        # The source has only done what it was told when the time was over.
        cancelled_by = None
    cancelling = cancelled_by is not None and not memo.abort_refused
    state = _open_state(labels, memo, progress, cancelling=cancelling)
    seen = progress or Progress(state=state)
    said = [*_started(run, begun=labels.may_have_been_sent), *seen.messages]
    said += words_of_steps(run.id, memo.plan, memo.running, memo.percent)
    if state is TaskState.PENDING and not said and request.not_before is not None:
        said.append(_waits_until(run, request.not_before))
    why = _why_paused(state, labels, memo, seen)
    if why is not None:
        text = f"The task {run.id} was paused {why}."
        said.append(task_message("TaskPaused", run.id, text=text))
    percent = max(seen.percent, memo.percent)
    is_unsent = _is_unsent(run, labels)
    if cancelled_by is not None:
        what = _cancelling(memo.abort_refused, is_unsent=is_unsent)
        if memo.plan is not None:
            what = cancel_of_steps(state)
        text = f"{cancelled_by} has asked to cancel the task {run.id}{what}"
        # The registry has a message for the end of a cancel only.
        said.append(
            task_message("TaskProgressChanged", run.id, f"{percent}", text=text)
        )
    return replace(
        _view(run, request, state),
        percent=percent,
        messages=tuple(said),
        deadline=_deadline(seen),
        is_cancelling=cancelling,
        abort_refused=memo.abort_refused,
        abortable=_abortable(request, labels, seen, is_unsent=is_unsent),
        pausable=seen.pausable,
        suspended=memo.suspended,
        is_unsent=is_unsent,
        plan=memo.plan,
        running=memo.running,
    )


def listed_open_view(
    run: WorkflowExecution,
    request: TaskMemo,
    memo: OpenMemo,
    told: Message | None,
    deadline: datetime | None,
) -> TaskView:
    """Return the view of a running task that was listed, not described: its state is
    what its workflow has last shown, `told` the last that subscribers were told.
    """
    labels = labels_of(run.typed_search_attributes)
    cancelling = labels.state is TaskState.CANCELLING and not memo.abort_refused
    state = _open_state(labels, memo, None, cancelling=cancelling)
    started = _started(run, begun=labels.may_have_been_sent)
    stands_still = state is TaskState.PENDING or memo.suspended is not None
    return replace(
        _view(run, request, state),
        percent=memo.percent,
        messages=(*started, *([told] if told and told not in started else [])),
        deadline=None if stands_still else deadline,
        is_cancelling=cancelling,
        abort_refused=memo.abort_refused,
        suspended=memo.suspended,
        is_unsent=not labels.may_have_been_sent,
        plan=memo.plan,
    )


def ended_view(
    run: WorkflowExecution,
    request: TaskMemo,
    outcome: OutcomeMemo | None,
    killing: Killing | None,
    *,
    begun: bool,
    plan: PlanMemo | None = None,
) -> TaskView:
    """Return the view of an ended task: by its own words, or by its status if it had
    none left. `killing` says how it was terminated, `begun` whether it had started
    to do anything for its source.
    """
    labels = labels_of(run.typed_search_attributes)
    state = _STATUS_OF[run.status or WorkflowExecutionStatus.FAILED]
    status = _HEALTH_OF[state]
    percent: int | None = None
    created: tuple[str, ...] = ()
    ended = run.close_time
    if outcome is not None and outcome.state is state:
        status, percent, created = outcome.status, outcome.percent, outcome.created
        last_words, ended = outcome.messages, outcome.ended or ended
    elif state is TaskState.KILLED:
        killing = killing or Killing()
        percent = killing.percent
        last_words = (words_of_killed(run.id, request, labels, killing, plan),)
    else:
        key = "TaskCancelled" if state is TaskState.CANCELLED else "TaskAborted"
        last_words = (task_message(key, run.id),)
    return replace(
        _view(run, request, state),
        status=status,
        ended=ended,
        closed=run.close_time,
        percent=percent,
        messages=(*_started(run, begun=begun), *last_words),
        created=created,
        plan=plan,
    )


def unreadable_view(run: WorkflowExecution) -> TaskView:
    """Return the view of a run whose own words cannot be read here: by its status, and
    saying so.
    """
    labels = labels_of(run.typed_search_attributes)
    state = _STATUS_OF.get(run.status, labels.state) if run.status else labels.state
    text = f"What the task {run.id} was asked for, and what it says, cannot be read."
    message = base_message("InternalError", text=text, resolution=_HOW_TO_READ)
    request = TaskMemo(
        name=labels.operation,
        method="",
        uri=run.typed_search_attributes.get(TASK_TARGET) or "",
    )
    return replace(
        _view(run, request, state),
        status=_HEALTH_OF.get(state),
        ended=run.close_time,
        closed=run.close_time,
        messages=(message,),
    )


def _view(run: WorkflowExecution, request: TaskMemo, state: TaskState) -> TaskView:
    """Return what every view of a run has."""
    return TaskView(
        id=run.id,
        run_id=run.run_id,
        first_run_id=_first_run_id(run),
        request=request,
        labels=labels_of(run.typed_search_attributes),
        state=state,
        started=request.began or run.start_time,
    )


def _open_state(
    labels: TaskLabels, memo: OpenMemo, progress: Progress | None, *, cancelling: bool
) -> TaskState:
    """Return the state of a running task (D7's table).

    While the source has the task its own state counts, whoever has paused it, unless
    it is being stopped. An operation that undoes its steps stops, also once cancelled.
    """
    is_undoing = memo.plan is not None and labels.state is TaskState.STOPPING
    if cancelling and not is_undoing:
        return TaskState.CANCELLING
    if memo.suspended is not None and not labels.may_have_been_sent:
        return TaskState.SUSPENDED
    if progress is None or labels.state is TaskState.STOPPING:
        return labels.state
    return progress.state


def _why_paused(
    state: TaskState, labels: TaskLabels, memo: OpenMemo, seen: Progress
) -> str | None:
    """Say by whom, or by what, a task is paused; None if it is not."""
    if state is TaskState.SUSPENDED:
        return f"by {memo.suspended or f'its source {labels.source}'}"
    if state is not TaskState.INTERRUPTED:
        return None
    if seen.silent_since is None:
        return f"because its source {labels.source} says that it is interrupted"
    since = f"{seen.silent_since:%FT%TZ}"
    return f"because its source {labels.source} is out of reach since {since}: " + (
        seen.silence
    )


def _is_unsent(run: WorkflowExecutionDescription, labels: TaskLabels) -> bool:
    """Say whether nothing was sent, or nothing that arrived, and nothing is just now:
    between two tries no activity is pending, and before one no worker has taken it.
    """
    if not labels.may_have_been_sent:
        return True
    pending = run.raw_description.pending_activities
    is_under_way = any(
        each.activity_type.name != "submit" or each.HasField("last_started_time")
        for each in pending
    )
    return (
        labels.state is TaskState.STARTING
        and labels.plugin_task is None
        and not is_under_way
    )


def _abortable(
    request: TaskMemo, labels: TaskLabels, seen: Progress, *, is_unsent: bool
) -> bool | None:
    """Return whether it can be aborted: what its source says of its task counts, else
    that it makes none.
    """
    has_no_task = not (request.abortable or labels.plugin_task or is_unsent)
    return False if has_no_task else seen.abortable


def _deadline(progress: Progress) -> datetime | None:
    if progress.left is None or progress.as_of is None or progress.stands_still:
        return None
    return progress.as_of + timedelta(seconds=progress.left)


def _started(run: WorkflowExecution, *, begun: bool) -> list[Message]:
    """Say that it has started once it has: what only waits has not (TaskEvent 1.0)."""
    return [task_message("TaskStarted", run.id)] if begun else []


def _waits_until(run: WorkflowExecution, moment: datetime) -> Message:
    text = (
        f"The task {run.id} waits for its maintenance window, which begins"
        f" {moment:%FT%TZ}."
    )
    return task_message("TaskProgressChanged", run.id, "0", text=text)


def _cancelling(refused: str, *, is_unsent: bool) -> str:
    """Say what comes of a cancel; `refused` is why its source does not obey."""
    if refused:
        return f"; its source has refused: {refused}. It goes on."
    if is_unsent:
        return "; its change is not sent any more."
    return "; it ends when its source has ended it."


def _first_run_id(run: WorkflowExecution) -> str:
    return run.raw_info.first_run_id or run.run_id
