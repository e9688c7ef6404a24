"""The thirteen TaskStates, each reached by its real cause."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from taskfish.redfish.task import TaskState
from tests.api.governing import act, delete, task_uri, until_followed
from tests.conftest import KEY
from tests.defects.plugins import ODIM, RESET, scripted_plugin
from tests.house import LONGEST_WAIT, POLL, House
from tests.plugins.scripted_service import http
from tests.workflows.houses import (
    bmc_house,
    node_house,
    until,
    until_executed,
    words_of,
)

BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])
SIMPLE_UPDATE = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
FIRMWARE = "/redfish/v1/UpdateService/FirmwareInventory/bmc1.BIOS"
MANAGER_RESET = f"POST {ODIM}/Managers/1/Actions/Manager.Reset"
BY_ITS_SOURCE = [
    "Pending",
    "Suspended",
    "Service",
    "Stopping",
    "Interrupted",
    "Running",
]
"""What a source's own task may say while it is open."""


async def seen(house: House, accepted: httpx.Response) -> list[dict[str, Any]]:
    """Return the Task as it is read again and again until it has ended."""
    found = [await house.task(accepted)]
    async with asyncio.timeout(LONGEST_WAIT):
        while not TaskState(found[-1]["TaskState"]).ended:
            await asyncio.sleep(POLL / 2)
            found.append(await house.task(accepted))
    return found


def states(tasks: list[dict[str, Any]]) -> list[str]:
    """Return the states in the order in which they were seen."""
    found: list[str] = []
    for task in tasks:
        if found[-1:] != [task["TaskState"]]:
            found.append(task["TaskState"])
    return found


async def test_new_until_a_worker_takes_it_up(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("node1.1")
    assert (await house.task(accepted))["TaskState"] == "New"
    await house.start_worker()
    assert (await house.ended(accepted))["TaskState"] == "Completed"


@BOTH
async def test_starting_while_it_is_sent(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, slow_sync=True, seconds=0.5)
    accepted = await house.create_volume(f"{machine}.1")
    await until_executed(house, machine)
    task = await house.task(accepted)
    assert task["TaskState"] == "Starting"
    assert task["Messages"][0]["MessageId"].endswith(".TaskStarted")
    assert states(await seen(house, accepted))[-1] == "Completed"


@BOTH
async def test_running_while_the_source_works(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, seconds=1)
    accepted = await house.create_volume(f"{machine}.1")
    found = states(await seen(house, accepted))
    assert found[-2:] == ["Running", "Completed"]


async def test_pending_in_a_queue_says_for_whom(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    first = await house.reset("bmc1.1")
    await house.until(first, "Running")
    second = await house.change(
        "POST",
        "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
        {"ResetType": "ForceRestart"},
        **{"Task-Conflict": "queue"},
    )

    async def waits() -> bool:
        task = await house.task(second)
        return task["TaskState"] == "Pending" and task_uri(first) in words_of(task)

    await until(waits)
    house.emulator.set_modes("bmc1", hang=False)
    assert (await house.ended(second))["TaskState"] == "Completed"


@BOTH
@pytest.mark.parametrize("state", BY_ITS_SOURCE)
async def test_state_is_the_source_s_own(
    house: House, machine: str, state: str
) -> None:
    house.emulator.set_modes(machine, seconds=30, shows_state=state)
    accepted = await house.create_volume(f"{machine}.1")
    task = await house.until(accepted, state)
    assert "EndTime" not in task
    assert "TaskStatus" not in task
    is_paused = state in ("Suspended", "Interrupted")
    assert ("was paused" in words_of(task)) is is_paused
    assert task["TaskMonitor"] == accepted.headers["Location"]
    monitor = await house.client.get(accepted.headers["Location"])
    assert monitor.status_code == 202


@BOTH
async def test_pause_and_resume_of_the_source_show(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, pause_at=30, seconds=2)
    accepted = await house.create_volume(f"{machine}.1")
    task = await house.until(accepted, "Suspended")
    assert task["PercentComplete"] == 30
    last = task["Messages"][-1]
    assert last["MessageId"].endswith(".TaskPaused")
    assert f"was paused by its source {machine}." in last["Message"]
    house.emulator.set_modes(machine, pause_at=None)
    assert states(await seen(house, accepted))[-2:] == ["Running", "Completed"]


async def test_suspended_by_an_operator(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("bmc1.1")
    await act(house, accepted, "Suspend")
    await house.start_worker()
    assert "paused by" in words_of(await house.until(accepted, "Suspended"))


@BOTH
async def test_interrupted_while_out_of_reach(house: House, machine: str) -> None:
    target = "plugin" if machine == "node1" else machine
    house.emulator.set_modes(machine, hang=True)
    accepted = await house.create_volume(f"{machine}.1")
    await until_followed(house, accepted)
    house.emulator.set_modes(target, vanish=True)
    task = await house.until(accepted, "Interrupted")
    assert "EndTime" not in task
    last = task["Messages"][-1]
    assert last["MessageId"].endswith(".TaskPaused")
    assert f"its source {machine} is out of reach since 20" in last["Message"]
    house.emulator.set_modes(target, vanish=False)
    assert "paused" not in words_of(await house.until(accepted, "Running"))
    house.emulator.set_modes(machine, hang=False)
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_update_has_more_time_before_it_is_interrupted(house: House) -> None:
    """It restarts the BMC; another task at the same source is Interrupted meanwhile."""
    house.emulator.set_modes("bmc1", hang=True)
    body = {"ImageURI": "http://images/x", "Targets": [FIRMWARE]}
    update = await house.change("POST", SIMPLE_UPDATE, body)
    other = await house.create_volume("bmc1.1")
    for accepted in (update, other):
        await until_followed(house, accepted)
    house.emulator.set_modes("bmc1", vanish=True)
    await house.until(other, "Interrupted")
    assert (await house.task(update))["TaskState"] == "Running"
    house.emulator.set_modes("bmc1", vanish=False, hang=False)
    for accepted in (update, other):
        assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_reset_of_a_manager_has_more_time_before_it_is_interrupted(
    house: House,
) -> None:
    async with scripted_plugin(house) as plugin:
        plugin.on(RESET, http(202, None, Location="/taskmon/t1"))
        plugin.on(MANAGER_RESET, http(202, None, Location="/taskmon/t2"))
        for name in ("t1", "t2"):
            plugin.on(f"GET /taskmon/{name}", http(202, {"TaskState": "Running"}))
        system = await house.reset("rack9.1")
        uri = "/redfish/v1/Managers/rack9.1/Actions/Manager.Reset"
        manager = await house.change("POST", uri, {"ResetType": "GracefulRestart"})
        for accepted in (system, manager):
            await until_followed(house, accepted)
        for name in ("t1", "t2"):
            plugin.on(f"GET /taskmon/{name}", http(503))
        await house.until(system, "Interrupted")
        assert (await house.task(manager))["TaskState"] == "Running"
        for name in ("t1", "t2"):
            plugin.on(f"GET /taskmon/{name}", http(204))
        for accepted in (system, manager):
            assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_short_silence_does_not_interrupt(
    temporal: Client, tmp_path: Path
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, interrupted_after=30) as house:
        house.emulator.set_modes("bmc1", seconds=1.5)
        accepted = await house.create_volume("bmc1.1")
        await until_followed(house, accepted)
        house.emulator.set_modes("bmc1", vanish=True)
        await asyncio.sleep(0.3)
        house.emulator.set_modes("bmc1", vanish=False)
        assert "Interrupted" not in states(await seen(house, accepted))


async def test_stopping_when_its_time_is_over(temporal: Client, tmp_path: Path) -> None:
    limits = {"deadline_volume": 1.5, "abort_grace": 10}
    async with bmc_house(temporal, tmp_path, KEY, **limits) as house:
        house.emulator.set_modes("bmc1", pause_at=30, seconds=1, abort_seconds=1)
        accepted = await house.create_volume("bmc1.1")
        found = await seen(house, accepted)
        percents = [task["PercentComplete"] for task in found]
        assert states(found)[-3:] == ["Suspended", "Stopping", "Exception"]
        assert percents == sorted(percents)
        assert percents[-1] == 30


async def test_cancelling_then_cancelled(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30, abort_seconds=0.5)
    accepted = await house.create_volume("bmc1.1")
    await until_followed(house, accepted)
    await delete(house, task_uri(accepted))
    assert states(await seen(house, accepted)) == ["Cancelling", "Cancelled"]


async def test_killed_by_an_administrator(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30)
    accepted = await house.reset("bmc1.1")
    await until_followed(house, accepted)
    await act(house, accepted, "Kill")
    assert (await house.task(accepted))["TaskState"] == "Killed"


@BOTH
@pytest.mark.parametrize(
    ("modes", "state", "status", "key"),
    [
        ({}, "Completed", "OK", "TaskCompletedOK"),
        (
            {"warn": True, "monitor_ends_with_task": True},
            "Completed",
            "Warning",
            "TaskCompletedWarning",
        ),
        ({"fail": True}, "Exception", "Critical", "TaskAborted"),
    ],
)
async def test_status_and_end_come_at_the_end_only(
    house: House, machine: str, modes: dict[str, Any], state: str, status: str, key: str
) -> None:
    house.emulator.set_modes(machine, seconds=1, **modes)
    accepted = await house.create_volume(f"{machine}.1")
    *before, last = await seen(house, accepted)
    assert before
    assert not [task for task in before if "TaskStatus" in task or "EndTime" in task]
    assert (last["TaskState"], last["TaskStatus"]) == (state, status)
    assert last["EndTime"] >= last["StartTime"]
    assert last["Messages"][-1]["MessageId"].endswith(f".{key}")


@BOTH
@pytest.mark.parametrize("fail", [False, True])
async def test_percent_never_goes_back(house: House, machine: str, fail: bool) -> None:
    house.emulator.set_modes(machine, seconds=1.5, fail=fail)
    accepted = await house.create_volume(f"{machine}.1")
    percents = [task["PercentComplete"] for task in await seen(house, accepted)]
    assert percents == sorted(percents)
    assert len(set(percents)) > 2
    assert percents[-1] == 100 or fail


async def test_percent_outlives_a_stopped_worker(house: House) -> None:
    house.emulator.set_modes("bmc1", pause_at=50)
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Suspended")
    await house.stop_worker()
    before = await house.task(accepted)
    house.emulator.set_modes("bmc1", pause_at=None)
    await house.start_worker()
    found = [before, *await seen(house, accepted)]
    percents = [task["PercentComplete"] for task in found]
    assert percents == sorted(percents)
    assert percents[0] == 50


async def test_state_needs_no_worker(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30, shows_state="Service")
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Service")
    await house.stop_worker()
    assert (await house.task(accepted))["TaskState"] == "Service"


async def test_lost_task_is_no_success(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.create_volume("bmc1.1")
    await until_followed(house, accepted)
    house.emulator.restart("bmc1")
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "unknown" in words_of(task)


async def test_facts_of_a_task_are_in_its_oem(temporal: Client, tmp_path: Path) -> None:
    async with node_house(temporal, tmp_path, KEY, deadline_reset=600) as house:
        house.emulator.set_modes("node1", seconds=2)
        accepted = await house.change(
            "POST",
            "/redfish/v1/Systems/node1.1/Actions/ComputerSystem.Reset",
            {"ResetType": "ForceRestart"},
            **{"Task-Tags": "blue, night", "X-Request-Id": "req-7"},
        )
        await until_followed(house, accepted, abortable=True)
        facts = (await house.task(accepted))["Oem"]["Taskfish"]
        ended = (await house.ended(accepted))["Oem"]["Taskfish"]
    assert facts["@odata.type"] == "#Taskfish.v1_0_0.Task"
    assert facts["Operation"] == "ComputerSystem.Reset"
    assert facts["TargetResource"].endswith("/node1.1/Actions/ComputerSystem.Reset")
    assert (facts["ResourceType"], facts["Source"]) == ("ComputerSystem", "node1")
    assert (facts["Owner"], facts["RequestId"]) == ("admin", "req-7")
    assert facts["Tags"] == ["blue", "night"]
    assert facts["PluginTaskUri"].startswith("/")
    assert facts["Deadline"]
    assert "ExpiresAt" not in facts
    assert ended["ExpiresAt"]
    assert "Deadline" not in ended
