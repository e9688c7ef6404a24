"""Start a change as a durable task, or refuse it (D1, D2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from api.errors import refuse
from api.task_reader import unavailable
from taskfish.redfish.operations import OperationName
from taskfish.redfish.task import TaskState
from taskfish.temporal import (
    MAX_SEARCH_ATTRIBUTE,
    RPC_TIMEOUT,
    TASK_OPERATION,
    TASK_OWNER,
    TASK_RESOURCE_TYPE,
    TASK_RESOURCES,
    TASK_SOURCE,
    TASK_STATE,
    TASK_TARGET,
)
from workflows.task import TASK_MEMO, TaskMemo


@dataclass(frozen=True)
class Start:
    """One task to be started: its Id, what it does, for whom, on what."""

    task_id: str
    operation: OperationName
    source: str
    owner: str
    input: BaseModel
    memo: TaskMemo
    summary: str


async def start_task(client: Client, task_queue: str, start: Start) -> None:
    """Start the workflow; return when it surely runs.

    Raises `TemporalUnavailableError` when it surely has not started, and 503 naming
    the task when nobody knows. Its URI has at most MAX_SEARCH_ATTRIBUTE characters.
    """
    try:
        await client.start_workflow(
            start.operation.name,
            start.input,
            id=start.task_id,
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            memo={TASK_MEMO: start.memo},
            search_attributes=_search_attributes(start),
            static_summary=start.summary,
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        return
    except RPCError as error:
        if not await _has_started(client, start.task_id, error):
            raise _lost_start(start.task_id) from error


async def _has_started(client: Client, task_id: str, error: RPCError) -> bool:
    """Ask for a start whose answer was lost; raise if it surely was never received."""
    try:
        await client.get_workflow_handle(task_id).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as failed:
        if _never_connected(error) and failed.status is not RPCStatusCode.NOT_FOUND:
            raise unavailable(error) from error
        return False
    return True


def _never_connected(error: RPCError) -> bool:
    """Say whether the call did not even reach Temporal's port."""
    return error.status is RPCStatusCode.UNAVAILABLE and "connect" in error.message


def _lost_start(task_id: str) -> Exception:
    return refuse(
        "ServiceTemporarilyUnavailable",
        "5",
        text=f"Temporal does not say whether the task {task_id} has started.",
        resolution=f"Read the task {task_id} before repeating the request.",
    )


def _search_attributes(start: Start) -> TypedSearchAttributes:
    values: Mapping[Any, Any] = {
        TASK_STATE: TaskState.NEW.value,
        TASK_OPERATION: start.operation.name,
        TASK_TARGET: start.memo.uri,
        TASK_RESOURCE_TYPE: start.operation.resource_type,
        TASK_SOURCE: start.source,
        TASK_OWNER: start.owner[:MAX_SEARCH_ATTRIBUTE],
        TASK_RESOURCES: [start.memo.uri.partition("/Actions/")[0]],
    }
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in values.items()]
    )
