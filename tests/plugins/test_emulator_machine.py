"""The emulated machine by itself, under a clock that the test moves."""

from typing import Any

import pytest
from pydantic import ValidationError

from taskfish.plugins.machine.answers import DroppedConnectionError, RefusedError
from taskfish.plugins.machine.jobs import Job
from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.machine.services import task_body
from taskfish.plugins.machine.task_actions import act
from taskfish.redfish.task import TaskState
from tests.plugins.emulator_clients import MIRROR, Clock

ROOT = "/redfish/v1"
RESET = f"{ROOT}/Systems/1/Actions/ComputerSystem.Reset"
VOLUMES = f"{ROOT}/Systems/1/Storage/1/Volumes"
SETTINGS = f"{ROOT}/Systems/1/Bios/Settings"
UPDATE = f"{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate"
ON_RESET = {"@Redfish.OperationApplyTime": "OnReset"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(clock: Clock) -> Machine:
    return Machine("node1", modes=Modes(seconds=10), clock=clock)


async def begin(machine: Machine, uri: str, body: dict[str, Any]) -> Job:
    job = await machine.change("POST", uri, body)
    assert isinstance(job, Job)
    return job


async def reset(machine: Machine, reset_type: str) -> Job:
    return await begin(machine, RESET, {"ResetType": reset_type})


def members(machine: Machine) -> list[Any]:
    found = machine.read(VOLUMES)["Members"]
    assert isinstance(found, list)
    return found


def suspend(machine: Machine, job: Job, name: str) -> None:
    assert act(machine.timeline, job, "POST", name).status == 204


def state_of(machine: Machine, job: Job) -> TaskState:
    machine.timeline.advance()
    return job.state


@pytest.mark.parametrize(
    ("reset_type", "states"),
    [
        ("ForceOff", ["PoweringOff", "PoweringOff", "Off"]),
        ("GracefulShutdown", ["PoweringOff", "PoweringOff", "Off"]),
        ("ForceRestart", ["PoweringOff", "PoweringOn", "On"]),
        ("PowerCycle", ["PoweringOff", "PoweringOn", "On"]),
        ("PushPowerButton", ["PoweringOff", "PoweringOff", "Off"]),
        ("Nmi", ["On", "On", "On"]),
    ],
)
async def test_power_passes_through_honest_states(
    machine: Machine, clock: Clock, reset_type: str, states: list[str]
) -> None:
    await reset(machine, reset_type)
    seen = []
    for _ in states:
        clock.move(4)
        seen.append(machine.power_state)
    assert seen == states


async def test_power_comes_back_on(machine: Machine, clock: Clock) -> None:
    await reset(machine, "ForceOff")
    clock.move(11)
    await reset(machine, "On")
    assert machine.power_state == "PoweringOn"
    clock.move(11)
    assert machine.power_state == "On"


async def test_restart_sets_last_reset_time(machine: Machine, clock: Clock) -> None:
    before = machine.power.last_reset
    await reset(machine, "ForceRestart")
    clock.move(4)
    assert machine.power_state == "PoweringOff"
    assert machine.power.last_reset == before
    clock.move(4)
    assert machine.power_state == "PoweringOn"
    assert machine.power.last_reset != before


async def test_on_when_on_changes_nothing(machine: Machine) -> None:
    answer = await machine.change("POST", RESET, {"ResetType": "On"})
    assert not isinstance(answer, Job)
    assert "NoOperation" in str(answer.body)
    assert machine.power_state == "On"


@pytest.mark.parametrize(
    ("body", "status", "key"),
    [
        ({"ResetType": "Explode"}, 400, "ActionParameterValueNotInList"),
        ({"ResetType": 1}, 400, "ActionParameterValueNotInList"),
        ({}, 400, "ActionParameterMissing"),
    ],
)
async def test_bad_reset_is_refused(
    machine: Machine, body: dict[str, Any], status: int, key: str
) -> None:
    with pytest.raises(RefusedError) as caught:
        await machine.change("POST", RESET, body)
    assert caught.value.answer.status == status
    assert key in str(caught.value.answer.body)
    assert machine.executions == []


async def test_restart_when_off_is_conflict(machine: Machine, clock: Clock) -> None:
    await reset(machine, "ForceOff")
    clock.move(11)
    with pytest.raises(RefusedError) as caught:
        await reset(machine, "ForceRestart")
    assert caught.value.answer.status == 409


async def test_newest_reset_owns_power(machine: Machine, clock: Clock) -> None:
    older = await reset(machine, "ForceRestart")
    clock.move(2)
    newer = await reset(machine, "ForceOff")
    clock.move(9)
    assert machine.power_state == "PoweringOff"
    clock.move(2)
    assert machine.power_state == "Off"
    assert (older.state, newer.state) == (TaskState.COMPLETED, TaskState.COMPLETED)


async def test_exclusive_machine_refuses_second_reset(machine: Machine) -> None:
    machine.set_modes(exclusive=True)
    await reset(machine, "GracefulShutdown")
    with pytest.raises(RefusedError) as caught:
        await reset(machine, "GracefulRestart")
    assert caught.value.answer.status == 409
    await reset(machine, "ForceOff")
    assert len(machine.executions) == 2


async def test_volume_appears_at_end(machine: Machine, clock: Clock) -> None:
    job = await begin(machine, VOLUMES, MIRROR)
    clock.move(9.9)
    assert members(machine) == []
    clock.move(0.2)
    assert members(machine) == [{"@odata.id": f"{VOLUMES}/1"}]
    assert job.answer is not None
    assert job.answer.header("Location") == f"{VOLUMES}/1"


async def test_volume_on_reset_waits_for_it(machine: Machine, clock: Clock) -> None:
    job = await begin(machine, VOLUMES, MIRROR | ON_RESET)
    clock.move(1000)
    assert state_of(machine, job) is TaskState.PENDING
    assert task_body(job)["@Redfish.OperationApplyTime"] == "OnReset"
    await reset(machine, "ForceRestart")
    clock.move(4)
    assert state_of(machine, job) is TaskState.PENDING
    percents = []
    for _ in range(12):
        clock.move(1)
        machine.timeline.advance()
        percents.append(job.percent)
    assert state_of(machine, job) is TaskState.COMPLETED
    assert sorted(set(percents)) == [0, 10, 30, 50, 70, 90, 100]
    assert percents == sorted(percents)
    assert len(members(machine)) == 1


async def test_power_on_lets_volume_go(machine: Machine, clock: Clock) -> None:
    await reset(machine, "ForceOff")
    clock.move(11)
    job = await begin(machine, VOLUMES, MIRROR | ON_RESET)
    await reset(machine, "On")
    assert state_of(machine, job) is TaskState.RUNNING


@pytest.mark.parametrize(
    "body",
    [
        {"RAIDType": "RAID9"},
        {"RAIDType": "RAID1", "Links": {"Drives": [{"@odata.id": "/drive/9"}]}},
        {"RAIDType": "RAID5", "Links": {"Drives": []}},
        {"RAIDType": "RAID1", "Links": {"Drives": "all"}},
        {"RAIDType": "RAID1", "Links": 1},
        {"CapacityBytes": "much"},
        {"CapacityBytes": -1},
        {"Name": 3},
        {"Colour": "red"},
        {"@Redfish.OperationApplyTime": "Tomorrow"},
    ],
)
async def test_bad_volume_is_refused(machine: Machine, body: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as caught:
        await machine.change("POST", VOLUMES, body)
    assert caught.value.answer.status == 400
    assert machine.executions == []


async def test_volume_ids_are_never_reused(machine: Machine, clock: Clock) -> None:
    machine.set_modes(answer="sync")
    await machine.change("POST", VOLUMES, MIRROR)
    await machine.change("DELETE", f"{VOLUMES}/1", {})
    await machine.change("POST", VOLUMES, MIRROR)
    assert members(machine) == [{"@odata.id": f"{VOLUMES}/2"}]


async def test_volume_ids_reused_by_mode(machine: Machine) -> None:
    machine.set_modes(answer="sync", reuse_volume_ids=True)
    await machine.change("POST", VOLUMES, MIRROR)
    first = machine.read(f"{VOLUMES}/1")["Identifiers"]
    await machine.change("DELETE", f"{VOLUMES}/1", {})
    await machine.change("POST", VOLUMES, MIRROR)
    assert machine.read(f"{VOLUMES}/1")["Identifiers"] != first


async def test_bios_settings_apply_at_reset(machine: Machine, clock: Clock) -> None:
    await machine.change("PATCH", SETTINGS, {"Attributes": {"NumLock": "Off"}})
    bios = f"{ROOT}/Systems/1/Bios"
    assert machine.system.attributes["NumLock"] == "On"
    await reset(machine, "ForceRestart")
    clock.move(6)
    assert "'NumLock': 'Off'" in str(machine.read(bios)["Attributes"])


async def test_boot_once_is_used_up(machine: Machine, clock: Clock) -> None:
    boot: dict[str, Any] = {
        "BootSourceOverrideEnabled": "Once",
        "BootSourceOverrideTarget": "Pxe",
    }
    await machine.change("PATCH", f"{ROOT}/Systems/1", {"Boot": boot})
    assert machine.system.overrides["BootSourceOverrideTarget"] == "Pxe"
    await reset(machine, "ForceRestart")
    clock.move(11)
    machine.timeline.advance()
    assert machine.system.overrides["BootSourceOverrideEnabled"] == "Disabled"


@pytest.mark.parametrize(
    ("image", "version"),
    [("http://h/bios-2.4.1.bin", "2.4.1"), ("http://h/x", "2.0.0")],
)
async def test_update_changes_version(
    machine: Machine, clock: Clock, image: str, version: str
) -> None:
    await begin(machine, UPDATE, {"ImageURI": image, "Targets": [f"{ROOT}/Systems/1"]})
    clock.move(11)
    assert machine.read(f"{ROOT}/Systems/1")["BiosVersion"] == version


async def test_update_of_unknown_target_is_refused(machine: Machine) -> None:
    with pytest.raises(RefusedError) as caught:
        await begin(machine, UPDATE, {"ImageURI": "http://h/x", "Targets": ["/x"]})
    assert caught.value.answer.status == 400


async def test_failed_change_leaves_nothing(machine: Machine, clock: Clock) -> None:
    machine.set_modes(fail=True, fail_status=409)
    job = await begin(machine, VOLUMES, MIRROR)
    machine.set_modes(fail=False)
    clock.move(11)
    assert state_of(machine, job) is TaskState.EXCEPTION
    assert job.answer is not None
    assert job.answer.status == 409
    assert members(machine) == []
    assert machine.executions[0].outcome == "failed"


async def test_failed_reset_leaves_power(machine: Machine, clock: Clock) -> None:
    await reset(machine, "ForceOff")
    clock.move(2)
    machine.set_modes(fail=True)
    clock.move(9)
    assert machine.power_state == "On"


async def test_warned_change_is_done(machine: Machine, clock: Clock) -> None:
    machine.set_modes(warn=True)
    job = await begin(machine, VOLUMES, MIRROR)
    clock.move(11)
    assert state_of(machine, job) is TaskState.COMPLETED
    body = task_body(job)
    assert body["TaskStatus"] == "Warning"
    assert "TaskCompletedWarning" in str(body["Messages"])


async def test_aborted_change_is_not_done(machine: Machine, clock: Clock) -> None:
    job = await begin(machine, VOLUMES, MIRROR)
    clock.move(5)
    machine.abort(job)
    assert state_of(machine, job) is TaskState.CANCELLING
    clock.move(3)
    assert state_of(machine, job) is TaskState.CANCELLED
    clock.move(100)
    assert members(machine) == []
    assert machine.executions[0].outcome == "cancelled"


async def test_pending_change_is_aborted_at_once(machine: Machine) -> None:
    job = await begin(machine, VOLUMES, MIRROR | ON_RESET)
    machine.abort(job)
    assert state_of(machine, job) is TaskState.CANCELLED


async def test_aborted_reset_settles_power(machine: Machine, clock: Clock) -> None:
    machine.set_modes(abort_seconds=0)
    job = await reset(machine, "GracefulShutdown")
    assert machine.power_state == "PoweringOff"
    machine.abort(job)
    assert machine.power_state == "On"


async def test_ignored_abort_goes_on(machine: Machine, clock: Clock) -> None:
    machine.set_modes(abort="ignored")
    job = await begin(machine, VOLUMES, MIRROR)
    machine.abort(job)
    clock.move(11)
    assert state_of(machine, job) is TaskState.COMPLETED


@pytest.mark.parametrize("abort", ["refused", "unsupported"])
async def test_refused_abort_is_405(machine: Machine, abort: str) -> None:
    machine.set_modes(abort=abort)
    job = await begin(machine, VOLUMES, MIRROR)
    with pytest.raises(RefusedError) as caught:
        machine.abort(job)
    assert caught.value.answer.status == 405


async def test_hanging_change_goes_on_when_cleared(
    machine: Machine, clock: Clock
) -> None:
    machine.set_modes(hang=True)
    job = await reset(machine, "ForceOff")
    clock.move(1000)
    assert state_of(machine, job) is TaskState.RUNNING
    assert machine.power_state == "On"
    machine.set_modes(hang=False)
    clock.move(11)
    assert machine.power_state == "Off"


@pytest.mark.parametrize("kind", ["GracefulShutdown", "GracefulRestart", "Nmi"])
async def test_only_graceful_reset_hangs(
    machine: Machine, clock: Clock, kind: str
) -> None:
    machine.set_modes(hang_graceful=True)
    graceful = await reset(machine, kind)
    clock.move(100)
    assert machine.power_state == "On"
    await reset(machine, "ForceOff")
    clock.move(11)
    assert machine.power_state == "Off"
    assert state_of(machine, graceful) is TaskState.RUNNING


async def test_paused_change_is_suspended(machine: Machine, clock: Clock) -> None:
    machine.set_modes(pause_at=50)
    job = await begin(machine, VOLUMES, MIRROR)
    clock.move(100)
    assert state_of(machine, job) is TaskState.SUSPENDED
    assert job.percent == 50
    machine.set_modes(pause_at=None)
    clock.move(4)
    assert state_of(machine, job) is TaskState.RUNNING
    clock.move(2)
    assert state_of(machine, job) is TaskState.COMPLETED


async def test_suspended_job_stands_still(machine: Machine, clock: Clock) -> None:
    machine.set_modes(pausable=True)
    job = await begin(machine, VOLUMES, MIRROR)
    other = await begin(machine, VOLUMES, MIRROR)
    clock.move(5)
    suspend(machine, job, "Taskfish.Suspend")
    clock.move(100)
    assert (state_of(machine, job), job.percent) == (TaskState.SUSPENDED, 50)
    assert state_of(machine, other) is TaskState.COMPLETED
    suspend(machine, job, "Taskfish.Resume")
    clock.move(4)
    assert state_of(machine, job) is TaskState.RUNNING
    clock.move(2)
    assert state_of(machine, job) is TaskState.COMPLETED
    assert len(machine.executions) == 2


async def test_suspended_job_can_be_aborted(machine: Machine, clock: Clock) -> None:
    machine.set_modes(pausable=True)
    job = await begin(machine, VOLUMES, MIRROR)
    suspend(machine, job, "Taskfish.Suspend")
    machine.abort(job)
    assert state_of(machine, job) is TaskState.CANCELLING
    clock.move(3)
    assert state_of(machine, job) is TaskState.CANCELLED


async def test_job_that_waits_for_a_reset_may_be_suspended(
    machine: Machine, clock: Clock
) -> None:
    machine.set_modes(pausable=True)
    job = await begin(machine, VOLUMES, MIRROR | ON_RESET)
    suspend(machine, job, "Taskfish.Suspend")
    assert state_of(machine, job) is TaskState.SUSPENDED
    await reset(machine, "ForceRestart")
    clock.move(100)
    assert state_of(machine, job) is TaskState.SUSPENDED
    suspend(machine, job, "Taskfish.Resume")
    clock.move(11)
    assert state_of(machine, job) is TaskState.COMPLETED


@pytest.mark.parametrize("state", [*TaskState])
async def test_shown_state_changes_nothing_else(
    machine: Machine, clock: Clock, state: TaskState
) -> None:
    machine.set_modes(shows_state=state)
    job = await begin(machine, VOLUMES, MIRROR)
    assert task_body(job)["TaskState"] == state
    assert state_of(machine, job) is TaskState.RUNNING
    clock.move(11)
    machine.timeline.advance()
    assert task_body(job)["TaskState"] == "Completed"
    assert len(members(machine)) == 1


@pytest.mark.parametrize("value", ["Immediate", "OnReset", "Tomorrow", None])
async def test_machine_without_apply_times_refuses_them(
    machine: Machine, value: str | None
) -> None:
    machine.set_modes(apply_times=False)
    when: dict[str, Any] = {"@Redfish.OperationApplyTime": value}
    image = {"ImageURI": "http://h/x"}
    for uri, body in ((VOLUMES, MIRROR), (UPDATE, image)):
        with pytest.raises(RefusedError) as caught:
            await machine.change("POST", uri, body | when)
        assert caught.value.answer.status == 400
        assert "PropertyUnknown" in str(caught.value.answer.body)
    assert machine.executions == []
    await begin(machine, VOLUMES, MIRROR)


def test_apply_times_are_offered_if_supported(machine: Machine) -> None:
    name, update = "@Redfish.OperationApplyTimeSupport", f"{ROOT}/UpdateService"
    assert machine.read(VOLUMES)[name] == {
        "@odata.type": "#Settings.v1_4_0.OperationApplyTimeSupport",
        "SupportedValues": ["Immediate", "OnReset"],
    }
    assert name in str(machine.read(update))
    machine.set_modes(apply_times=False)
    assert name not in machine.read(VOLUMES)
    assert name not in str(machine.read(update))


async def test_restart_forgets_tasks(machine: Machine, clock: Clock) -> None:
    old = await reset(machine, "ForceOff")
    machine.restart()
    clock.move(100)
    assert machine.power_state == "On"
    assert machine.executions[0].outcome == "forgotten"
    new = await reset(machine, "ForceOff")
    assert (old.id, new.id) == ("0", "0")


async def test_restart_may_keep_counting(machine: Machine) -> None:
    await reset(machine, "ForceOff")
    machine.restart(reset_ids=False)
    assert (await reset(machine, "ForceOff")).id == "1"


async def test_sync_mode_answers_at_once(machine: Machine, clock: Clock) -> None:
    machine.set_modes(answer="sync")
    answer = await machine.change("POST", VOLUMES, MIRROR)
    assert not isinstance(answer, Job)
    assert answer.status == 201
    assert await machine.change("POST", RESET, {"ResetType": "ForceOff"})
    assert machine.power_state == "PoweringOff"
    clock.move(11)
    assert machine.power_state == "Off"


async def test_task_mode_makes_task_of_patch(machine: Machine, clock: Clock) -> None:
    machine.set_modes(answer="task")
    job = await machine.change("PATCH", SETTINGS, {"Attributes": {"NumLock": "Off"}})
    assert isinstance(job, Job)
    assert machine.system.pending == {}
    clock.move(11)
    machine.timeline.advance()
    assert machine.final_answer(job).status == 200
    assert machine.system.pending == {"NumLock": "Off"}


async def test_own_task_is_no_execution(machine: Machine, clock: Clock) -> None:
    job = machine.start_own_task(seconds=1)
    assert machine.read("/redfish/v1/TaskService/Tasks")["Members@odata.count"] == 1
    clock.move(2)
    assert state_of(machine, job) is TaskState.COMPLETED
    assert machine.executions == []


@pytest.mark.parametrize(
    "changes",
    [
        {"hang": "maybe"},
        {"pause_at": 100},
        {"refuse": 200},
        {"no_mode": 1},
        {"shows_state": "Sleeping"},
        {"abort": "never"},
    ],
)
def test_bad_modes_are_refused(machine: Machine, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        machine.set_modes(**changes)


@pytest.mark.parametrize(
    "body",
    [
        {"PowerState": "Off"},
        {"Boot": {"BootSourceOverrideTarget": "Floppy"}},
        {"Boot": {"BootOrder": ["Boot9999"]}},
        {"Boot": {"BootOrder": "Boot0000"}},
        {"Boot": {"Speed": 1}},
        {"Boot": []},
        {"AssetTag": 7},
    ],
)
async def test_bad_system_patch_is_refused(
    machine: Machine, body: dict[str, Any]
) -> None:
    before = machine.read(f"{ROOT}/Systems/1")["@odata.etag"]
    with pytest.raises(RefusedError) as caught:
        await machine.change("PATCH", f"{ROOT}/Systems/1", body)
    assert caught.value.answer.status == 400
    assert machine.read(f"{ROOT}/Systems/1")["@odata.etag"] == before


async def test_default_boot_order_returns(machine: Machine) -> None:
    system = f"{ROOT}/Systems/1"
    order: list[Any] = ["Boot0002", "Boot0000", "Boot0001"]
    await machine.change("PATCH", system, {"Boot": {"BootOrder": order}})
    assert machine.system.boot_order == order
    action = f"{system}/Actions/ComputerSystem.SetDefaultBootOrder"
    await machine.change("POST", action, {})
    assert machine.system.boot_order == sorted(order)


async def test_unknown_bios_attribute_is_refused(machine: Machine) -> None:
    with pytest.raises(RefusedError):
        await machine.change("PATCH", SETTINGS, {"Attributes": {"Warp": 9}})
    assert machine.system.pending == {}


async def test_reset_bios_brings_defaults_at_reset(
    machine: Machine, clock: Clock
) -> None:
    machine.system.attributes["NumLock"] = "Off"
    await machine.change("POST", f"{ROOT}/Systems/1/Bios/Actions/Bios.ResetBios", {})
    assert machine.system.attributes["NumLock"] == "Off"
    await reset(machine, "ForceRestart")
    clock.move(11)
    assert machine.power_state == "On"
    assert machine.system.attributes["NumLock"] == "On"


async def test_bmc_update_may_take_it_away(machine: Machine, clock: Clock) -> None:
    machine.set_modes(update_restarts=True)
    target = f"{ROOT}/UpdateService/FirmwareInventory/BMC"
    job = await begin(machine, UPDATE, {"ImageURI": "http://h/x", "Targets": [target]})
    clock.move(6)
    with pytest.raises(DroppedConnectionError):
        machine.arrive()
    clock.move(3)
    machine.arrive()
    clock.move(2)
    assert state_of(machine, job) is TaskState.COMPLETED
    assert machine.read(f"{ROOT}/Managers/1")["FirmwareVersion"] == "2.0.0"


async def test_account_is_changed(machine: Machine) -> None:
    account = f"{ROOT}/AccountService/Accounts/1"
    await machine.change("PATCH", account, {"Password": "new-password"})
    assert machine.accounts.accepts("admin", "new-password")
    assert not machine.accounts.accepts("admin", "password")
    with pytest.raises(RefusedError):
        await machine.change("PATCH", account, {"Password": None})
    await machine.change("PATCH", account, {"Enabled": False})
    assert not machine.accounts.accepts("admin", "new-password")


async def test_secrets_hide_payload(machine: Machine) -> None:
    machine.set_modes(answer="task")
    account = f"{ROOT}/AccountService/Accounts/1"
    job = await machine.change("PATCH", account, {"Password": "new-password"})
    assert isinstance(job, Job)
    assert "new-password" not in str(task_body(job))


async def test_renewed_machine_is_as_at_first(machine: Machine, clock: Clock) -> None:
    uuid = machine.uuid
    machine.set_modes(answer="sync")
    await machine.change("POST", VOLUMES, MIRROR)
    machine.renew(Modes())
    assert members(machine) == []
    assert machine.executions == []
    assert (machine.uuid, machine.modes) == (uuid, Modes())
