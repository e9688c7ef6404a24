"""Start a durable task in Temporal, once, whatever becomes of the answer (D1, D2)."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from temporalio.api.common.v1 import Memo, Payload
from temporalio.api.enums.v1 import WorkflowIdReusePolicy
from temporalio.api.sdk.v1 import UserMetadata
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.converter import encode_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from api.errors import refuse
from api.temporal_faults import TEMPORAL_FAULTS, unavailable
from taskfish.errors import TemporalUnavailableError
from taskfish.redfish.operations import OperationName
from taskfish.redfish.step_plan import PLAN_MEMO, PlanMemo
from taskfish.redfish.task import TaskState
from taskfish.temporal import (
    MAX_SEARCH_ATTRIBUTE,
    TASK_NAME,
    TASK_OPERATION,
    TASK_OWNER,
    TASK_REQUEST_ID,
    TASK_RESOURCE_TYPE,
    TASK_RESOURCES,
    TASK_SOURCE,
    TASK_STATE,
    TASK_TAGS,
    TASK_TARGET,
)
from workflows.task import TASK_MEMO, TaskMemo

STARTS_AT_ONCE = 16
MOST_RESOURCES = 2000
"""Bytes of TaskResources; limit.searchAttributesSizeOfValue is 2048."""
FIRST_TRY_SECONDS = 1.5
NEXT_TRY_SECONDS = 0.7
"""The first try, the second and a last look end within three seconds in all."""
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

    `memo.token` is this one start: repeated, it gives the same run. `machines` are the
    URIs of the members that it touches; `plan` the steps of a multi-step operation,
    whose `workflow_type` is the operation's name if not given.
    """

    task_id: str
    operation: OperationName
    source: str
    owner: str
    input: BaseModel
    memo: TaskMemo
    summary: str
    request_id: str
    tags: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    plan: PlanMemo | None = None
    workflow_type: str = ""


class TaskStarter:
    """Starts tasks, at most some at once: more would only make all of them late."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._places = asyncio.Semaphore(STARTS_AT_ONCE)
        self._answers = False

    async def start(self, start: Start) -> str | None:
        """Start the workflow and return its run id when it surely has started.

        None: the Id is in use by another task. A start whose answer is lost is
        repeated, which starts nothing twice. Raises `TemporalUnavailableError` when it
        surely has not started, and 503 naming the task when nobody knows.
        """
        async with self._places:
            if not self._answers:
                await self._reach()
            request = await self._request(start)
            try:
                return await self._try(request, FIRST_TRY_SECONDS, retry=False)
            except TimeoutError:
                self._answers = False
            return await self._start_again(request, start)

    async def _start_again(
        self, request: StartWorkflowExecutionRequest, start: Start
    ) -> str:
        """Repeat a start whose answer was lost, then look for it.

        Only a run says what became of the first try: it may have started though the
        next is refused, or another task has the Id by now.
        """
        run_id = None
        with suppress(TimeoutError, TemporalUnavailableError):
            run_id = await self._try(request, NEXT_TRY_SECONDS, retry=True)
        if run_id is None:
            run_id = await self._run_of(start)
        if run_id is None:
            raise _lost_start(start.task_id)
        return run_id

    async def _reach(self) -> None:
        """Find out whether Temporal answers at all, before anything is started."""
        try:
            async with asyncio.timeout(NEXT_TRY_SECONDS):
                await self._client.service_client.check_health()
        except (*TEMPORAL_FAULTS, TimeoutError) as error:
            raise TemporalUnavailableError("Temporal does not answer") from error
        self._answers = True

    async def _try(
        self, request: StartWorkflowExecutionRequest, seconds: float, *, retry: bool
    ) -> str | None:
        """Start it; return the run, None if another task has the Id.

        Raises `TimeoutError` for a lost answer, and `TemporalUnavailableError` for a
        refusal. With `retry` the SDK repeats it: what it returns is then said of the
        last time alone, and tells nothing of an answer that was lost before.
        """
        service = self._client.workflow_service
        try:
            async with asyncio.timeout(seconds):
                started = await service.start_workflow_execution(
                    request, retry=retry, timeout=timedelta(seconds=seconds)
                )
        except TEMPORAL_FAULTS as error:
            status = error.status if isinstance(error, RPCError) else None
            if status is RPCStatusCode.ALREADY_EXISTS:
                return None
            if status in _REFUSALS:
                raise unavailable(error) from error
            raise TimeoutError from error
        return started.first_execution_run_id or started.run_id

    async def _run_of(self, start: Start) -> str | None:
        """Return the run of this very start, None if it is not to be seen."""
        handle = self._client.get_workflow_handle(start.task_id)
        try:
            async with asyncio.timeout(NEXT_TRY_SECONDS):
                run = await handle.describe()
                memo = TaskMemo.model_validate((await run.memo())[TASK_MEMO])
        except (*TEMPORAL_FAULTS, TimeoutError):
            return None
        return run.run_id if memo.token == start.memo.token else None

    async def _request(self, start: Start) -> StartWorkflowExecutionRequest:
        """Return the request; its id is the token, by which Temporal knows it again.

        The client's own `start_workflow` makes a new id for each try.
        """
        converter = self._client.data_converter
        policy = (
            WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
            if start.memo.chosen
            else WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
        )
        request = StartWorkflowExecutionRequest(
            namespace=self._client.namespace,
            workflow_id=start.task_id,
            request_id=start.memo.token,
            identity=self._client.identity,
            workflow_id_reuse_policy=policy,
            memo=Memo(fields=await self._memo(start)),
            user_metadata=UserMetadata(summary=await self._payload(start.summary)),
        )
        request.workflow_type.name = start.workflow_type or start.operation.name
        request.task_queue.name = self._task_queue
        request.input.payloads.extend(await converter.encode([start.input]))
        encode_search_attributes(_search_attributes(start), request.search_attributes)
        return request

    async def _memo(self, start: Start) -> dict[str, Payload]:
        memo = {TASK_MEMO: await self._payload(start.memo)}
        if start.plan is not None:
            memo[PLAN_MEMO] = await self._payload(start.plan)
        return memo

    async def _payload(self, value: object) -> Payload:
        (payload,) = await self._client.data_converter.encode([value])
        return payload


def _lost_start(task_id: str) -> Exception:
    return refuse(
        "ServiceTemporarilyUnavailable",
        "5",
        text=f"Temporal does not say whether the task {task_id} has started.",
        resolution=f"Read the task {task_id} before repeating the request.",
        headers={"Task-Id": task_id},
    )


def _search_attributes(start: Start) -> TypedSearchAttributes:
    values: Mapping[Any, Any] = {
        TASK_STATE: TaskState.NEW.value,
        TASK_NAME: start.memo.name[:MAX_SEARCH_ATTRIBUTE],
        TASK_OPERATION: start.operation.name,
        TASK_TARGET: start.memo.uri,
        TASK_RESOURCE_TYPE: start.operation.resource_type,
        TASK_SOURCE: start.source,
        TASK_OWNER: start.owner[:MAX_SEARCH_ATTRIBUTE],
        TASK_REQUEST_ID: start.request_id,
        TASK_TAGS: list(start.tags),
        TASK_RESOURCES: _resources(start),
    }
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in values.items() if value]
    )


def _resources(start: Start) -> list[str]:
    """Return what a task is found by: the machines that it touches, if so many can be
    kept (Temporal keeps 2 KiB), else what it was asked of.
    """
    machines = list(start.machines)
    fits = sum(len(uri) + 8 for uri in machines) <= MOST_RESOURCES
    return machines if machines and fits else [start.memo.uri]
