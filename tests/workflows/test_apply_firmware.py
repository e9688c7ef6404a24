from typing import Any

import httpx
import pytest

from taskfish.redfish.steps import Together
from tests.composing import resets, resume, start, states
from tests.house import House
from tests.workflows.houses import BMC, NODE, words_of
from workflows.apply_firmware import ApplyFirmware, Firmware

INVENTORY = "/redfish/v1/UpdateService/FirmwareInventory"
BIOS, BMC_FIRMWARE = f"{INVENTORY}/bmc1.BIOS", f"{INVENTORY}/bmc1.BMC"
IMAGE = "http://images.example.com/bios-2.4.1.bin"


async def apply(house: House, **parameters: Any) -> httpx.Response:
    wanted = {"ImageURI": IMAGE, "Targets": [BIOS], "Version": "2.4.1"}
    return await start(house, "ApplyFirmware", wanted | parameters)


async def version(house: House, uri: str = BIOS) -> str:
    found: str = (await house.client.get(uri)).json()["Version"]
    return found


async def test_no_reset_if_none_is_required(house: House) -> None:
    accepted = await apply(house, Targets=[BIOS, BMC_FIRMWARE])
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    ends = await states(house, accepted)
    assert set(ends) == {"update", "verify-bmc1.BIOS", "verify-bmc1.BMC"}
    assert resets(house) == []
    assert await version(house) == await version(house, BMC_FIRMWARE) == "2.4.1"


def test_step_of_any_component_has_a_name() -> None:
    disk = f"{INVENTORY}/bmc1.Installed-0-DL63__Disk.Bay.0:Enclosure.Internal.0-1"
    long = f"{INVENTORY}/bmc1.{'x' * 200}"
    wanted = {"ImageURI": IMAGE, "Targets": [disk, BIOS, long, f"{long}y"]}
    *_, last = ApplyFirmware.plan(BMC, Firmware.model_validate(wanted))
    assert isinstance(last, Together)
    names = [step.name for step in last.steps]
    assert names[:2] == ["verify-1", "verify-bmc1.BIOS"]
    assert len(set(names)) == 4


async def test_component_that_is_not_there_is_400(house: House) -> None:
    for name in ("bmc1.A:B", "bmc1.A B", "bmc1.ä"):
        body = {"ImageURI": IMAGE, "Targets": [f"{INVENTORY}/{name}"]}
        action = f"{BMC}/Actions/Oem/Taskfish.ApplyFirmware"
        answer = await house.client.post(action, json=body)
        assert answer.status_code in (202, 400), answer.text
        if answer.status_code == 202:
            ended = await house.ended(answer)
            assert ended["TaskState"] == "Exception"


@pytest.mark.parametrize("answer", ["auto", "sync"])
async def test_required_reset_is_made(house: House, answer: str) -> None:
    """The source says so in its task's Messages, or in its final answer."""
    house.emulator.set_modes("bmc1", update_needs_reset=True, answer=answer)
    accepted = await apply(house, PauseBefore=["reset"])
    await house.until(accepted, "Suspended")
    assert await version(house) == "1.0.0"
    await resume(house, accepted)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert resets(house) == ["GracefulRestart"]
    assert await version(house) == "2.4.1"


async def test_required_reset_of_the_bmc_is_none_of_the_system(house: House) -> None:
    house.emulator.set_modes("bmc1", update_needs_reset=True)
    accepted = await apply(house, Targets=[BMC_FIRMWARE])
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task
    assert set(await states(house, accepted)) == {
        "update",
        "reset-bmc1.1",
        "verify-bmc1.BMC",
    }
    assert await version(house, BMC_FIRMWARE) == "2.4.1"


async def test_required_reset_is_made_behind_a_plugin(house: House) -> None:
    house.emulator.set_modes(
        "node1", update_needs_reset=True, monitor_ends_with_task=True
    )
    target = f"{INVENTORY}/node1.BIOS"
    wanted = {"ImageURI": IMAGE, "Targets": [target], "Version": "2.4.1"}
    task = await house.ended(await start(house, "ApplyFirmware", wanted, NODE))
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert resets(house, "node1") == ["GracefulRestart"]
    assert await version(house, target) == "2.4.1"


async def test_other_version_is_no_success(house: House) -> None:
    wanted = {"ImageURI": IMAGE, "Targets": [BIOS], "Version": "9.9"}
    timeout = {"Task-Timeout": "2"}
    task = await house.ended(await start(house, "ApplyFirmware", wanted, **timeout))
    assert task["TaskState"] == "Exception", task
    assert "did not end within its time" in words_of(task)
    assert "The step update stays done" in words_of(task)


async def test_failed_update_resets_nothing(house: House) -> None:
    house.emulator.set_modes("bmc1", fail=True, update_needs_reset=True)
    task = await house.ended(await apply(house))
    assert task["TaskState"] == "Exception", task
    assert resets(house) == []


async def test_password_reaches_the_source_only(house: House) -> None:
    accepted = await apply(house, Username="ada", Password="s3cret-w0rd")
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", task
    (update,) = house.emulator.executions("bmc1")
    assert isinstance(update.body, dict)
    assert update.body["Password"] == "s3cret-w0rd"
    history = (await house.workflow(accepted).fetch_history()).to_json()
    assert "s3cret-w0rd" not in history + str(task)


async def test_targets_of_another_source_are_refused(house: House) -> None:
    answer = await house.client.post(
        "/redfish/v1/Systems/bmc1.1/Actions/Oem/Taskfish.ApplyFirmware",
        json={"ImageURI": IMAGE, "Targets": [f"{INVENTORY}/node1.BIOS"]},
    )
    assert answer.status_code == 400, answer.text
    assert "Targets" in answer.text
