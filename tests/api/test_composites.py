"""Multi-step operations over HTTP: `POST …/Actions/Oem/Taskfish.{Name}`."""

from typing import Any

from tests.house import House

SYSTEM = "/redfish/v1/Systems/bmc1.1"
ACTION = f"{SYSTEM}/Actions/Oem/Taskfish.CreateVolumeAndReset"
DRIVE = {"@odata.id": f"{SYSTEM}/Storage/1/Drives/1"}
VOLUME: dict[str, Any] = {
    "Name": "data",
    "RAIDType": "RAID0",
    "Links": {"Drives": [DRIVE]},
}
WANTED: dict[str, Any] = {"Storage": f"{SYSTEM}/Storage/1", "Volume": VOLUME}


async def test_volume_is_created_and_the_system_reset(house: House) -> None:
    accepted = await house.change("POST", ACTION, WANTED)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert task["PercentComplete"] == 100
    assert task["Links"]["CreatedResources@odata.count"] == 1
    assert house.executions("bmc1", "POST") == 2
    assert (await house.final(accepted)).status_code == 204
