"""An operation for tests: one volume, then two at once, then a reset; all undone."""

import secrets
from typing import Any

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from taskfish.redfish.step_plan import PLAN_MEMO
    from taskfish.redfish.steps import Plan, Step, Together, delete, post
    from taskfish.settings import Settings
    from taskfish.temporal import TASK_OPERATION, TASK_OWNER, TASK_STATE
    from workflows.composite import Composite
    from workflows.composition import CompositeOperation, Parameters, operation
    from workflows.shown_plan import planned
    from workflows.task import TASK_MEMO, TaskMemo
    from workflows.time_limits import TimeLimits

SYSTEM = "/redfish/v1/Systems/bmc1.1"
VOLUMES = ("one", "two", "three")


def volume(name: str) -> Step:
    """Return the step that creates a volume of this name."""
    drive = {"@odata.id": f"{SYSTEM}/Storage/1/Drives/1"}
    body: Any = {"Name": name, "RAIDType": "RAID0", "Links": {"Drives": [drive]}}
    return Step(
        name=name,
        request=post(f"{SYSTEM}/Storage/1/Volumes", body),
        undo=delete(f"${{{name}#/Location}}"),
    )


@operation("ThreeVolumes", on="Systems")
class ThreeVolumes(CompositeOperation):
    """Creates three volumes, two of them together, and resets the system."""

    @staticmethod
    def plan(uri: str, parameters: Parameters) -> Plan:
        """Create, create together, reset."""
        one, two, three = map(volume, VOLUMES)
        together = Together(steps=(two, three))
        reset = post(
            f"{uri}/Actions/ComputerSystem.Reset", {"ResetType": "ForceRestart"}
        )
        return one, together, Step(name="reset", request=reset)


async def start(
    temporal: Client,
    settings: Settings,
    task_id: str,
    *pause_before: str,
    deadline: float | None = None,
) -> WorkflowHandle[Any, Any]:
    """Start it as the API starts operations."""
    uri = f"{SYSTEM}/Actions/Oem/{ThreeVolumes.operation}"
    parameters = Parameters(PauseBefore=pause_before)
    token = secrets.token_hex(16)
    composite = Composite(
        operation=ThreeVolumes.operation,
        uri=uri,
        parameters=parameters.model_dump(mode="json", by_alias=True),
        token=token,
        privileges=("Login", "ConfigureComponents"),
        limits=TimeLimits.model_validate(settings),
        deadline=deadline,
    )
    attributes = (
        SearchAttributePair(TASK_OPERATION, ThreeVolumes.operation),
        SearchAttributePair(TASK_STATE, "New"),
        SearchAttributePair(TASK_OWNER, "ada"),
    )
    plan = planned(ThreeVolumes.plan(SYSTEM, parameters))
    request = TaskMemo(token=token, name="Volumes", method="POST", uri=uri)
    return await temporal.start_workflow(
        ThreeVolumes.operation,
        composite,
        id=task_id,
        task_queue=settings.task_queue,
        memo={TASK_MEMO: request, PLAN_MEMO: plan},
        search_attributes=TypedSearchAttributes(attributes),
    )
