"""The child workflow of one step, by what its request is (contracts.md 1)."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, JsonValue

    from activities.former_steps import FormerStep, FormerSteps
    from activities.state_waiting import StateRequest
    from taskfish.plugins.protocol import Change
    from taskfish.redfish.apply_time import ApplyTime
    from taskfish.redfish.links import member_of
    from taskfish.redfish.operations import (
        OperationName,
        composite_at,
        name_operation,
    )
    from taskfish.redfish.resources import SIMPLE_UPDATE
    from taskfish.redfish.secrecy import masked
    from taskfish.redfish.step_plan import step_workflow, token_of_step
    from taskfish.redfish.steps import Step, StepRequest
    from taskfish.redfish.task import Answer, TaskState
    from taskfish.redfish.turn import Turn
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
    from workflows import policies
    from workflows.await_state import AWAIT_STATE, StateWait
    from workflows.composite import Composite
    from workflows.operation import Operation
    from workflows.task import TASK_MEMO, TaskMemo

AFTER_RESET = "steps-after-reset"
"""The patch since which a step takes the place that its former run still has."""
LONGEST_STATE_WAIT = 3600.0
"""How long a step waits for a state if it does not say: in seconds."""
STEP_PRIORITY = 4
"""Steps of multi-step operations go behind single changes (default 3): one user's
thousand machines keep no other's single reset waiting.
"""
LONGEST_FAIRNESS_KEY = 64

StepHandle = workflow.ChildWorkflowHandle[Any, Answer]


@dataclass(frozen=True)
class StepPlace:
    """Where a step takes place: its source and the member's URI, None for none."""

    source: str
    member: str | None


def place_of(request: StepRequest) -> StepPlace | None:
    """Return where a request takes place; None for what is no machine's.

    A SimpleUpdate is its source's, which its Targets name.
    """
    found = member_of(_first_target(request) or request.uri)
    return None if found is None else StepPlace(*found)


def name_of(request: StepRequest) -> OperationName:
    """Return what a step is called."""
    if request.method == "GET":
        named = name_operation("PATCH", request.uri)
        return OperationName(AWAIT_STATE, named.resource_type, named.target)
    return composite_at(request.uri) or name_operation(request.method, request.uri)


async def start_step(
    composite: Composite, step: Step, place: StepPlace, *, keeps_body: bool
) -> StepHandle:
    """Start a step; its expressions are filled in. Its id is `{task}:{step}`.

    Its own sendings are journaled for the task's first run: should the task be reset,
    a step that begins again sends nothing again, and takes the place of its former run.
    Raises WorkflowAlreadyStartedError if another task's step has the id.
    """
    try:
        return await _started(composite, step, place, keeps_body=keeps_body)
    except WorkflowAlreadyStartedError:
        is_new = workflow.patched(AFTER_RESET)
        if not (is_new and await _end_former(composite, step.name)):
            raise
    return await _started(composite, step, place, keeps_body=keeps_body)


async def _end_former(composite: Composite, name: str) -> bool:
    """End the run of this very step that a reset of its task has left, if it is one."""
    return await workflow.execute_activity_method(
        FormerSteps.end_former_step,
        FormerStep(workflow_id=step_id(name), token=step_token(composite, name)),
        start_to_close_timeout=policies.A_CALL_AT_MOST,
        retry_policy=policies.UNTIL_DONE,
        summary=f"end the former run of {name}",
    )


def _started(
    composite: Composite, step: Step, place: StepPlace, *, keeps_body: bool
) -> Awaitable[StepHandle]:
    """Start a step's workflow."""
    request, name = step.request, name_of(step.request)
    child = _input(composite, step, place, keeps_body=keeps_body)
    return workflow.start_child_workflow(
        name.name,
        child,
        id=step_id(step.name),
        result_type=Answer,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
        cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        memo={TASK_MEMO: _memo(composite, step, name)},
        search_attributes=_search_attributes(request, name, place),
        static_summary=name.summary(request.body),
        priority=_priority(),
    )


def _priority() -> Priority:
    """Return the priority of steps: those of several users come by turns."""
    owner = workflow.info().typed_search_attributes.get(TASK_OWNER) or ""
    key = owner.encode()[:LONGEST_FAIRNESS_KEY].decode(errors="ignore")
    return Priority(priority_key=STEP_PRIORITY, fairness_key=key or None)


def step_id(name: str) -> str:
    """Return the workflow id of a step."""
    return step_workflow(workflow.info().workflow_id, name)


def step_token(composite: Composite, name: str) -> str:
    """Return what tells a step's start from all others, as a task's token does."""
    return token_of_step(composite.token, name)


def _input(
    composite: Composite, step: Step, place: StepPlace, *, keeps_body: bool
) -> BaseModel:
    """Return the input of the workflow that a step's request becomes."""
    if step.request.method == "GET":
        return _wait(composite, step, place)
    if composite_at(step.request.uri) is not None:
        return _operation_inside(composite, step)
    return _change(composite, step, place, keeps_body=keeps_body)


def _wait(composite: Composite, step: Step, place: StepPlace) -> StateWait:
    request = step.request
    return StateWait(
        request=StateRequest(source=place.source, uri=request.uri, until=request.until),
        seconds=step.seconds or LONGEST_STATE_WAIT,
        heartbeat_timeout=composite.limits.heartbeat_timeout,
    )


def _operation_inside(composite: Composite, step: Step) -> Composite:
    """Return the input of an operation that is a step; it gets its own secrets only."""
    request, inside = step.request, f"{step.name}:"
    return Composite(
        operation=name_of(request).name,
        uri=request.uri,
        parameters=request.body,
        token=step_token(composite, step.name),
        privileges=composite.privileges,
        secrets={
            name.removeprefix(inside): reference
            for name, reference in composite.secrets.items()
            if name.startswith(inside)
        },
        limits=composite.limits,
        deadline=step.seconds,
        root_run=_root_run(composite),
    )


def _change(
    composite: Composite, step: Step, place: StepPlace, *, keeps_body: bool
) -> Operation:
    """Return the input of a change, with its machine: that is the whole operation's,
    so the step need not wait for it.
    """
    request, limits = step.request, composite.limits
    name = name_of(request).name
    systems = (place.member,) if place.member and "/Systems/" in place.member else ()
    return Operation(
        operation=name,
        source=place.source,
        change=Change(method=request.method, uri=request.uri, body=request.body),
        token=step_token(composite, step.name),
        secret_body=composite.secrets.get(step.name) or composite.shared_secret,
        shares_secret=composite.shared_secret is not None,
        submit_deadline=limits.submit_deadline,
        answer_timeout=limits.submit_answer_timeout,
        heartbeat_timeout=limits.heartbeat_timeout,
        interrupted_after=limits.interrupted_after_of(name),
        deadline=_deadline(composite, step, name),
        abort_grace=limits.abort_grace,
        apply_time=ApplyTime(value="OnReset") if request.waits_for_reset else None,
        turn=Turn(systems=systems, taken=True, come=True),
        logs_events=True,
        root_run=_root_run(composite),
        keeps_body=keeps_body,
    )


def _root_run(composite: Composite) -> str:
    """Return the run that the task began with: what is sent is journaled for it."""
    return composite.root_run or workflow.info().first_execution_run_id


def _deadline(composite: Composite, step: Step, name: str) -> float | None:
    """Return the step's own, or that of its kind; none while it waits for a reset."""
    if step.seconds is not None or step.request.waits_for_reset:
        return step.seconds
    return composite.limits.deadline_of(name)


def _memo(composite: Composite, step: Step, name: OperationName) -> TaskMemo:
    return TaskMemo(
        token=step_token(composite, step.name),
        deadline=step.seconds,
        name=f"{name.name} {name.target}",
        method=step.request.method,
        uri=step.request.uri,
        body=masked(step.request.body),
    )


def _search_attributes(
    request: StepRequest, name: OperationName, place: StepPlace
) -> TypedSearchAttributes:
    """Return what a step is found by; owner, tags and request id are its task's."""
    of_task = workflow.info().typed_search_attributes
    values: dict[Any, Any] = {
        TASK_STATE: TaskState.NEW.value,
        TASK_NAME: f"{name.name} {name.target}"[:MAX_SEARCH_ATTRIBUTE],
        TASK_OPERATION: name.name,
        TASK_TARGET: request.uri,
        TASK_RESOURCE_TYPE: name.resource_type,
        TASK_SOURCE: place.source,
        TASK_OWNER: of_task.get(TASK_OWNER),
        TASK_REQUEST_ID: of_task.get(TASK_REQUEST_ID),
        TASK_TAGS: of_task.get(TASK_TAGS),
        TASK_RESOURCES: [place.member] if place.member else [],
    }
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in values.items() if value]
    )


def _first_target(request: StepRequest) -> str | None:
    """Return the first of a SimpleUpdate's Targets."""
    if request.uri != SIMPLE_UPDATE or not isinstance(request.body, dict):
        return None
    targets: JsonValue = request.body.get("Targets")
    return str(targets[0]) if isinstance(targets, list) and targets else None
