"""What every task's workflow tells the world: its state, its words, its end."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict

    from taskfish.redfish.messages import Message
    from taskfish.redfish.task import Answer, Health, Outcome, TaskState
    from taskfish.redfish.task_memo import TASK_MEMO as TASK_MEMO
    from taskfish.redfish.task_memo import TaskMemo as TaskMemo
    from taskfish.temporal import TASK_ENDED, TASK_STATE, TASK_STATUS

Result = TypeVar("Result")

OUTCOME_MEMO = "outcome"
ABORT_REFUSED_MEMO = "abort_refused"
PERCENT_MEMO = "percent"


class OutcomeMemo(BaseModel):
    """What a Task says of its end; the final answer is the workflow's result.

    `ended` is when, if not at the end of its workflow.
    """

    model_config = ConfigDict(frozen=True)

    state: TaskState
    status: Health
    messages: tuple[Message, ...] = ()
    created: tuple[str, ...] = ()
    percent: int = 0
    ended: datetime | None = None


def show(state: TaskState, words: str, *attributes: SearchAttributeUpdate[Any]) -> None:
    """Show a state to readers and lists, and say in words what is happening."""
    workflow.upsert_search_attributes([TASK_STATE.value_set(state.value), *attributes])
    workflow.set_current_details(words)


def conclude(outcome: Outcome) -> Answer:
    """End the task: return its final answer, or raise what makes it fail or cancelled.

    The state, its words and the end are one workflow task: no reader sees a part.
    """
    attributes: list[SearchAttributeUpdate[Any]] = [
        TASK_STATE.value_set(outcome.state.value),
        TASK_STATUS.value_set(outcome.status.value),
    ]
    if outcome.ended is not None:
        attributes.append(TASK_ENDED.value_set(outcome.ended))
    workflow.upsert_search_attributes(attributes)
    memo = OutcomeMemo(
        state=outcome.state,
        status=outcome.status,
        messages=outcome.messages,
        created=outcome.created,
        percent=outcome.percent,
        ended=outcome.ended,
    )
    workflow.upsert_memo({OUTCOME_MEMO: memo})
    words = outcome.messages[-1].message if outcome.messages else outcome.state.value
    workflow.set_current_details(words)
    if outcome.state is TaskState.CANCELLED:
        raise asyncio.CancelledError
    if outcome.state is not TaskState.COMPLETED:
        raise ApplicationError(
            words, outcome.answer, type="OperationFailed", non_retryable=True
        )
    return outcome.answer


def is_cancel_requested() -> bool:
    """Say whether somebody has asked to cancel this run."""
    return workflow.cancellation_reason() is not None


async def finished(done: asyncio.Future[Result]) -> Result:
    """Return what `done` brings; the cancel of the workflow does not break it off.

    A cancel is delivered once, but maybe only now though it was seen before (D6).
    """
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if done.cancelled() or not is_cancel_requested():
            raise
    return await asyncio.shield(done)


async def until(
    condition: Callable[[], bool], seconds: float | None = None, summary: str = ""
) -> None:
    """Wait durably until something is so, or for so many seconds.

    A cancel that comes meanwhile ends it too: it is seen by `is_cancel_requested`.
    """
    try:
        await workflow.wait_condition(
            condition, timeout=seconds, timeout_summary=summary or None
        )
    except TimeoutError:
        return
    except asyncio.CancelledError:
        if not is_cancel_requested():
            raise


async def until_or_cancel(
    condition: Callable[[], bool], seconds: float | None = None, summary: str = ""
) -> None:
    """Wait as `until`, but not at all once a cancel was requested."""
    await until(lambda: condition() or is_cancel_requested(), seconds, summary)


async def end_others(task_ids: Sequence[str]) -> None:
    """Cancel tasks that this one makes pointless, in its name; ended ones stay so."""
    me = f"the task {workflow.info().workflow_id}, which takes its place"
    for task_id in task_ids:
        other = workflow.get_external_workflow_handle(task_id)
        with suppress(FailureError):
            await other.signal("Cancel", me)
            await other.cancel(reason="another task takes its place")


def reason_of(error: ActivityError) -> str:
    """Return in words why an activity failed, without the names of our classes."""
    cause = error.cause
    return cause.message if isinstance(cause, FailureError) else str(cause or error)


async def pause(seconds: float, summary: str) -> None:
    """Wait durably; a cancel ends it early."""
    await until(is_cancel_requested, seconds, summary)


async def given_up(waiting: asyncio.Future[Any]) -> None:
    """Cancel an activity whose result nobody needs any more."""
    waiting.cancel()
    with suppress(ActivityError, asyncio.CancelledError):
        await waiting
