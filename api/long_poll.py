"""Wait for the next change of a task's state, without holding a worker."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from fastapi import Request
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest

from api.disconnection import unless_gone
from api.gateway import Gateway
from api.preferences import note_applied, preferred_wait
from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS

LOOK_AGAIN_SECONDS = 2.0
"""A state that no event of the history brings is seen at most so much later."""


async def wait_for_change(
    gateway: Gateway, request: Request, view: TaskView
) -> TaskView:
    """Return the view when the task's state is another one, at once if it has ended.

    `Prefer: wait=N` of the request says for how many seconds at most; without it, and
    when the client goes away, the view that was given comes back.
    """
    wait = preferred_wait(request)
    if wait is None:
        return view
    note_applied(request, wait)
    if view.state.ended or wait.seconds == 0:
        return view
    newest = [view]
    with suppress(TimeoutError):
        async with asyncio.timeout(wait.seconds):
            await unless_gone(request, _until_changed(gateway, newest))
    return newest[-1]


async def _until_changed(gateway: Gateway, seen: list[TaskView]) -> None:
    """Add what the task looks like now, until its state is not that of the first."""
    first = seen[0]
    news = _History(gateway, first)
    while seen[-1].state is first.state:
        await news.wait()
        now = await gateway.tasks.read(first.id, first.run_id)
        if now is None:
            return
        seen.append(now)


class _History:
    """The events of a run, waited for one after the other."""

    def __init__(self, gateway: Gateway, view: TaskView) -> None:
        self._service = gateway.temporal.workflow_service
        self._request = GetWorkflowExecutionHistoryRequest(
            namespace=gateway.temporal.namespace,
            execution=WorkflowExecution(workflow_id=view.id, run_id=view.run_id),
            wait_new_event=True,
            skip_archival=True,
        )

    async def wait(self) -> None:
        """Return when there are events that were not there before, or after 2 s."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                try:
                    page = await self._service.get_workflow_execution_history(
                        self._request, timeout=timedelta(seconds=LOOK_AGAIN_SECONDS * 2)
                    )
                    self._request.next_page_token = page.next_page_token
                except TEMPORAL_FAULTS:
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
