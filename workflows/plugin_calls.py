"""The activities of one change, each with its own time-outs and retries."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import JsonValue

    from activities.abort import AbortActivities, AbortAnswer, AbortRequest
    from activities.completion import Completion, CompletionActivities, FollowRequest
    from activities.look import LookActivities, LookRequest
    from activities.submission import Submission, SubmitActivities, SubmitRequest
    from taskfish.redfish.task import PluginTask, TaskState
    from taskfish.store.journal import JournalKey
    from taskfish.temporal import waiting_queue
    from workflows import policies
    from workflows.operation import Operation


def submit(
    operation: Operation, key: JournalKey, expected: JsonValue
) -> workflow.ActivityHandle[Submission]:
    """Send the change: one attempt, what follows is decided by the workflow."""
    change = operation.change
    return workflow.start_activity_method(
        SubmitActivities.submit,
        SubmitRequest(
            source=operation.source,
            change=change,
            secret_body=operation.secret_body,
            key=key,
            expected=expected,
        ),
        start_to_close_timeout=policies.A_SENDING_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.ONCE,
        summary=f"{change.method} {change.uri}",
    )


def look(
    operation: Operation,
    key: JournalKey,
    reason: str,
    *,
    task_is_lost: bool,
    once: bool,
) -> workflow.ActivityHandle[Submission]:
    """Look what became of a sending, for as long as it may be on its way, or once.

    What may be repeated is on its way until the source's time to answer is over.
    """
    seconds = operation.submit_deadline
    if operation.change.method != "POST":
        seconds = max(seconds, operation.answer_timeout)
    return workflow.start_activity_method(
        LookActivities.look,
        LookRequest(
            source=operation.source,
            change=operation.change,
            key=key,
            reason=reason,
            task_is_lost=task_is_lost,
            seconds=0 if once else seconds,
            at_least=0 if once else min(seconds, policies.LEAST_LOOK),
        ),
        start_to_close_timeout=policies.A_LOOK_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary="look what became of the change",
    )


def await_completion(
    operation: Operation, key: JournalKey, task: PluginTask, state: TaskState
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


def forget_secrets(operation: Operation) -> workflow.ActivityHandle[None]:
    """Delete the body with its secrets: nothing is sent any more."""
    assert operation.secret_body is not None, "asked only for what is kept"
    return workflow.start_activity_method(
        SubmitActivities.forget_secrets,
        operation.secret_body,
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        heartbeat_timeout=_heartbeat_timeout(operation),
        retry_policy=policies.UNTIL_DONE,
        summary="forget the secrets of the request",
    )


def _heartbeat_timeout(operation: Operation) -> timedelta:
    return timedelta(seconds=operation.heartbeat_timeout)
