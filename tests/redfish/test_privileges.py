"""The privilege table: DMTF's registry, its overrides, and what it does not know."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from taskfish.redfish.privileges import PRIVILEGES, ROLES
from taskfish.redfish.schema import SCHEMA
from tests.redfish.privilege_data import derive

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/node1.1"
MANAGER = f"{ROOT}/Managers/node1.1"
TASK = f"{ROOT}/TaskService/Tasks/x"


def test_committed_rows_are_those_of_the_registry(dmtf: Path) -> None:
    committed = files("taskfish.redfish").joinpath("privileges.json").read_text("utf-8")
    assert json.loads(committed) == derive(dmtf / "registries")


def test_every_entity_of_the_schemas_has_a_row() -> None:
    facts = json.loads(
        files("taskfish.redfish").joinpath("schema.json").read_text("utf-8")
    )
    for pattern in facts["uris"]:
        assert SCHEMA.kind_at(pattern) is not None
        assert PRIVILEGES.knows("GET", pattern), pattern


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", f"{ROOT}/Systems", "Login"),
        ("HEAD", SYSTEM, "Login"),
        ("PATCH", SYSTEM, "ConfigureComponents"),
        ("PUT", SYSTEM, "ConfigureComponents"),
        ("POST", f"{SYSTEM}/Actions/ComputerSystem.Reset", "ConfigureComponents"),
        ("POST", f"{SYSTEM}/Storage/1/Volumes", "ConfigureComponents"),
        ("POST", f"{SYSTEM}/Storage/1/Volumes/Members", "ConfigureComponents"),
        ("DELETE", f"{SYSTEM}/Storage/1/Volumes/1", "ConfigureComponents"),
        ("PATCH", f"{SYSTEM}/Bios/Settings", "ConfigureComponents"),
        ("POST", f"{SYSTEM}/Bios/Actions/Bios.ResetBios", "ConfigureComponents"),
        ("POST", f"{MANAGER}/Actions/Manager.Reset", "ConfigureManager"),
        ("PATCH", MANAGER, "ConfigureManager"),
        ("POST", f"{MANAGER}/RemoteAccountService/Accounts", "ConfigureUsers"),
        ("POST", f"{ROOT}/AccountService/Accounts", "ConfigureUsers"),
        ("PATCH", f"{ROOT}/AccountService", "ConfigureUsers"),
        (
            "POST",
            f"{ROOT}/AggregationService/AggregationSources",
            "ConfigureManager",
        ),
        ("GET", f"{SYSTEM}/ResetActionInfo", "Login"),
        ("GET", TASK, "Login"),
        ("PATCH", f"{ROOT}/TaskService", "ConfigureManager"),
        ("OPTIONS", SYSTEM, "Login"),
        ("GET", f"{ROOT}/SessionService", "Login"),
        ("PATCH", f"{ROOT}/SessionService", "ConfigureManager"),
        ("GET", f"{ROOT}/SessionService/Sessions", "Login"),
        ("POST", f"{ROOT}/SessionService/Sessions", "Login"),
        ("GET", f"{ROOT}/TaskService/TaskMonitors/x", "Login"),
        ("PATCH", f"{ROOT}/TaskService/TaskMonitors/x", "ConfigureManager"),
        ("PATCH", TASK, "ConfigureManager"),
        ("GET", f"{TASK}/SuspendActionInfo", "Login"),
        ("GET", f"{TASK}/SubTasks", "Login"),
        ("GET", f"{TASK}/SubTasks/reset", "Login"),
        ("PATCH", f"{TASK}/SubTasks/reset", "ConfigureManager"),
        ("POST", f"{TASK}/Actions/Oem/Taskfish.Kill", "ConfigureManager"),
        ("POST", f"{TASK}/Actions/Oem/Taskfish.SetTags", "Login"),
        ("POST", f"{SYSTEM}/Actions/Oem/Taskfish.CreateVolumeAndReset", "Login"),
        ("GET", f"{SYSTEM}/Oem/Taskfish/CreateVolumeAndResetActionInfo", "Login"),
        ("POST", f"{ROOT}/TaskService/Actions/Oem/Taskfish.RunPlan", "Login"),
        ("HEAD", f"{ROOT}/TaskService/Oem/Taskfish/RunPlanActionInfo", "Login"),
    ],
)
def test_request_needs_what_the_registry_says(
    method: str, path: str, needed: str
) -> None:
    assert PRIVILEGES.needed(method, path) == {needed}
    assert PRIVILEGES.knows(method, path)


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("PATCH", f"{SYSTEM}/EthernetInterfaces/1", "ConfigureComponents"),
        ("PATCH", f"{MANAGER}/EthernetInterfaces/1", "ConfigureManager"),
        ("GET", f"{MANAGER}/EthernetInterfaces/1", "Login"),
        ("POST", f"{MANAGER}/EthernetInterfaces", "ConfigureManager"),
        ("GET", f"{SYSTEM}/Certificates", "ConfigureComponents"),
        ("GET", f"{MANAGER}/NetworkProtocol/HTTPS/Certificates", "ConfigureManager"),
        ("DELETE", f"{SYSTEM}/LogServices/Log/Entries/1", "ConfigureComponents"),
        ("DELETE", f"{MANAGER}/LogServices/Log/Entries/1", "ConfigureManager"),
        (
            "POST",
            f"{SYSTEM}/LogServices/Log/Actions/LogService.ClearLog",
            "ConfigureComponents",
        ),
        (
            "POST",
            f"{MANAGER}/LogServices/Log/Actions/LogService.ClearLog",
            "ConfigureManager",
        ),
        ("PATCH", f"{SYSTEM}/Processors/1/EnvironmentMetrics", "ConfigureComponents"),
        ("PATCH", f"{ROOT}/Chassis/a.1/EnvironmentMetrics", "ConfigureManager"),
    ],
)
def test_place_of_a_subordinate_counts(method: str, path: str, needed: str) -> None:
    assert PRIVILEGES.needed(method, path) == {needed}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", TASK),
        ("DELETE", f"{TASK}/SubTasks/reset"),
        ("DELETE", f"{ROOT}/TaskService/TaskMonitors/x"),
        ("DELETE", f"{ROOT}/TaskService/TaskMonitors/x~1"),
        ("POST", f"{TASK}/Actions/Oem/Taskfish.Suspend"),
        ("POST", f"{TASK}/Actions/Oem/Taskfish.SetTags"),
        ("POST", f"{TASK}/Actions/Oem/Taskfish.Resume"),
        ("POST", f"{TASK}/Actions/Oem/Taskfish.PauseBefore"),
    ],
)
def test_what_owners_may_needs_only_a_login_here(method: str, path: str) -> None:
    assert PRIVILEGES.needed(method, path) == {"Login"}
    assert PRIVILEGES.knows(method, path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/metrics",
        "/redfish/v2/Systems",
        f"{ROOT}/Nothing",
        f"{SYSTEM}/Oem/Acme",
        f"{SYSTEM}/Oem/Acme/ResetActionInfo",
        f"{SYSTEM}/Actions/Oem/Acme.Explode",
        f"{SYSTEM}/Actions/Manager.Reset",
        f"{SYSTEM}/Actions/ComputerSystem.Reset/More",
        f"{SYSTEM}/Actions/ComputerSystemXReset",
        f"{SYSTEM}/Actions/",
        f"{ROOT}/Actions/ComputerSystem.Reset",
        f"{SYSTEM}/Storage/1/Actions/Oem/Taskfish.CreateVolumeAndReset",
        f"{SYSTEM}/Storage/1/Oem/Taskfish/CreateVolumeAndResetActionInfo",
        f"{SYSTEM}/Actions/Oem/Taskfish.CreateVolumeAndReset/x",
        f"{SYSTEM}/Actions/Oem/TaskfishXCreateVolumeAndReset",
        f"{SYSTEM}/Oem/Taskfish/Nothing",
        f"{ROOT}/Systems/Actions/Oem/Taskfish.CreateVolumeAndReset",
        f"{ROOT}/AccountService/Actions/Oem/Taskfish.RunPlan",
        f"{TASK}/Actions/Oem/TaskfishXSuspend",
        f"{TASK}/Actions/Oem/Acme.Suspend",
        f"{TASK}/Actions/Oem/Taskfish.Suspend/x",
        f"{ROOT}/TaskService/TaskMonitors",
        f"{ROOT}/TaskService/TaskMonitors/x/y",
    ],
)
def test_what_nobody_knows_needs_configure_manager(method: str, path: str) -> None:
    assert PRIVILEGES.needed(method, path) == {"ConfigureManager"}
    assert not PRIVILEGES.knows(method, path)


def test_head_needs_what_get_needs() -> None:
    path = f"{ROOT}/AccountService/Accounts/eve"
    assert PRIVILEGES.needed("HEAD", path) == PRIVILEGES.needed("GET", path)
    assert "Login" not in PRIVILEGES.needed("HEAD", path)


def test_ones_own_password_needs_configure_self() -> None:
    path = f"{ROOT}/AccountService/Accounts/eve"
    assert PRIVILEGES.needed("PATCH", path) == {"ConfigureUsers"}
    own = {"ConfigureUsers", "ConfigureSelf"}
    assert set(PRIVILEGES.needed_for_property("PATCH", path, "Password") or ()) == own
    assert PRIVILEGES.needed_for_any_property("PATCH", path) == own
    assert PRIVILEGES.needed_for_property("PATCH", path, "RoleId") is None
    assert PRIVILEGES.needed_for_property("DELETE", path, "Password") is None
    assert PRIVILEGES.needed_for_any_property("PATCH", SYSTEM) == frozenset()


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_ones_own_session_needs_configure_self(method: str) -> None:
    path = f"{ROOT}/SessionService/Sessions/x"
    assert PRIVILEGES.needed(method, path) == {"ConfigureManager", "ConfigureSelf"}
    assert PRIVILEGES.needed("PATCH", path) == {"ConfigureManager"}


def test_roles_are_the_predefined_ones() -> None:
    assert set(ROLES) == {"Administrator", "Operator", "ReadOnly"}
    assert set(ROLES["ReadOnly"]) < set(ROLES["Operator"])
    assert set(ROLES["Operator"]) < set(ROLES["Administrator"])
