"""Have many ended tasks removed, in the background if it takes long."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from activities.retention import REMOVE_ENDED_TASKS, EndedTasks
from api.gateway import Gateway
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from taskfish.temporal import RPC_TIMEOUT

ANSWER_SECONDS = 2.0
"""How long a request waits for the removal's end before it answers without."""


async def remove_ended_tasks(gateway: Gateway, source: str | None = None) -> None:
    """Remove the tasks that have ended by now, all or those of a source.

    An internal workflow does it, which no crash of a process stops. A newer request
    for the same tasks replaces an older one: what that had to do, this does too.
    Returns when all are gone, or after 2 seconds. Raises `TemporalUnavailableError`.
    """
    try:
        removing: WorkflowHandle[Any, Any] = await gateway.temporal.start_workflow(
            REMOVE_ENDED_TASKS,
            EndedTasks(ended_before=datetime.now(UTC), source=source),
            id=f"removal:source:{source}" if source else "removal:all",
            task_queue=gateway.settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
            static_summary="Removes ended tasks",
            rpc_timeout=RPC_TIMEOUT,
        )
    except TEMPORAL_FAULTS as error:
        raise unavailable(error) from error
    with suppress(TimeoutError, WorkflowFailureError, *TEMPORAL_FAULTS):
        async with asyncio.timeout(ANSWER_SECONDS):
            await removing.result()
