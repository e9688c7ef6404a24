import asyncio
from typing import Any

import httpx
import pytest

from tests.composing import (
    ACTION,
    STORAGE,
    VOLUME,
    resets,
    resume,
    start,
    states,
    step_uri,
    until_sent,
    until_step,
    wanted,
)
from tests.house import House
from tests.workflows.houses import BMC, NODE, until, words_of

ON_RESET = {"@Redfish.OperationApplyTime": "OnReset"}


async def create(
    house: House, volume: dict[str, Any] | None = None, **parameters: Any
) -> httpx.Response:
    body = {"Storage": STORAGE, "Volume": VOLUME | (volume or {}), **parameters}
    return await start(house, "CreateVolumeAndReset", body)


async def volumes(house: House) -> int:
    found = (await house.client.get(f"{STORAGE}/Volumes")).json()
    return len(found["Members"])


async def test_graceful_restart_suffices(house: House) -> None:
    accepted = await create(house)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    created = task["Links"]["CreatedResources"]
    assert created == [{"@odata.id": f"{STORAGE}/Volumes/1"}]
    assert resets(house) == ["GracefulRestart"]
    assert house.emulator.machines["bmc1"].power_state == "On"
    ends = await states(house, accepted)
    assert set(ends.values()) == {"Completed"}
    assert "forced-reset" not in ends


async def test_on_reset_volume_is_there_after_reset(house: House) -> None:
    accepted = await create(house, ON_RESET, ResetType="ForceRestart")
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert resets(house) == ["ForceRestart"]
    assert await volumes(house) == 1


@pytest.mark.parametrize("apply_times", [True, False])
async def test_on_reset_volume_behind_a_plugin(house: House, apply_times: bool) -> None:
    """The source keeps it until the reset, or the gateway does."""
    house.emulator.set_modes(
        "node1", apply_times=apply_times, monitor_ends_with_task=True
    )
    storage = f"{NODE}/Storage/1"
    body = {"Storage": storage, "Volume": VOLUME | ON_RESET}
    accepted = await start(house, "CreateVolumeAndReset", body, NODE)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert resets(house, "node1") == ["GracefulRestart"]
    created = task["Links"]["CreatedResources"]
    assert created == [{"@odata.id": f"{storage}/Volumes/1"}]


async def held_before(house: House, step: str, **headers: str) -> httpx.Response:
    """Return an operation that is suspended before a step, its volume being held."""
    house.emulator.set_modes("bmc1", apply_times=False)
    parameters = wanted(apply_time="OnReset", PauseBefore=[step])
    accepted = await house.change("POST", ACTION, parameters, **headers)
    await house.until(accepted, "Suspended")
    assert (await states(house, accepted))["create-volume"] == "Pending"
    return accepted


async def test_operation_with_a_held_volume_is_suspended(house: House) -> None:
    """It holds no machine then, and its time stands still."""
    accepted = await held_before(house, "reset", **{"Task-Timeout": "12"})
    tag = {"AssetTag": "rack 7"}
    other = await house.change("PATCH", BMC, tag, **{"Task-Conflict": "reject"})
    assert (await house.ended(other))["TaskState"] == "Completed"
    await asyncio.sleep(12)
    assert (await house.task(accepted))["TaskState"] == "Suspended"
    await resume(house, accepted)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)


async def test_machine_is_not_reset_for_a_volume_that_was_cancelled(
    house: House,
) -> None:
    accepted = await held_before(house, "system-before")
    await house.client.delete(step_uri(accepted, "create-volume"))
    await until_step(house, accepted, "create-volume", "Cancelled")
    await resume(house, accepted)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert resets(house) == []


async def test_refused_graceful_restart_is_forced(house: House) -> None:
    accepted = await create(house, PauseBefore=["reset"])
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", refuse=400, refuse_times=1)
    await resume(house, accepted)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning"), task
    assert "The step reset has ended as Exception" in words_of(task)
    assert resets(house) == ["ForceRestart"]
    assert await volumes(house) == 1


async def test_hanging_graceful_restart_is_forced(house: House) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    accepted = await create(house, GracePeriodSeconds=1)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning"), task
    assert resets(house) == ["GracefulRestart", "ForceRestart"]


async def test_graceful_restart_that_only_was_promised_is_forced(house: House) -> None:
    """The source answers at once, and its operating system does not restart."""
    house.emulator.set_modes("bmc1", hang_graceful=True, answer="sync")
    accepted = await create(house, GracePeriodSeconds=1)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task
    assert resets(house) == ["GracefulRestart", "ForceRestart"]
    assert "LastResetTime" in words_of(task)


async def test_power_from_before_reset_does_not_count(house: House) -> None:
    """The source answers at once; the machine is on, and restarts later."""
    house.emulator.set_modes("bmc1", hang_graceful=True, answer="sync")
    accepted = await create(house)
    await until_sent(house, accepted, "system-restarted")
    assert (await states(house, accepted))["system-on"] == "New"
    house.emulator.set_modes("bmc1", hang_graceful=False)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert resets(house) == ["GracefulRestart"]


async def test_switched_off_system_is_switched_on(house: House) -> None:
    await house.ended(await house.reset("bmc1.1", "ForceOff"))
    task = await house.ended(await create(house, ON_RESET))
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert resets(house) == ["ForceOff", "On"]
    assert await volumes(house) == 1


async def test_volume_without_a_name_is_known_by_its_being_new(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1)
    accepted = await create(house, PauseBefore=["system-before"])
    await until_sent(house, accepted, "create-volume")
    await until(lambda: house.executions("bmc1") == 1)
    house.emulator.set_modes("bmc1", headers={"Location": ""})
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", headers={}, seconds=0.2)
    await resume(house, accepted)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert not task.get("Links", {}).get("CreatedResources")


async def test_forced_reset_waits_for_a_careful_operator(house: House) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    wait = ["forced-reset"]
    accepted = await create(house, GracePeriodSeconds=1, PauseBefore=wait)
    await house.until(accepted, "Suspended")
    assert resets(house) == ["GracefulRestart"]
    await resume(house, accepted)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task
    assert resets(house) == ["GracefulRestart", "ForceRestart"]


async def test_volume_is_deleted_if_no_reset_succeeds(house: House) -> None:
    accepted = await create(house, PauseBefore=["reset"])
    await house.until(accepted, "Suspended")
    assert await volumes(house) == 1
    house.emulator.set_modes("bmc1", refuse=400, refuse_times=2)
    await resume(house, accepted)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception", task
    assert "The step create-volume was undone" in words_of(task)
    assert await volumes(house) == 0


async def test_cancelled_graceful_restart_is_not_forced(house: House) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    accepted = await create(house)
    await until_sent(house, accepted, "reset")
    await until(lambda: resets(house))
    await house.client.delete(step_uri(accepted, "reset"))
    task = await house.ended(accepted)
    assert task["TaskState"] == "Exception", task
    assert resets(house) == ["GracefulRestart"]
    assert await volumes(house) == 0


async def test_cancelled_operation_takes_volume_back(house: House) -> None:
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    accepted = await create(house)
    await until_sent(house, accepted, "reset")
    await house.client.delete(accepted.json()["@odata.id"])
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled", task
    assert await volumes(house) == 0
    assert "The step create-volume was undone" in words_of(task)
