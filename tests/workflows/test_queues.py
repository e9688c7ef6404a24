"""Waiting keeps nothing from acting; what a worker does not know, another may."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from tests.conftest import KEY
from tests.house import House, open_house
from tests.workflows.houses import until

WAITING = 102
"""More than a Worker's activities by default, which are 100."""


async def test_waiting_tasks_keep_no_abort_from_running(
    temporal: Client, tmp_path: Path
) -> None:
    settings = {"max_concurrent_submits": 4, "heartbeat_timeout": 10}
    # All changes are to one BMC: the last of them waits long for its turn.
    patience = {"submit_deadline": 120}
    async with open_house(temporal, tmp_path, KEY, **settings, **patience) as house:
        address = house.addresses.bmcs[0]
        await house.add_source("bmc1", address, "Redfish", "password")
        house.emulator.set_modes("bmc1", hang=True, retry_after="2", abort_seconds=0)
        some_at_once = asyncio.Semaphore(8)

        async def reset() -> httpx.Response:
            async with some_at_once:
                return await house.reset("bmc1.1")

        tasks = await asyncio.gather(*(reset() for _ in range(WAITING)))

        async def wait_all() -> bool:
            found = await house.temporal.count_workflows(
                "TaskState = 'Running' AND ExecutionStatus = 'Running'"
                f" AND TaskQueue = '{house.settings.task_queue}'"
            )
            return found.count >= WAITING

        await until(wait_all, 120)
        await house.workflow(tasks[-1]).cancel(reason="requested")
        executions = house.emulator.machines["bmc1"].executions
        await until(lambda: "cancelled" in [each.outcome for each in executions], 20)
        assert (await house.ended(tasks[-1]))["TaskState"] == "Cancelled"
        assert house.executions("bmc1") == WAITING


@pytest.mark.parametrize("name", ["Volume", "watch", "Volume.Create.Twice"])
async def test_unknown_type_fails_the_workflow_task_only(
    temporal: Client, bmc: House, name: str
) -> None:
    """A newer worker may know it."""
    handle = await temporal.start_workflow(
        name,
        {"operation": name},
        id=f"unknown-{uuid.uuid4()}",
        task_queue=bmc.settings.task_queue,
    )
    await until_task_failed(handle)
    description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.RUNNING
    await handle.terminate(reason="test")


@pytest.mark.parametrize("argument", [{"operation": "Volume.Create"}, "nonsense"])
async def test_unreadable_input_fails_the_workflow_task_only(
    temporal: Client, bmc: House, argument: object
) -> None:
    handle = await temporal.start_workflow(
        "ComputerSystem.Reset",
        argument,
        id=f"unreadable-{uuid.uuid4()}",
        task_queue=bmc.settings.task_queue,
    )
    await until_task_failed(handle)
    description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.RUNNING
    await handle.terminate(reason="test")


async def until_task_failed(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until a workflow task has failed."""
    failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED

    async def has_failed() -> bool:
        history = await handle.fetch_history()
        return any(event.event_type == failed for event in history.events)

    await until(has_failed)
