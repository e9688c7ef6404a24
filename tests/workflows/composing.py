"""Multi-step operations on bmc1: how tests start them and what they look at."""

import secrets
from typing import Any

import httpx
from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from taskfish.temporal import TASK_OPERATION, TASK_OWNER, TASK_STATE
from tests.house import TASKS, House
from tests.workflows.houses import BMC, until
from workflows.composite import Composite
from workflows.task import TASK_MEMO, TaskMemo
from workflows.time_limits import TimeLimits

STORAGE = f"{BMC}/Storage/1"
VOLUME = {"Name": "data", "RAIDType": "RAID0"}


async def start(
    house: House, name: str, parameters: dict[str, Any], **more: Any
) -> httpx.Response:
    operation, task_id = f"Taskfish.{name}", f"{name}-{secrets.token_hex(4)}"
    composite = Composite(
        operation=operation,
        uri=BMC,
        parameters=parameters,
        token=secrets.token_hex(16),
        privileges=("ConfigureComponents", "ConfigureManager", "Login"),
        limits=TimeLimits.model_validate(house.settings),
        **more,
    )
    await house.temporal.start_workflow(
        operation,
        composite,
        id=task_id,
        task_queue=house.settings.task_queue,
        memo={
            TASK_MEMO: TaskMemo(
                token=composite.token, name=operation, method="POST", uri=BMC
            )
        },
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(TASK_OPERATION, operation),
                SearchAttributePair(TASK_STATE, "New"),
                SearchAttributePair(TASK_OWNER, "admin"),
            ]
        ),
    )
    return httpx.Response(202, json={"@odata.id": f"{TASKS}/{task_id}", "Id": task_id})


async def states(house: House, accepted: httpx.Response) -> dict[str, str]:
    """Return the states of all steps, by their names."""
    found: dict[str, str] = await house.workflow(accepted).query("steps")
    return found


def step(house: House, accepted: httpx.Response, name: str) -> WorkflowHandle[Any, Any]:
    """Return Temporal's handle of a step."""
    return house.temporal.get_workflow_handle(f"{accepted.json()['Id']}:{name}")


async def resume(house: House, accepted: httpx.Response) -> None:
    """Let an operation go on that was suspended."""
    await house.workflow(accepted).signal("Resume", "ada")


def resets(house: House) -> list[str]:
    """Return the types of the resets that bmc1 has carried out."""
    bodies = [each.body for each in house.emulator.executions("bmc1")]
    return [
        str(body["ResetType"])
        for body in bodies
        if isinstance(body, dict) and "ResetType" in body
    ]


async def is_running(house: House, accepted: httpx.Response, name: str) -> None:
    """Wait until a step has begun."""

    async def runs() -> bool:
        return (await states(house, accepted)).get(name) == "Running"

    await until(runs)
