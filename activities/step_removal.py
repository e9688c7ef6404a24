"""Remove what the steps of a task have left: it goes with the task."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError

from activities.batches import in_batches
from activities.memos import UNREADABLE, request_in
from activities.open_places import token_of
from activities.runs import delete_run, described, removal_unavailable
from taskfish.redfish.step_plan import (
    PLAN_MEMO,
    PlanMemo,
    step_workflow,
    token_of_step,
)
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal
from taskfish.temporal import RPC_TIMEOUT, time_in_query

AT_ONCE = 100
"""Steps that are removed together."""
CALLS_AT_ONCE = 16
_STEPS = "TaskOperation IS NOT NULL AND ParentWorkflowId IS NOT NULL"


class StepRemoval:
    """Removes steps that have ended, and what the store keeps for them.

    Those of a killed task that still end stay until then: `orphans` takes them later.
    Raises `TemporalUnavailableError` when Temporal is silent.
    """

    def __init__(self, client: Client, journal: Journal, event_log: EventLog) -> None:
        self._client = client
        self._journal = journal
        self._event_log = event_log

    async def of_task(self, task: WorkflowExecutionDescription) -> None:
        """Remove the steps of a task that is removed, and those of steps; with them
        the earlier runs of one that has gone on as a new run (continue-as-new).
        """
        token = await token_of(task)
        plan = await _plan_of(task)
        if not token or plan is None:
            return
        seen = set[str]()
        async for batch in in_batches(self._listed(task.id), AT_ONCE):
            seen.update(run.id for run in batch)
            await self._remove([run for run in batch if await _is_of(run, token)])
        await self._remove_unlisted(task, token, set(plan.names), seen)

    async def orphans(self, ended_before: datetime) -> int:
        """Remove the steps of tasks that are no more; return how many went."""
        query = (
            f"{_STEPS} AND ExecutionStatus != 'Running' "
            f"AND CloseTime < '{time_in_query(ended_before)}'"
        )
        tokens: dict[str, str | None] = {}
        removed = 0
        async for batch in in_batches(self._runs(query), AT_ONCE):
            for task_id in {_task_of(run) for run in batch} - tokens.keys():
                task = await described(self._client, task_id)
                tokens[task_id] = "" if task is None else await token_of(task)
            going = [run for run in batch if await _is_orphan(run, tokens)]
            await self._remove(going)
            removed += len(going)
        return removed

    def _listed(self, task_id: str) -> AsyncIterator[WorkflowExecution]:
        """Return the runs of a task's steps, and its own that went on as later ones."""
        its = task_id.replace("'", "''")
        return self._runs(
            f"(WorkflowId STARTS_WITH '{its}:' OR (WorkflowId = '{its}' "
            "AND ExecutionStatus = 'ContinuedAsNew'))"
        )

    async def _remove_unlisted(
        self,
        task: WorkflowExecutionDescription,
        token: str,
        names: set[str],
        seen: Iterable[str],
    ) -> None:
        """Remove the steps that visibility does not list yet."""
        ids = {step_workflow(task.id, name) for name in names} - set(seen)
        found = [await described(self._client, step_id) for step_id in sorted(ids)]
        runs = [run for run in found if run is not None]
        await self._remove([run for run in runs if await _is_of(run, token)])

    async def _remove(self, runs: Sequence[WorkflowExecution]) -> None:
        ended = [run for run in runs if run.close_time is not None]
        if not ended:
            return
        places = asyncio.Semaphore(CALLS_AT_ONCE)

        async def remove(run: WorkflowExecution) -> None:
            async with places:
                await delete_run(self._client, run.id, run.run_id)

        await self._event_log.forget_outcomes((run.id, run.run_id) for run in ended)
        await self._journal.forget_answers_until(
            {run.id: run.close_time for run in ended if run.close_time is not None}
        )
        await asyncio.gather(*map(remove, ended))

    async def _runs(self, query: str) -> AsyncIterator[WorkflowExecution]:
        try:
            async for run in self._client.list_workflows(
                query, page_size=1000, rpc_timeout=RPC_TIMEOUT
            ):
                yield run
        except (RPCError, RuntimeError) as error:
            raise removal_unavailable(error) from error


async def _plan_of(task: WorkflowExecutionDescription) -> PlanMemo | None:
    try:
        plan = (await task.memo()).get(PLAN_MEMO)
    except UNREADABLE:
        return None
    return None if plan is None else PlanMemo.model_validate(plan)


async def _is_of(run: WorkflowExecution, token: str) -> bool:
    """Say whether a step, or a step of a step, belongs to the start of a task that has
    this token; or whether it is an earlier run of that start itself.
    """
    for name in run.id.split(":")[1:]:
        token = token_of_step(token, name)
    is_step = ":" in run.id
    if not is_step and run.status is not WorkflowExecutionStatus.CONTINUED_AS_NEW:
        return False
    request = await request_in(run)
    return request is not None and request.get("token") == token


async def _is_orphan(run: WorkflowExecution, tokens: dict[str, str | None]) -> bool:
    """Say whether a step's task is no more; of one that cannot be read nobody knows."""
    token = tokens[_task_of(run)]
    if token is None:
        return False
    return not token or not await _is_of(run, token)


def _task_of(run: WorkflowExecution) -> str:
    return run.id.partition(":")[0]
