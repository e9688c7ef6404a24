"""Multi-step operations over HTTP: `POST …/Actions/Oem/Taskfish.{Name}`."""

from typing import Any

import pytest
from pydantic import JsonValue

from api.oem_links import with_operations
from taskfish.redfish.inventory import Member
from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.kept_rows import rows
from tests.house import House

SYSTEM = "/redfish/v1/Systems/bmc1.1"
OTHER = "/redfish/v1/Systems/node1.1"
AUDIT = "/redfish/v1/Managers/taskfish/LogServices/Audit/Entries"
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


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Storage": None}, "ActionParameterValueTypeError"),
        ({"Storage": f"{SYSTEM}/Storage"}, "ActionParameterValueFormatError"),
        ({"Storage": f"{OTHER}/Storage/1"}, "ActionParameterValueConflict"),
        ({"Volume": "data"}, "ActionParameterValueTypeError"),
        ({"Volume": VOLUME | {"RAIDType": "RAID99"}}, "PropertyValueNotInList"),
        ({"ResetType": "On"}, "ActionParameterValueNotInList"),
        ({"GracePeriodSeconds": "300"}, "ActionParameterValueTypeError"),
        ({"GracePeriodSeconds": True}, "ActionParameterValueTypeError"),
        ({"GracePeriodSeconds": 0}, "ActionParameterValueOutOfRange"),
        ({"storage": f"{SYSTEM}/Storage/1"}, "ActionParameterUnknown"),
        ({"reset_type": "ForceRestart"}, "ActionParameterUnknown"),
        ({"PauseBefore": ["reset", "nothing"]}, "ActionParameterValueNotInList"),
        ({"PauseBefore": [1]}, "ActionParameterValueTypeError"),
    ],
)
async def test_wrong_parameter_starts_nothing(
    house: House, change: dict[str, Any], expected: str
) -> None:
    before = await rows(house)
    refused = await house.client.post(ACTION, json=WANTED | change)
    assert refused.status_code == 400, refused.text
    assert message_keys(refused) == [expected]
    assert "Task-Id" not in refused.headers
    assert await rows(house) <= before


async def test_missing_parameters_are_all_named(house: House) -> None:
    refused = await house.client.post(ACTION, json={})
    assert message_keys(refused) == ["ActionParameterMissing"] * 2


async def test_operation_is_only_where_it_belongs(house: House) -> None:
    name = "Actions/Oem/Taskfish.CreateVolumeAndReset"
    for uri in (
        f"/redfish/v1/Systems/nobody.1/{name}",
        f"/redfish/v1/Chassis/bmc1.1/{name}",
        f"/redfish/v1/TaskService/{name}",
        f"/redfish/v1/Systems/{name}",
        f"{SYSTEM}/Actions/Oem/Taskfish.RunPlan",
        f"{SYSTEM}/Actions/Oem/Taskfish.Nothing",
    ):
        refused = await house.client.post(uri, json=WANTED)
        assert refused.status_code == 404, uri
    for method in ("GET", "HEAD", "PATCH", "PUT", "DELETE"):
        wrong = await house.client.request(method, ACTION)
        assert wrong.status_code == 405, method
        assert wrong.headers["Allow"] == "POST"
    info = f"{SYSTEM}/Oem/Taskfish/CreateVolumeAndResetActionInfo"
    assert (await house.client.head(info)).status_code == 200
    for uri in (
        info.replace("bmc1.1", "nobody.1"),
        info.replace("Systems", "Chassis"),
        info.replace("Create", "Destroy"),
    ):
        assert (await house.client.get(uri)).status_code == 404
    assert (await house.client.patch(info, json={})).status_code == 405
    assert house.executions("bmc1") == 0


async def test_operation_needs_the_privileges_of_its_steps(house: House) -> None:
    async with account(house, "ReadOnly") as reader, account(house, "Operator") as user:
        before = await rows(house)
        refused = await house.client.post(ACTION, json=WANTED, auth=reader)
        assert refused.status_code == 403
        assert set(message_keys(refused)) == {"InsufficientPrivilege"}
        assert await rows(house) <= before
        accepted = await house.client.post(ACTION, json=WANTED, auth=user)
        assert accepted.status_code == 202
        task = await house.ended(accepted)
        assert task["TaskState"] == "Completed"
        assert task["Oem"]["Taskfish"]["Owner"] == user[0]
    found = await house.client.get(AUDIT)
    noted = [each["Oem"]["Taskfish"] for each in found.json()["Members"]]
    of_action = [each for each in noted if each["TargetResource"] == ACTION]
    assert {(each["Event"], each.get("Task")) for each in of_action} >= {
        ("Refused", None),
        ("Change", task["Id"]),
    }


async def test_source_without_actions_gets_them_too() -> None:
    member = Member(source="bmc1", collection="Systems", id="1")
    bodies: list[dict[str, JsonValue]]
    bodies = [{}, {"Actions": None}, {"Actions": {"Oem": []}}]
    for body in bodies:
        shown = with_operations(SYSTEM, member, body)
        assert isinstance(shown, dict)
        assert "#Taskfish.CreateVolumeAndReset" in str(shown["Actions"])
    theirs: dict[str, JsonValue] = {"#Acme.Explode": {"target": "/x"}}
    given: dict[str, JsonValue]
    given = {"Actions": {"#ComputerSystem.Reset": {}, "Oem": theirs}}
    shown = with_operations(SYSTEM, member, given)
    assert isinstance(shown, dict)
    assert "#Acme.Explode" in str(shown)
    assert "#ComputerSystem.Reset" in str(shown)
    assert with_operations(f"{SYSTEM}/Bios", member, given) == given
    assert with_operations(SYSTEM, member, None) is None
