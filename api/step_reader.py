"""The steps of a multi-step operation, read without a worker (D7)."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowExecution

from api.fresh_tasks import VISIBLE_AFTER
from api.listed_tasks import listed_view
from api.task_reader import TaskReader, is_step_of
from api.task_view import TaskView
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from api.temporal_queries import quoted
from taskfish.redfish.step_plan import PlanMemo, PlannedStep, step_workflow
from taskfish.store.event_log import EventLog
from taskfish.temporal import RPC_TIMEOUT

_AT_ONCE = 16


@dataclass(frozen=True)
class StepView:
    """A step as its plan tells it, and its task once it has begun."""

    planned: PlannedStep
    task: TaskView | None


class StepReader:
    """Reads of steps. Raises `TemporalUnavailableError` when Temporal is silent."""

    def __init__(self, client: Client, reader: TaskReader, event_log: EventLog) -> None:
        self._client = client
        self._reader = reader
        self._event_log = event_log

    async def read(self, task: TaskView, name: str) -> StepView | None:
        """Return a step as it is now, None if the operation has none of this name."""
        planned = None if task.plan is None else task.plan.step(name)
        if planned is None:
            return None
        return StepView(planned, await self._reader.read_step(task, name))

    async def page(self, task: TaskView, names: Sequence[str]) -> list[StepView]:
        """Return some steps of the plan: what visibility lists comes from one query,
        and what it may not know of yet is looked up.
        """
        plan = task.plan or PlanMemo()
        rows = await self._rows(task, names)
        seen = await self._settled(task, rows)
        known = rows if _has_settled(task) else names
        doubtful = [name for name in known if name not in seen]
        seen |= await self._looked_up(task, doubtful)
        planned = filter(None, map(plan.step, names))
        return [StepView(step, seen.get(step.name)) for step in planned]

    async def begun(self, task: TaskView, names: Sequence[str]) -> set[str]:
        """Return those of these steps that have begun, or could not."""
        steps = await self.page(task, names)
        begun = (step for step in steps if step.task or step.planned.refused)
        return {step.planned.name for step in begun}

    async def _settled(
        self, task: TaskView, rows: Mapping[str, WorkflowExecution]
    ) -> dict[str, TaskView]:
        """Return what visibility lists as it is: not what has ended or begun since, nor
        what an earlier task with this Id has left behind.
        """
        runs = [(row.id, row.run_id) for row in rows.values()]
        told = await self._event_log.told_of(runs)
        found = {
            name: await listed_view(row, told[row.id, row.run_id])
            for name, row in rows.items()
        }
        return {
            name: view
            for name, view in found.items()
            if is_step_of(task, name, view)
            and view.state.ended is (name not in task.running)
        }

    async def _looked_up(
        self, task: TaskView, names: Iterable[str]
    ) -> dict[str, TaskView]:
        places = asyncio.Semaphore(_AT_ONCE)

        async def read(name: str) -> tuple[str, TaskView | None]:
            async with places:
                return name, await self._reader.read_step(task, name)

        found = await asyncio.gather(*map(read, names))
        return {name: view for name, view in found if view is not None}

    async def _rows(
        self, task: TaskView, names: Sequence[str]
    ) -> dict[str, WorkflowExecution]:
        """Return the newest run of each step that is listed."""
        if not names:
            return {}
        names_of = {step_workflow(task.id, name): name for name in names}
        listed = self._client.list_workflows(
            f"WorkflowId IN ({', '.join(map(quoted, names_of))})",
            rpc_timeout=RPC_TIMEOUT,
        )
        newest: dict[str, WorkflowExecution] = {}
        try:
            async for row in listed:
                name = names_of[row.id]
                known = newest.get(name)
                if known is None or row.start_time > known.start_time:
                    newest[name] = row
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        return newest


def _has_settled(task: TaskView) -> bool:
    """Say whether a task ended so long ago that visibility knows all of its steps."""
    return task.closed is not None and datetime.now(UTC) - task.closed > VISIBLE_AFTER
