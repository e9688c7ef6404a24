"""The answer to a request that has started a task: its final one if it comes in time,
else 202 (`Prefer: wait=N`, RFC 7240; contracts.md 6).
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import Response
from temporalio.client import WorkflowHistoryEventFilterType

from api.accepted_modes import accepted_response
from api.disconnection import unless_gone
from api.gateway import Gateway
from api.link_headers import add_link
from api.preferences import Wait, note_applied
from api.responses import monitor_uri, source_response, task_uri
from api.starting import NewTask, StartedTask, start_once
from api.task_request import TaskRequest
from api.task_resources import task_resource
from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS
from taskfish.errors import TaskGoneError, TransientError
from taskfish.redfish.task import TaskState
from taskfish.store.accounts import AcceptedForm


async def answer_with_task(
    asked: TaskRequest, new: NewTask, wait: Wait | None = None
) -> Response:
    """Start a task; return its final answer if it comes within the wait, else 202.

    Without a wait it is the caller's, or the one of the settings. Raises what refuses
    the task before it has started.

    A repeated request gets what the first has got, or would have: its wait counts
    from the start of the task. Nothing that fails from here on makes it an error: the
    task has started. A cancelled task has no final answer: its 202 says that it was.
    """
    gateway = asked.gateway
    started = await start_once(gateway, new)
    wait = wait or asked.wishes.wait or Wait(gateway.settings.wait_other)
    note_applied(asked.http, wait)
    with suppress(TransientError, TaskGoneError):
        final = await _final_answer(asked.http, gateway, started, wait)
        if final is not None:
            return final
    return await _accepted(gateway, asked.form, started)


async def _final_answer(
    request: Request, gateway: Gateway, started: StartedTask, wait: Wait
) -> Response | None:
    seconds, view = wait.seconds, None
    if started.repeated and seconds > 0:
        view = await _view(gateway, started)
        seconds -= _age(view)
    if seconds > 0:
        await unless_gone(request, _until_ended(gateway, started, seconds))
        view = await _view(gateway, started)
    if view is None or view.ended is None or seconds <= 0:
        return None
    if view.state is TaskState.CANCELLED:
        return None
    response = source_response(await gateway.tasks.answer(view))
    response.headers["Task-Id"] = started.task_id
    add_link(response.headers, f'<{task_uri(started.task_id)}>; rel="task"')
    return response


def _age(view: TaskView | None) -> float:
    """Return how long a task has taken, until now if it has not ended."""
    if view is None:
        return 0
    return ((view.ended or datetime.now(UTC)) - view.started).total_seconds()


async def _until_ended(gateway: Gateway, started: StartedTask, seconds: float) -> None:
    """Wait for the last event of the run: no worker and no polling takes part."""
    run = gateway.temporal.get_workflow_handle(started.task_id, run_id=started.run_id)
    last = run.fetch_history_events(
        wait_new_event=True,
        event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT,
        skip_archival=True,
    )
    with suppress(TimeoutError, *TEMPORAL_FAULTS):
        async with asyncio.timeout(seconds):
            async for _ in last:
                return


async def _accepted(
    gateway: Gateway, form: AcceptedForm, started: StartedTask
) -> Response:
    """Return the 202, with the Task if it can be read."""
    run_id = started.first_run_id if started.chosen else None
    monitor = monitor_uri(started.task_id, run_id)
    task = None
    with suppress(TransientError):
        view = await _view(gateway, started)
        task = await task_resource(gateway, view) if view else None
    response = accepted_response(form, started.task_id, monitor, task)
    if task is not None and task.task_state == TaskState.CANCELLED:
        # Its monitor has gone: there is nothing to ask for later.
        del response.headers["Retry-After"]
    return response


async def _view(gateway: Gateway, started: StartedTask) -> TaskView | None:
    return await gateway.tasks.read(started.task_id, started.run_id)
