"""Read tasks from Temporal, without a worker (D7)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.completion import Ended, Progress
from taskfish.errors import TemporalUnavailableError
from taskfish.redfish.messages import Message, base_message, task_message
from taskfish.redfish.task import Answer, Health, TaskState
from taskfish.redfish.verdicts import failed_answer
from taskfish.temporal import PLUGIN_TASK, RPC_TIMEOUT, TASK_OPERATION, TASK_STATE
from workflows.task import (
    ABORT_REFUSED_MEMO,
    OUTCOME_MEMO,
    PERCENT_MEMO,
    OutcomeMemo,
    TaskMemo,
)

TASKS_QUERY = (
    "TaskOperation IS NOT NULL AND ParentWorkflowId IS NULL "
    "AND ExecutionStatus != 'ContinuedAsNew'"
)
TEMPORAL_FAULTS = (RPCError, RuntimeError)
"""What a call raises that fails; a client that cannot connect gives RuntimeError."""
PAGE_SIZE = 1000
_NO_SUCH_RUN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
_LAST_EVENTS = 10
_IS_OPEN = "ExecutionStatus = 'Running'"

_WAITING_ACTIVITY = "await_completion"
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
    TaskState.KILLED: Health.WARNING,
}
_EARLY = (TaskState.NEW, TaskState.PENDING)


@dataclass(frozen=True)
class TaskView:
    """A task as Temporal tells it at one moment. `status` is there at its end only."""

    id: str
    run_id: str
    request: TaskMemo
    state: TaskState
    status: Health | None
    started: datetime
    ended: datetime | None
    percent: int
    messages: tuple[Message, ...]
    created: tuple[str, ...]


class TaskReader:
    """Reads of tasks. Raises `TemporalUnavailableError` when Temporal is silent."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, task_id: str) -> TaskView | None:
        """Return the newest run of this Id, None if it is no task."""
        if ":" in task_id:
            return None
        try:
            description = await self._client.get_workflow_handle(task_id).describe(
                rpc_timeout=RPC_TIMEOUT
            )
        except TEMPORAL_FAULTS as error:
            if isinstance(error, RPCError) and error.status in _NO_SUCH_RUN:
                return None
            raise unavailable(error) from error
        attributes = description.typed_search_attributes
        if description.parent_id or attributes.get(TASK_OPERATION) is None:
            return None
        return await self._view(description)

    async def answer(self, view: TaskView) -> Answer:
        """Return the final answer of an ended task."""
        handle = self._client.get_workflow_handle(
            view.id, run_id=view.run_id, result_type=Answer
        )
        try:
            result = await handle.result(follow_runs=False, rpc_timeout=RPC_TIMEOUT)
        except WorkflowFailureError as failure:
            return _failure_answer(view, failure.cause)
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        return Answer.model_validate(result)

    async def ids(self) -> AsyncIterator[str]:
        """Yield the Ids of all tasks: the open ones first, then the last ended."""
        found: set[str] = set()
        try:
            async for run in self._client.list_workflows(
                TASKS_QUERY, page_size=PAGE_SIZE, rpc_timeout=RPC_TIMEOUT
            ):
                if run.id not in found:
                    found.add(run.id)
                    yield run.id
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error

    async def has_open_tasks(self, source_id: str) -> bool:
        """Say whether changes of a source are still under way."""
        query = f"{TASKS_QUERY} AND TaskSource = '{source_id}' AND {_IS_OPEN}"
        try:
            found = await self._client.count_workflows(query, rpc_timeout=RPC_TIMEOUT)
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        return found.count > 0

    async def _view(self, run: WorkflowExecutionDescription) -> TaskView:
        memo = await run.memo()
        request = TaskMemo.model_validate(memo["task"])
        if run.close_time is not None:
            return _ended_view(run, request, memo.get(OUTCOME_MEMO))
        progress = await self._progress(run)
        state = _open_state(run, progress, ABORT_REFUSED_MEMO in memo)
        started = () if state in _EARLY else (task_message("TaskStarted", run.id),)
        return TaskView(
            id=run.id,
            run_id=run.run_id,
            request=request,
            state=state,
            status=None,
            started=run.start_time,
            ended=None,
            percent=progress.percent if progress else memo.get(PERCENT_MEMO, 0),
            messages=(*started, *(progress.messages if progress else ())),
            created=(),
        )

    async def _progress(self, run: WorkflowExecutionDescription) -> Progress | None:
        """Return what the waiting activity last said: by heartbeat, or at its end."""
        is_waiting = False
        for pending in run.raw_description.pending_activities:
            if pending.activity_type.name != _WAITING_ACTIVITY:
                continue
            is_waiting = True
            payloads = pending.heartbeat_details.payloads
            if payloads:
                values = await self._client.data_converter.decode(payloads, [Progress])
                return _PROGRESS.validate_python(values[0])
        if is_waiting or run.typed_search_attributes.get(PLUGIN_TASK) is None:
            return None
        return await self._last_report(run)

    async def _last_report(self, run: WorkflowExecutionDescription) -> Progress | None:
        """Return what the waiting activity has found when its workflow did not yet
        take note of it: else the percent would go back until a worker does.
        """
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=self._client.namespace,
            execution=run.raw_description.workflow_execution_info.execution,
            maximum_page_size=_LAST_EVENTS,
        )
        service = self._client.workflow_service
        try:
            found = await service.get_workflow_execution_history_reverse(
                request, timeout=RPC_TIMEOUT
            )
        except TEMPORAL_FAULTS as error:
            raise unavailable(error) from error
        for event in found.history.events:
            payloads = event.activity_task_completed_event_attributes.result.payloads
            values = await self._client.data_converter.decode(payloads)
            if (
                values
                and isinstance(values[0], dict)
                and values[0].get("kind") == "ended"
            ):
                report = Ended.model_validate(values[0]).report
                state = TaskState(run.typed_search_attributes[TASK_STATE])
                return Progress(
                    state=state, percent=report.percent or 0, messages=report.messages
                )
        return None


def unavailable(error: Exception) -> TemporalUnavailableError:
    """Return our error for a call to Temporal that failed."""
    why = f" ({error.status.name})" if isinstance(error, RPCError) else ""
    return TemporalUnavailableError(f"Temporal does not answer{why}")


def _ended_view(
    run: WorkflowExecutionDescription, request: TaskMemo, outcome: object
) -> TaskView:
    """Read an ended task: by its own words, or by its status if it had none left."""
    state = _STATUS_OF[run.status or WorkflowExecutionStatus.FAILED]
    memo = OutcomeMemo.model_validate(outcome) if outcome else None
    if memo is None or memo.state is not state:
        memo = OutcomeMemo(
            state=state,
            status=_HEALTH_OF[state],
            messages=(_last_words(run.id, state),),
        )
    return TaskView(
        id=run.id,
        run_id=run.run_id,
        request=request,
        state=state,
        status=memo.status,
        started=run.start_time,
        ended=run.close_time,
        percent=memo.percent,
        messages=(task_message("TaskStarted", run.id), *memo.messages),
        created=memo.created,
    )


def _open_state(
    run: WorkflowExecutionDescription, progress: Progress | None, abort_refused: bool
) -> TaskState:
    """Return the state of an open task (D7's table)."""
    extended = run.raw_description.workflow_extended_info
    if extended.cancel_requested and not abort_refused:
        return TaskState.CANCELLING
    if progress is not None:
        return progress.state
    return TaskState(run.typed_search_attributes.get(TASK_STATE) or TaskState.NEW)


def _last_words(task_id: str, state: TaskState) -> Message:
    """Return what is said of a task whose own code could not say it."""
    if state is TaskState.KILLED:
        return task_message(
            "TaskAborted",
            task_id,
            text=f"The task {task_id} was terminated in Temporal. Nothing was aborted: "
            "what its source had begun may still go on.",
        )
    key = "TaskCancelled" if state is TaskState.CANCELLED else "TaskAborted"
    return task_message(key, task_id)


def _failure_answer(view: TaskView, cause: BaseException) -> Answer:
    """Return the answer in the failure's details, or one for a run that left none."""
    if isinstance(cause, ApplicationError) and cause.details:
        return Answer.model_validate(cause.details[0])
    text = view.messages[-1].message
    return failed_answer(base_message("OperationFailed", text=text))


_PROGRESS: TypeAdapter[Progress] = TypeAdapter(Progress)
