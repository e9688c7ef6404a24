"""Start a change as a durable task, or refuse it (D1, D2)."""

import asyncio
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
from api.task_reader import TEMPORAL_FAULTS, unavailable
from taskfish.errors import TemporalUnavailableError
from taskfish.redfish.operations import OperationName
from taskfish.redfish.task import TaskState
from taskfish.temporal import (
    MAX_SEARCH_ATTRIBUTE,
    TASK_OPERATION,
    TASK_OWNER,
    TASK_RESOURCE_TYPE,
    TASK_RESOURCES,
    TASK_SOURCE,
    TASK_STATE,
    TASK_TARGET,
)
from workflows.task import TASK_MEMO, TaskMemo

STARTS_AT_ONCE = 16
FIRST_TRY_SECONDS = 1.5
NEXT_TRY_SECONDS = 0.7
"""The first try, the look and the second try end within three seconds in all."""
_REFUSALS = frozenset(
    {
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
"""With these Temporal says that it has not started anything."""


@dataclass(frozen=True)
class Start:
    """One task to be started: its Id, what it does, for whom, on what.

    `machines` are the URIs of the members that it touches.
    """

    task_id: str
    operation: OperationName
    source: str
    owner: str
    input: BaseModel
    memo: TaskMemo
    summary: str
    machines: tuple[str, ...] = ()


class TaskStarter:
    """Starts tasks, at most some at once: more would only make all of them late."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._places = asyncio.Semaphore(STARTS_AT_ONCE)
        self._answers = False

    async def start(self, start: Start) -> None:
        """Start the workflow; return when it surely runs.

        A start whose answer is lost is looked for and repeated once with the same id.
        Raises `TemporalUnavailableError` when it surely has not started, and 503
        naming the task when nobody knows.
        """
        async with self._places:
            if not self._answers:
                await self._reach()
            if await self._try(start, FIRST_TRY_SECONDS):
                return
            self._answers = False
            if not await self._is_missing(start.task_id):
                return
            if not await self._try(start, NEXT_TRY_SECONDS):
                raise _lost_start(start.task_id)

    async def _reach(self) -> None:
        """Find out whether Temporal answers at all, before anything is started."""
        try:
            async with asyncio.timeout(NEXT_TRY_SECONDS):
                await self._client.service_client.check_health()
        except (*TEMPORAL_FAULTS, TimeoutError) as error:
            raise TemporalUnavailableError("Temporal does not answer") from error
        self._answers = True

    async def _try(self, start: Start, seconds: float) -> bool:
        """Start once; say whether it surely runs. Raises what Temporal refuses."""
        try:
            async with asyncio.timeout(seconds):
                await self._client.start_workflow(
                    start.operation.name,
                    start.input,
                    id=start.task_id,
                    task_queue=self._task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={TASK_MEMO: start.memo},
                    search_attributes=_search_attributes(start),
                    static_summary=start.summary,
                )
        except WorkflowAlreadyStartedError:
            return True
        except (*TEMPORAL_FAULTS, TimeoutError) as error:
            if isinstance(error, RPCError) and error.status in _REFUSALS:
                raise unavailable(error) from error
            return False
        return True

    async def _is_missing(self, task_id: str) -> bool:
        """Say whether Temporal does not know the task; raise 503 if it is silent."""
        try:
            async with asyncio.timeout(NEXT_TRY_SECONDS):
                await self._client.get_workflow_handle(task_id).describe()
        except (*TEMPORAL_FAULTS, TimeoutError) as error:
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                return True
            raise _lost_start(task_id) from error
        return False


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
        TASK_RESOURCES: list(start.machines) or [start.memo.uri],
    }
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in values.items()]
    )
