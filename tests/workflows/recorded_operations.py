"""Operations of several steps whose histories `recording.py` records."""

from collections.abc import Awaitable, Callable

import httpx
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.state_waiting import StateRequest
from taskfish.temporal import TASK_OPERATION
from tests.composing import (
    create_and_reset,
    resume,
    start,
    step_uri,
    sub_task,
    until_sent,
    until_step,
)
from tests.house import TASKS, House
from tests.workflows.houses import (
    BMC,
    FIRST,
    reset_workflow,
    until_executed,
)
from workflows.await_state import AWAIT_STATE, AwaitState, StateWait
from workflows.task import TASK_MEMO, TaskMemo

RESET = f"{BMC}/Actions/ComputerSystem.Reset"
RUN_PLAN = "/redfish/v1/TaskService/Actions/Oem/Taskfish.RunPlan"
Scenario = Callable[[House], Awaitable[httpx.Response]]
"""Starts what is recorded, in a gateway of its own, and returns what its 202 says."""


async def operation_completed(house: House) -> httpx.Response:
    """A volume is created and its system reset."""
    return await create_and_reset(house, _named("operation_completed"))


async def operation_on_reset(house: House) -> httpx.Response:
    """A volume is created by the reset of its system."""
    headers = _named("operation_on_reset")
    return await create_and_reset(house, headers, apply_time="OnReset")


async def operation_forced(house: House) -> httpx.Response:
    """A graceful reset does not end in time: a forced one takes its place."""
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    parameters = {"ResetType": "GracefulRestart", "GracePeriodSeconds": 1}
    return await create_and_reset(house, _named("operation_forced"), **parameters)


async def operation_undone(house: House) -> httpx.Response:
    """It is held before the reset, which fails then: the volume is deleted."""
    headers = _named("operation_undone")
    accepted = await create_and_reset(house, headers, PauseBefore=["reset"])
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", fail=True)
    await resume(house, accepted)
    await until_executed(house, times=2)
    house.emulator.set_modes("bmc1", fail=False)
    return accepted


async def operation_cancelled(house: House) -> httpx.Response:
    """It is cancelled in its reset: that is aborted, and the volume deleted."""
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    headers = _named("operation_cancelled")
    accepted = await create_and_reset(house, headers, ResetType="GracefulRestart")
    await until_sent(house, accepted, "reset")
    await house.client.delete(accepted.json()["@odata.id"])
    return accepted


async def operation_overdue(house: House) -> httpx.Response:
    """It does not end in time: what runs is ended, and the volume deleted."""
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    headers = _named("operation_overdue") | {"Task-Timeout": "3"}
    return await create_and_reset(house, headers, ResetType="GracefulRestart")


async def operation_after_reset(house: House) -> httpx.Response:
    """Temporal resets it while a step runs: another run of the step follows that."""
    house.emulator.set_modes("bmc1", pause_at=30)
    accepted = await create_and_reset(house, _named("operation_after_reset"))
    await until_step(house, accepted, "create-volume", "Suspended")
    await reset_workflow(house, accepted, FIRST)
    house.emulator.set_modes("bmc1", pause_at=None)
    return accepted


async def step_superseding(house: House) -> httpx.Response:
    """A step of a plan cuts the power of a machine that a graceful reset keeps busy."""
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    graceful = await house.change("POST", RESET, {"ResetType": "GracefulShutdown"})
    await house.until(graceful, "Running")
    body = {"ResetType": "ForceOff"}
    step = {"Name": "off", "Method": "POST", "Uri": RESET, "Body": body}
    named = _named("step_superseding")
    plan = await house.change("POST", RUN_PLAN, {"Steps": [step]}, **named)
    await house.ended(plan)
    found = {"Id": f"{plan.json()['Id']}:off", "@odata.id": step_uri(plan, "off")}
    return httpx.Response(202, json=found)


async def operation_out_of_queue(house: House) -> httpx.Response:
    """It is suspended while it waits for its turn: until resumed it waits for none."""
    house.emulator.set_modes("bmc1", hang=True)
    ahead = await house.reset("bmc1.1")
    headers = _named("operation_out_of_queue") | {"Task-Conflict": "queue"}
    accepted = await create_and_reset(house, headers)
    await house.until(accepted, "Pending")
    suspend = f"{accepted.json()['@odata.id']}/Actions/Oem/Taskfish.Suspend"
    assert (await house.client.post(suspend)).status_code == 204
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", hang=False)
    await house.ended(ahead)
    await resume(house, accepted)
    return accepted


async def plan_completed(house: House) -> httpx.Response:
    """A plan has values of an earlier answer in steps that run together."""
    look = {"Name": "look", "Method": "GET", "Uri": BMC}
    tag = {
        "Name": "tag",
        "Method": "PATCH",
        "Uri": "${look#/Body/@odata.id}",
        "Body": {"AssetTag": "of-${look#/Body/Id}"},
    }
    restart = {
        "Name": "restart",
        "Method": "POST",
        "Uri": RESET,
        "Body": {"ResetType": "ForceRestart"},
    }
    steps = [look, {"Together": [tag, restart]}]
    return await house.change("POST", RUN_PLAN, {"Steps": steps})


async def plan_undone(house: House) -> httpx.Response:
    """An answer has not what a plan's last step needs: the first is undone."""
    tag: dict[str, object] = {"Name": "tag", "Method": "PATCH", "Uri": BMC}
    undo = {"Method": "PATCH", "Uri": BMC, "Body": {"AssetTag": "none"}}
    fails = {"Name": "fails", "Method": "DELETE", "Uri": "${tag#/Location}"}
    steps = [tag | {"Body": {"AssetTag": "new"}, "Undo": undo}, fails]
    return await house.change("POST", RUN_PLAN, {"Steps": steps})


def _named(name: str) -> dict[str, str]:
    """Return the headers that choose the Id under which the history is replayed: the
    ids of the steps begin with it.
    """
    return {"Task-Id": name}


async def firmware_applied(house: House) -> httpx.Response:
    """Firmware is updated, which takes no reset."""
    return await _apply_firmware(house, "firmware_applied", "BIOS")


async def firmware_reset(house: House) -> httpx.Response:
    """Firmware of system and BMC is updated, and both are reset for it."""
    house.emulator.set_modes("bmc1", update_needs_reset=True)
    return await _apply_firmware(house, "firmware_reset", "BIOS", "BMC")


async def _apply_firmware(house: House, name: str, *components: str) -> httpx.Response:
    inventory = "/redfish/v1/UpdateService/FirmwareInventory/bmc1."
    body = {
        "ImageURI": "http://images.example.com/bios-2.4.1.bin",
        "Targets": [f"{inventory}{each}" for each in components],
        "Version": "2.4.1",
    }
    return await start(house, "ApplyFirmware", body, **_named(name))


async def state_seen(house: House) -> httpx.Response:
    """A step waits until the machine is on."""
    accepted = await operation_completed(house)
    await house.ended(accepted)
    said = await sub_task(house, accepted, "system-on")
    return httpx.Response(
        202, json={**said, "Id": f"{accepted.json()['Id']}:system-on"}
    )


async def state_overdue(house: House) -> httpx.Response:
    """A volume that a step waits for is never there."""
    request = StateRequest(source="bmc1", uri=f"{BMC}/Storage/1/Volumes/1")
    waiting = await house.temporal.start_workflow(
        AwaitState.run,
        StateWait(request=request, seconds=1, heartbeat_timeout=2),
        id="state-1",
        task_queue=house.settings.task_queue,
        memo={TASK_MEMO: TaskMemo(name="state", method="GET", uri=request.uri)},
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(TASK_OPERATION, AWAIT_STATE)]
        ),
    )
    said = {"Id": waiting.id, "@odata.id": f"{TASKS}/{waiting.id}"}
    return httpx.Response(202, json=said)


async def bulk_goes_on(house: House) -> httpx.Response:
    """Two machines are reset in batches, the second by a later run."""
    return await _bulk_reset(house, {"BatchSize": 1})


async def bulk_cancelled(house: House) -> httpx.Response:
    """A bulk operation is cancelled while its steps run."""
    for node in ("node1", "node2"):
        house.emulator.set_modes(node, hang=True, abort_seconds=0)
    accepted = await _bulk_reset(house, {})
    await until_executed(house, "node1")
    await house.client.delete(accepted.json()["@odata.id"])
    return accepted


async def _bulk_reset(house: House, more: dict[str, int]) -> httpx.Response:
    service = "/redfish/v1/AggregationService/Actions/AggregationService.Reset"
    nodes = (f"/redfish/v1/Systems/node{number}.1" for number in (1, 2))
    body = {
        "ResetType": "ForceRestart",
        "TargetURIs": [{"@odata.id": u} for u in nodes],
    }
    return await house.change("POST", service, body | more)


OPERATIONS: tuple[Scenario, ...] = (
    operation_completed,
    operation_on_reset,
    operation_forced,
    operation_undone,
    operation_cancelled,
    operation_overdue,
    operation_after_reset,
    firmware_applied,
    firmware_reset,
    step_superseding,
    operation_out_of_queue,
    plan_completed,
    plan_undone,
    state_seen,
    state_overdue,
)
"""On a BMC."""
BULK_OPERATIONS: tuple[Scenario, ...] = (bulk_goes_on, bulk_cancelled)
"""Behind a plugin, with a run for each step."""
