"""What a task's history holds: few events, nothing readable, the right attributes."""

import httpx
import pytest
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client

from taskfish.temporal import TASK_RESOURCES, TASK_STATE
from tests.house import House
from tests.workflows.houses import (
    BMC,
    VOLUMES,
    event_names,
    history_of,
    until_begun,
    until_requested,
)

MOST_EVENTS = 26
"""Of a change that is accepted, polled, completed and told of (contracts.md 4)."""


async def raw_history(client: Client, accepted: httpx.Response) -> bytes:
    """Return the history as Temporal stores it."""
    request = GetWorkflowExecutionHistoryRequest(namespace="default")
    request.execution.workflow_id = accepted.json()["Id"]
    service = client.workflow_service
    response = await service.get_workflow_execution_history(request)
    return response.history.SerializeToString()


async def test_history_is_short_behind_a_plugin(node: House) -> None:
    accepted = await node.reset("node1.1")
    await node.ended(accepted)
    events = await history_of(node, accepted)
    assert len(events) <= MOST_EVENTS, event_names(events)


async def test_history_does_not_grow_with_polls(bmc: House) -> None:
    lengths = []
    for polls in (3, 60):
        bmc.emulator.set_modes("bmc1", hang=True)
        accepted = await bmc.reset("bmc1.1")
        await until_begun(bmc, accepted, "await_completion")
        await until_requested(bmc, "bmc1", more=polls)
        bmc.emulator.set_modes("bmc1", hang=False)
        assert (await bmc.ended(accepted))["TaskState"] == "Completed"
        lengths.append(len(await history_of(bmc, accepted)))
    assert lengths[0] == lengths[1] <= MOST_EVENTS


async def test_synchronous_change_is_shorter_still(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", answer="sync")
    accepted = await bmc.reset("bmc1.1")
    await bmc.ended(accepted)
    names = event_names(await history_of(bmc, accepted))
    assert names.count("ACTIVITY_TASK_SCHEDULED") == 1
    assert len(names) <= 16


async def test_history_is_unreadable(bmc: House) -> None:
    accepted = await bmc.create_volume("bmc1.1", name="needle")
    await bmc.ended(accepted)
    stored = await raw_history(bmc.temporal, accepted)
    for words in (b"needle", b"RAID0", b"wait for", b"completed", b"password"):
        assert words not in stored
    assert b"Volume.Create" in stored


async def test_failure_is_unreadable(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", fail=True)
    accepted = await bmc.reset("bmc1.1")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    stored = await raw_history(bmc.temporal, accepted)
    for words in (b"ForceRestart", b"failed", b"aborted", b"ExtendedInfo"):
        assert words not in stored
    assert b"Encoded failure" in stored


async def test_running_task_is_unreadable(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=30, pause_at=30)
    accepted = await bmc.create_volume("bmc1.1", name="needle")
    await bmc.until(accepted, "Running")
    await until_begun(bmc, accepted, "await_completion")
    description = await bmc.workflow(accepted).describe()
    raw = description.raw_description.SerializeToString()
    for words in (b"needle", b"percent", b"RAID0", b"\xe2\x86\x92"):
        assert words not in raw
    assert await description.static_summary() == "Volume.Create → bmc1.1"


@pytest.mark.parametrize(
    ("fails", "state"), [(False, "Completed"), (True, "Exception")]
)
async def test_search_attributes_say_what_was_done(
    bmc: House, fails: bool, state: str
) -> None:
    bmc.emulator.set_modes("bmc1", fail=fails)
    accepted = await bmc.create_volume("bmc1.1")
    request_id = accepted.headers["X-Request-Id"]
    await bmc.ended(accepted)
    attributes = (await bmc.workflow(accepted).describe()).typed_search_attributes
    found = {pair.key.name: pair.value for pair in attributes}
    task = await bmc.task(accepted)
    monitor = found.pop("PluginTask").removeprefix("bmc1 ")
    assert monitor.startswith("/redfish/v1/TaskService/TaskMonitors/")
    del found["BuildIds"]  # Temporal's own
    assert found == {
        "TaskName": "Volume.Create bmc1.1",
        "TaskState": state,
        "TaskStatus": task["TaskStatus"],
        "TaskOperation": "Volume.Create",
        "TaskTarget": f"{BMC}/{VOLUMES}",
        "TaskResourceType": "Volume",
        "TaskSource": "bmc1",
        "TaskOwner": "admin",
        "TaskRequestId": request_id,
        "TaskResources": [BMC],
    }


async def test_state_of_the_source_is_searchable(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", pause_at=50)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Suspended")

    async def listed() -> list[str]:
        query = "TaskState = 'Suspended' AND ExecutionStatus = 'Running'"
        return [run.id async for run in bmc.temporal.list_workflows(query)]

    task_id = accepted.json()["Id"]
    while task_id not in await listed():
        await bmc.task(accepted)
    bmc.emulator.set_modes("bmc1", pause_at=None)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    attributes = (await bmc.workflow(accepted).describe()).typed_search_attributes
    assert attributes.get(TASK_STATE) == "Completed"
    assert attributes.get(TASK_RESOURCES) == [BMC]
