"""Read tasks from Temporal, without a worker (D7)."""

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pydantic import TypeAdapter
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.memos import UNREADABLE
from activities.progress import SUSPENDED_MEMO, Progress
from api.task_history import TaskHistory
from api.task_labels import labels_of
from api.task_view import (
    OpenMemo,
    TaskView,
    ended_view,
    is_cancel_requested,
    open_view,
    unreadable_view,
)
from api.temporal_faults import (
    TEMPORAL_FAULTS,
    says_no_such_run,
    unavailable,
    unread,
)
from api.temporal_queries import quoted
from taskfish.errors import TaskGoneError
from taskfish.redfish.messages import base_message
from taskfish.redfish.step_plan import (
    PLAN_MEMO,
    PlanMemo,
    step_workflow,
    token_of_step,
)
from taskfish.redfish.task import Answer, TaskState
from taskfish.redfish.verdicts import failed_answer
from taskfish.temporal import PLUGIN_TASK, RPC_TIMEOUT, TASK_OPERATION
from workflows.task import (
    ABORT_REFUSED_MEMO,
    OUTCOME_MEMO,
    PERCENT_MEMO,
    TASK_MEMO,
    OutcomeMemo,
    TaskMemo,
)

logger = logging.getLogger(__name__)

PAGE_SIZE = 1000
_UNTOLD = (TaskState.CANCELLED, TaskState.EXCEPTION)
"""Last states that do not tell whether a task had started before."""
_GONE_ON = WorkflowExecutionStatus.CONTINUED_AS_NEW
_RUNNING = "TaskOperation IS NOT NULL AND ExecutionStatus = 'Running'"
"""Tasks that are open, and their steps."""
_NO_REASON = "it gave no reason"
"""Why a source refuses in runs of an earlier version, which kept only that it did."""
_WAITING_ACTIVITIES = ("await_completion", "await_turn", "await_reset", "await_state")


class TaskReader:
    """Reads of tasks. Raises `TemporalUnavailableError` when Temporal is silent."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, task_id: str, run_id: str | None = None) -> TaskView | None:
        """Return the newest run of this Id, or that very run; None if it is no task.

        One that has gone on as a new run (continue-as-new) is that.
        """
        if ":" in task_id:
            return None
        description = await self._described(task_id, run_id)
        description = description and await self._last_of(description)
        if description is None or description.parent_id:
            return None
        return await self._seen(description)

    async def read_step(self, task: TaskView, name: str) -> TaskView | None:
        """Return a step of a multi-step operation; None if it has not begun.

        What an earlier task with this Id has left behind is none of its steps.
        """
        description = await self._described(step_workflow(task.id, name))
        view = None if description is None else await self._seen(description)
        return view if view is not None and is_step_of(task, name, view) else None

    async def answer(self, view: TaskView) -> Answer:
        """Return the final answer of an ended task; raise `TaskGoneError` if it was
        removed meanwhile.
        """
        handle = self._client.get_workflow_handle(
            view.id, run_id=view.run_id, result_type=Answer
        )
        try:
            result = await handle.result(follow_runs=False, rpc_timeout=RPC_TIMEOUT)
        except WorkflowFailureError as failure:
            return _failure_answer(view, failure.cause)
        except RPCError as error:
            raise unread(error) from error
        except UNREADABLE:
            return failed_answer(view.messages[-1])
        return Answer.model_validate(result)

    async def has_open_tasks(self, source_id: str) -> bool:
        """Say whether changes of a source are still under way, those that are steps of
        operations on several sources among them.

        Visibility lags behind: what it lists as open may have ended since.
        """
        query = f"{_RUNNING} AND TaskSource = {quoted(source_id)}"
        try:
            async for listed in self._listed(query):
                run = await self._described(listed.id, listed.run_id)
                if run is not None and run.close_time is None:
                    return True
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        return False

    async def _described(
        self, workflow_id: str, run_id: str | None = None
    ) -> WorkflowExecutionDescription | None:
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            return await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except TEMPORAL_FAULTS as error:
            if says_no_such_run(error):
                return None
            raise unavailable(error) from error

    async def _last_of(
        self, run: WorkflowExecutionDescription
    ) -> WorkflowExecutionDescription | None:
        """Return the run that a task has gone on as; None for one that is no more."""
        found: WorkflowExecutionDescription | None = run
        while found is not None and found.status is _GONE_ON:
            try:
                following = await TaskHistory(self._client, found).next_run()
            except TaskGoneError:
                return None
            found = following and await self._described(run.id, following) or None
        return found

    async def _seen(self, run: WorkflowExecutionDescription) -> TaskView | None:
        """Return the view of a run; None if it is no task, or none any more."""
        if run.typed_search_attributes.get(TASK_OPERATION) is None:
            return None
        try:
            return await self._view(run)
        except TaskGoneError:
            return None
        except UNREADABLE as error:
            logger.warning("%s cannot be read: %r", run.id, error)
            return unreadable_view(run)

    def _listed(self, query: str) -> AsyncIterator[WorkflowExecution]:
        return self._client.list_workflows(
            query, page_size=PAGE_SIZE, rpc_timeout=RPC_TIMEOUT
        )

    async def _view(self, run: WorkflowExecutionDescription) -> TaskView:
        memo = await run.memo()
        request = TaskMemo.model_validate(memo[TASK_MEMO])
        history = TaskHistory(self._client, run)
        if run.close_time is not None:
            outcome = memo.get(OUTCOME_MEMO)
            terminated = run.status is WorkflowExecutionStatus.TERMINATED
            return ended_view(
                run,
                request,
                OutcomeMemo.model_validate(outcome) if outcome else None,
                await history.killing() if terminated else None,
                begun=await self._has_begun(run, history),
                plan=plan_in(memo),
            )
        kept = OpenMemo(
            percent=memo.get(PERCENT_MEMO) or 0,
            abort_refused=refusal_in(memo.get(ABORT_REFUSED_MEMO)),
            suspended=memo.get(SUSPENDED_MEMO),
            plan=plan_in(memo),
            running=_running_steps(run),
        )
        progress = await self._progress(run, history)
        by = await history.cancelled_by() if is_cancel_requested(run) else None
        return open_view(run, request, kept, progress, by)

    async def _has_begun(
        self, run: WorkflowExecutionDescription, history: TaskHistory
    ) -> bool:
        """Say whether an ended run had started before: its last state may tell, else
        its history does.
        """
        labels = labels_of(run.typed_search_attributes)
        is_told = labels.plugin_task is not None or labels.state not in _UNTOLD
        return labels.may_have_been_sent if is_told else await history.has_begun()

    async def _progress(
        self, run: WorkflowExecutionDescription, history: TaskHistory
    ) -> Progress | None:
        """Return what the waiting activity last said: by heartbeat, or at its end."""
        for pending in run.raw_description.pending_activities:
            payloads = pending.heartbeat_details.payloads
            if pending.activity_type.name in _WAITING_ACTIVITIES and payloads:
                values = await self._client.data_converter.decode(payloads, [Progress])
                return _PROGRESS.validate_python(values[0])
        if run.typed_search_attributes.get(PLUGIN_TASK) is None:
            return None
        return await history.last_report()


def _failure_answer(view: TaskView, cause: BaseException) -> Answer:
    """Return the answer in the failure's details, or one for a run that left none."""
    if isinstance(cause, ApplicationError) and cause.details:
        return Answer.model_validate(cause.details[0])
    last = view.messages[-1]
    how = last.resolution if view.state is TaskState.KILLED else None
    message = base_message("OperationFailed", text=last.message, resolution=how)
    return failed_answer(message)


def plan_in(memo: Mapping[str, Any]) -> PlanMemo | None:
    """Return the plan in the memo of a multi-step operation."""
    plan = memo.get(PLAN_MEMO)
    return None if plan is None else PlanMemo.model_validate(plan)


def is_step_of(task: TaskView, name: str, step: TaskView) -> bool:
    """Say whether a workflow with a step's id was started by this very task."""
    return step.request.token == token_of_step(task.request.token, name)


def _running_steps(run: WorkflowExecutionDescription) -> tuple[str, ...]:
    """Return the names of the steps under way, in the order of their starts."""
    children = run.raw_description.pending_children
    begun = sorted(children, key=lambda child: child.initiated_id)
    its = step_workflow(run.id, "")
    return tuple(child.workflow_id.removeprefix(its) for child in begun)


def refusal_in(noted: str | bool | None) -> str:
    """Return why a source has not aborted, from the memo; empty if it has not been
    asked, or is to be asked again.
    """
    if isinstance(noted, str):
        return noted
    return _NO_REASON if noted else ""


_PROGRESS: TypeAdapter[Progress] = TypeAdapter(Progress)
