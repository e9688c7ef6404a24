"""The activities of one change, each with its own time-outs and retries."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from pydantic import JsonValue

    from activities.abort import AbortActivities, AbortAnswer, AbortRequest
    from activities.apply_time import (
        ApplyTimeActivities,
        ApplyTimesRequest,
        ResetWaited,
        ResetWaitRequest,
    )
    from activities.completion import CompletionActivities
    from activities.look import LookActivities, LookRequest
    from activities.pausing import PauseActivities, PauseAnswer, PauseRequest
    from activities.progress import Completion, FollowRequest, Progress
    from activities.submission import (
        Submission,
        SubmitActivities,
        SubmitRequest,
        Unknown,
    )
    from activities.superseding import SupersededRequest, SupersedingActivities
    from activities.turns import TurnActivities, TurnAnswer, TurnRequest
    from taskfish.redfish.apply_time import ApplyTime
    from taskfish.redfish.task import PluginTask, TaskState
    from taskfish.redfish.task_events import TaskSubject
    from taskfish.redfish.turn import Turn
    from taskfish.store.journal import JournalKey
    from taskfish.temporal import waiting_queue
    from workflows import policies
    from workflows.operation import Operation
    from workflows.task import finished, reason_of


def submit(
    operation: Operation,
    key: JournalKey,
    *,
    expected: JsonValue,
    deadline: datetime | None,
    source_applies: bool,
) -> workflow.ActivityHandle[Submission]:
    """Send the change: one attempt, what follows is decided by the workflow.

    `expected` is what a repeated sending must still find, None for the first.
    """
    change = operation.change
    return workflow.start_activity_method(
        SubmitActivities.submit,
        SubmitRequest(
            source=operation.source,
            change=change,
            secret_body=operation.secret_body,
            key=key,
            expected=expected,
            deadline=deadline,
            token=operation.token if _has_waited(operation, source_applies) else None,
            strips_apply_time=not source_applies,
        ),
        start_to_close_timeout=policies.A_SENDING_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.ONCE,
        summary=f"{change.method} {change.uri}",
    )


async def look(
    operation: Operation,
    key: JournalKey,
    reason: str,
    *,
    deadline: datetime | None,
    task_is_lost: bool = False,
    once: bool = False,
) -> Submission:
    """Look what became of a sending, for as long as it may be on its way, or once.

    What may be repeated is on its way until the source's time to answer is over; after
    the task's deadline there is one look. A look that fails tells nothing.
    """
    seconds = operation.submit_deadline
    if operation.change.method != "POST":
        seconds = max(seconds, operation.answer_timeout)
    looking = workflow.start_activity_method(
        LookActivities.look,
        LookRequest(
            source=operation.source,
            change=operation.change,
            key=key,
            reason=reason,
            task_is_lost=task_is_lost,
            seconds=0 if once else seconds,
            at_least=0 if once else min(seconds, policies.LEAST_LOOK),
            deadline=deadline,
        ),
        start_to_close_timeout=policies.A_LOOK_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary="look what became of the change",
    )
    try:
        return await finished(looking)
    except ActivityError as error:
        return Unknown(reason=f"{reason}; and the look failed: {reason_of(error)}")


def await_completion(
    operation: Operation,
    key: JournalKey,
    task: PluginTask,
    state: TaskState,
    deadline: datetime | None,
    grace_after: Progress | None,
    subject: TaskSubject | None,
) -> workflow.ActivityHandle[Completion]:
    """Wait for the source's task, apart from what acts (contracts.md 3)."""
    return workflow.start_activity_method(
        CompletionActivities.await_completion,
        FollowRequest(
            source=operation.source,
            uri=operation.change.uri,
            task=task,
            key=key,
            state=state,
            interrupted_after=operation.interrupted_after,
            deadline=deadline,
            grace_after=grace_after,
            secret_body=operation.secret_body,
            subject=subject,
        ),
        task_queue=waiting_queue(workflow.info().task_queue),
        start_to_close_timeout=policies.A_WAIT_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary=f"wait for {task.uri}",
    )


def abort(
    operation: Operation, task: PluginTask
) -> workflow.ActivityHandle[AbortAnswer]:
    """Ask the source to abort its task."""
    uri = operation.change.uri
    return workflow.start_activity_method(
        AbortActivities.abort,
        AbortRequest(source=operation.source, uri=uri, task=task),
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary=f"abort {task.uri}",
    )


def pause(
    operation: Operation, task: PluginTask, *, resumes: bool
) -> workflow.ActivityHandle[PauseAnswer]:
    """Ask the source to suspend its task, or to go on with it."""
    return workflow.start_activity_method(
        PauseActivities.pause_task,
        PauseRequest(
            source=operation.source,
            uri=operation.change.uri,
            task=task,
            resumes=resumes,
        ),
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary=f"{'resume' if resumes else 'suspend'} {task.uri}",
    )


def apply_times(operation: Operation) -> workflow.ActivityHandle[tuple[str, ...]]:
    """Ask which apply times the source takes care of itself."""
    return workflow.start_activity_method(
        ApplyTimeActivities.apply_times,
        ApplyTimesRequest(
            source=operation.source,
            change=operation.change,
            seconds=operation.submit_deadline,
        ),
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary="ask which apply times the source supports",
    )


def await_reset(
    operation: Operation, when: ApplyTime
) -> workflow.ActivityHandle[ResetWaited]:
    """Wait for the next reset of the change's systems."""
    return workflow.start_activity_method(
        ApplyTimeActivities.await_reset,
        ResetWaitRequest(
            source=operation.source,
            systems=operation.turn.systems,
            token=operation.token,
            task_id=workflow.info().workflow_id,
            until=when.window_end,
        ),
        task_queue=waiting_queue(workflow.info().task_queue),
        start_to_close_timeout=policies.A_WAIT_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary="wait for a reset of the machine",
    )


def await_turn(
    turn: Turn, token: str, uri: str, heartbeat_timeout: float
) -> workflow.ActivityHandle[TurnAnswer]:
    """Take a place on each of the turn's systems, and wait for those ahead.

    `token` is that of the task's start, `uri` what it changes.
    """
    return workflow.start_activity_method(
        TurnActivities.await_turn,
        TurnRequest(
            turn=turn, task_id=workflow.info().workflow_id, token=token, uri=uri
        ),
        task_queue=waiting_queue(workflow.info().task_queue),
        start_to_close_timeout=policies.A_WAIT_AT_MOST,
        heartbeat_timeout=timedelta(seconds=heartbeat_timeout),
        retry_policy=policies.UNTIL_DONE,
        summary="wait for its turn",
    )


def superseded(operation: Operation) -> workflow.ActivityHandle[tuple[str, ...]]:
    """Find the graceful resets that a step makes pointless: it cuts the power."""
    return workflow.start_activity_method(
        SupersedingActivities.superseded,
        SupersededRequest(
            systems=operation.turn.systems,
            task_id=workflow.info().workflow_id.partition(":")[0],
        ),
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        schedule_to_close_timeout=policies.A_SEARCH_AT_MOST,
        retry_policy=policies.UNTIL_DONE,
        summary="find the graceful resets that it makes pointless",
    )


def leave_turn(token: str, heartbeat_timeout: float) -> workflow.ActivityHandle[None]:
    """Give the places up: whoever waits behind may go ahead."""
    return workflow.start_activity_method(
        TurnActivities.leave_turn,
        token,
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        heartbeat_timeout=timedelta(seconds=heartbeat_timeout),
        retry_policy=policies.UNTIL_DONE,
        summary="give its turn up",
    )


def forget_secrets(operation: Operation) -> workflow.ActivityHandle[None]:
    """Delete the body with its secrets: nothing is sent any more."""
    assert operation.secret_body is not None, "asked only for what is kept"
    return forget_secret(operation.secret_body, operation.heartbeat_timeout)


def forget_secret(
    reference: str, heartbeat_timeout: float
) -> workflow.ActivityHandle[None]:
    """Delete a body that is kept; the time is in seconds."""
    return workflow.start_activity_method(
        SubmitActivities.forget_secrets,
        reference,
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        heartbeat_timeout=timedelta(seconds=heartbeat_timeout),
        retry_policy=policies.UNTIL_DONE,
        summary="forget the secrets of the request",
    )


def _has_waited(operation: Operation, source_applies: bool) -> bool:
    """Say whether a reset may be waiting for this change to be sent."""
    when = operation.apply_time
    return when is not None and when.needs_reset and not source_applies


def _heartbeat_timeout(operation: Operation) -> timedelta:
    return timedelta(seconds=operation.heartbeat_timeout)
