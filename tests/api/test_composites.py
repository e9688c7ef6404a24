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


async def test_member_offers_its_operations(house: House) -> None:
    offered = (await house.client.get(SYSTEM)).json()["Actions"]["Oem"]
    action = offered["#Taskfish.CreateVolumeAndReset"]
    assert action["target"] == ACTION
    assert action["title"] == "Create Volume And Reset"
    for uri in ("/redfish/v1/Chassis/bmc1.1", f"{SYSTEM}/Storage/1"):
        other = (await house.client.get(uri)).json()
        assert "Taskfish" not in str(other.get("Actions"))
    info = (await house.client.get(action["@Redfish.ActionInfo"])).json()
    assert info["@odata.id"] == action["@Redfish.ActionInfo"]
    parameters = {each.pop("Name"): each for each in info["Parameters"]}
    assert parameters["ResetType"] == {
        "Required": False,
        "DataType": "String",
        "AllowableValues": ["GracefulRestart", "ForceRestart", "PowerCycle"],
        "DefaultValue": "GracefulRestart",
    }
    assert parameters["GracePeriodSeconds"] == {
        "Required": False,
        "DataType": "Number",
        "MinimumValue": 1,
        "MaximumValue": 86400,
        "DefaultValue": "300",
    }
    assert parameters["Volume"]["Required"]
    assert parameters["Volume"]["ObjectDataType"].startswith("#Volume.")
    assert parameters["PauseBefore"]["DataType"] == "StringArray"
