"""What changes are called."""

import re

import pytest

from taskfish.redfish.operations import (
    OperationName,
    is_operation_name,
    name_operation,
    new_task_id,
    owner_of_action,
)

SYSTEM = "/redfish/v1/Systems/rack7.1"
TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@pytest.mark.parametrize(
    ("method", "uri", "name", "target"),
    [
        (
            "POST",
            f"{SYSTEM}/Actions/ComputerSystem.Reset",
            "ComputerSystem.Reset",
            "rack7.1",
        ),
        ("POST", f"{SYSTEM}/Storage/1/Volumes", "Volume.Create", "rack7.1"),
        ("DELETE", f"{SYSTEM}/Storage/1/Volumes/2", "Volume.Delete", "rack7.1"),
        ("PATCH", f"{SYSTEM}/Bios/Settings", "Bios.Update", "rack7.1"),
        ("PUT", f"{SYSTEM}/SecureBoot", "SecureBoot.Replace", "rack7.1"),
        ("POST", f"{SYSTEM}/Actions/Oem/Acme.Dance", "Oem.POST", "rack7.1"),
        ("PATCH", f"{SYSTEM}/Oem/Acme/Thing", "Oem.PATCH", "rack7.1"),
        ("PATCH", SYSTEM, "ComputerSystem.Update", "rack7.1"),
        ("DELETE", f"{SYSTEM}/Oem/Acme/Jobs/1", "Oem.DELETE", "rack7.1"),
        ("POST", f"{SYSTEM}/Actions/Re set", "Oem.POST", "rack7.1"),
        (
            "POST",
            "/redfish/v1/Managers/rack7.1/RemoteAccountService/Accounts",
            "ManagerAccount.Create",
            "rack7.1",
        ),
        (
            "POST",
            "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate",
            "UpdateService.SimpleUpdate",
            "UpdateService",
        ),
    ],
)
def test_change_has_the_name_of_the_contract(
    method: str, uri: str, name: str, target: str
) -> None:
    operation = name_operation(method, uri)
    assert (operation.name, operation.target) == (name, target)
    assert is_operation_name(operation.name)


def test_task_ids_are_for_people_and_urls() -> None:
    operation = name_operation("POST", f"{SYSTEM}/Actions/ComputerSystem.Reset")
    first, second = new_task_id(operation), new_task_id(operation)
    assert first.startswith("ComputerSystem.Reset-rack7.1-")
    assert first != second
    assert TASK_ID.fullmatch(first)


def test_odd_member_names_make_good_task_ids() -> None:
    uri = f"/redfish/v1/Systems/rack7.{'%20;x' * 80}/Storage/1/Volumes"
    task_id = new_task_id(name_operation("POST", uri))
    assert TASK_ID.fullmatch(task_id)


@pytest.mark.parametrize("name", ["WatchSource", "ComputerSystem", "a.b.c", "Oem.GET!"])
def test_other_workflow_types_are_no_operations(name: str) -> None:
    assert not is_operation_name(name)


def test_summary_names_the_reset_type() -> None:
    operation = name_operation("POST", f"{SYSTEM}/Actions/ComputerSystem.Reset")
    words = operation.summary({"ResetType": "On"})
    assert words == "ComputerSystem.Reset On → rack7.1"


@pytest.mark.parametrize("target", ["x" * 250, "a:b/c d", "ü", "%2F", ""])
def test_task_id_of_any_target_is_safe_in_a_url(target: str) -> None:
    task_id = new_task_id(OperationName("Oem.POST", "Oem", target))
    assert TASK_ID.fullmatch(task_id)
    assert len(task_id) <= 128


def test_action_belongs_to_the_resource_before_it() -> None:
    assert owner_of_action(f"{SYSTEM}/Actions/ComputerSystem.Reset") == SYSTEM
    assert owner_of_action(SYSTEM) == SYSTEM
