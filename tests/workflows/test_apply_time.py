"""A change is made at the reset that its request asks for, and only then."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from activities.power_marks import PowerMark
from activities.reset_gate import ResetGate
from taskfish.store.reset_waits import ResetWaits
from tests.conftest import KEY
from tests.crashing_worker import PROGRAM
from tests.house import SOURCES, House
from tests.worker_process import worker_process
from tests.workflows.houses import (
    BMC,
    NODE,
    bmc_house,
    until,
    until_begun,
    until_executed,
    words_of,
)
from tests.workflows.waiting_changes import (
    APPLY_TIME,
    executed,
    reset_at_machine,
    until_beaten,
    until_first_look,
    until_none_waits,
    until_waiting,
    volume,
    waits,
)


async def test_source_keeps_its_own_apply_time(bmc: House) -> None:
    accepted = await volume(bmc)
    await until(lambda: executed(bmc) == ["Volumes"])
    await bmc.until(accepted, "Pending")
    (execution,) = bmc.emulator.executions("bmc1")
    assert isinstance(execution.body, dict)
    assert execution.body[APPLY_TIME] == "OnReset"
    assert await waits(bmc) == []
    assert (await bmc.ended(await bmc.reset("bmc1.1")))["TaskState"] == "Completed"
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"


@pytest.mark.parametrize("machine", ["node1", "bmc1"])
async def test_gateway_sends_just_before_the_reset(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, apply_times=False)
    system = f"/redfish/v1/Systems/{machine}.1"
    accepted = await volume(house, system)
    await until_waiting(house, system)
    task = await house.until(accepted, "Pending")
    assert "TaskStatus" not in task
    assert executed(house, machine) == []
    reset = await house.reset(f"{machine}.1")
    assert (await house.ended(reset))["TaskState"] == "Completed"
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert executed(house, machine) == ["Volumes", "ComputerSystem.Reset"]
    body = house.emulator.executions(machine)[0].body
    assert isinstance(body, dict)
    assert APPLY_TIME not in body
    assert await waits(house, system) == []


async def test_waiting_task_says_what_it_waits_for(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_begun(bmc, accepted, "await_reset")

    async def says() -> bool:
        return f"Waits for the next reset of {BMC}" in words_of(
            await bmc.task(accepted)
        )

    await until(says)


@pytest.mark.parametrize("source_applies", [True, False])
async def test_pending_task_says_when_it_applies(
    bmc: House, source_applies: bool
) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=source_applies)
    accepted = await volume(bmc)
    pending = await bmc.until(accepted, "Pending")
    assert pending["@Redfish.OperationApplyTime"] == "OnReset"
    await bmc.reset("bmc1.1")
    assert "@Redfish.OperationApplyTime" not in await bmc.ended(accepted)


async def test_several_changes_go_before_one_reset(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = [await volume(bmc) for _ in range(3)]

    async def all_wait() -> bool:
        return len(await waits(bmc)) == 3

    await until(all_wait)
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert executed(bmc) == [*["Volumes"] * 3, "ComputerSystem.Reset"]
    for each in accepted:
        assert (await bmc.ended(each))["TaskState"] == "Completed"


@pytest.mark.parametrize("conflict", ["queue", "reject"])
async def test_reset_that_has_its_turn_lets_the_change_go_first(
    temporal: Client, tmp_path: Path, conflict: str
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, conflict=conflict) as bmc:
        bmc.emulator.set_modes("bmc1", apply_times=False)
        accepted = await volume(bmc)
        await until_waiting(bmc)
        reset = await bmc.reset("bmc1.1")
        assert (await bmc.ended(reset))["TaskState"] == "Completed"
        assert (await bmc.ended(accepted))["TaskState"] == "Completed"
        assert executed(bmc) == ["Volumes", "ComputerSystem.Reset"]


async def test_reset_made_elsewhere_is_seen(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await bmc.until(accepted, "Pending")
    await until_waiting(bmc)
    await until_first_look(bmc)
    await reset_at_machine(bmc)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert executed(bmc) == ["ComputerSystem.Reset", "Volumes"]
    assert await waits(bmc) == []


async def test_silent_machine_is_waited_for(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    await until_first_look(bmc)
    bmc.emulator.set_modes("bmc1", refuse_reads=500)
    await until_first_look(bmc)
    assert (await bmc.task(accepted))["TaskState"] == "Pending"
    bmc.emulator.set_modes("bmc1", refuse_reads=None)
    await reset_at_machine(bmc)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert executed(bmc) == ["ComputerSystem.Reset", "Volumes"]


@pytest.mark.parametrize(
    ("before", "now", "reset"),
    [
        (("On", None), ("On", None), False),
        (("On", "9:00"), ("On", "9:00"), False),
        (("On", "9:00"), ("On", "9:05"), True),
        (("On", "9:00"), ("On", None), False),
        (("On", None), ("On", "9:05"), True),
        (("Off", None), ("PoweringOn", None), True),
        (("On", None), (None, None), False),
        ((None, None), ("On", None), False),
    ],
)
def test_reset_is_told_by_what_the_machine_shows(
    before: tuple[str | None, str | None],
    now: tuple[str | None, str | None],
    reset: bool,
) -> None:
    earlier = PowerMark(power_state=before[0], last_reset=before[1])
    later = PowerMark(power_state=now[0], last_reset=now[1])
    assert later.tells_reset(earlier) is reset


@pytest.mark.parametrize("machine", ["node1", "bmc1"])
@pytest.mark.parametrize("apply_times", [True, False])
async def test_update_waits_where_the_source_says(
    house: House, machine: str, apply_times: bool
) -> None:
    """What an action offers stands in its own object."""
    house.emulator.set_modes(machine, apply_times=apply_times)
    system = f"/redfish/v1/Systems/{machine}.1"
    body = {"ImageURI": "http://images/2.0.0.bin", "Targets": [system]}
    uri = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
    accepted = await house.change("POST", uri, {**body, APPLY_TIME: "OnReset"})
    if apply_times:
        await until(lambda: executed(house, machine) == ["UpdateService.SimpleUpdate"])
    else:
        await until_waiting(house, system)
        assert executed(house, machine) == []
    await house.until(accepted, "Pending")
    await house.ended(await house.reset(f"{machine}.1"))
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    names = ["UpdateService.SimpleUpdate", "ComputerSystem.Reset"]
    assert executed(house, machine) == names


async def test_nmi_is_no_reset(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    assert (await bmc.ended(await bmc.reset("bmc1.1", "Nmi")))["TaskState"] == (
        "Completed"
    )
    assert executed(bmc) == ["ComputerSystem.Reset"]
    assert (await bmc.task(accepted))["TaskState"] == "Pending"


async def test_reset_of_another_system_changes_nothing(node: House) -> None:
    node.emulator.set_modes("node1", apply_times=False)
    accepted = await volume(node, NODE)
    await until_waiting(node, NODE)
    await node.ended(await node.reset("node2.1"))
    assert (await node.task(accepted))["TaskState"] == "Pending"
    assert executed(node, "node1") == []


async def test_deletion_waits_for_the_reset(bmc: House) -> None:
    created = await bmc.final(await bmc.create_volume("bmc1.1"))
    bmc.emulator.set_modes("bmc1", apply_times=False)
    uri = created.headers["Location"]
    accepted = await bmc.change("DELETE", uri, {APPLY_TIME: "OnReset"})
    await until_waiting(bmc)
    assert (await bmc.client.get(uri)).status_code == 200
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert (await bmc.client.get(uri)).status_code == 404


async def test_secrets_are_sent_without_the_apply_time(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    uri = "/redfish/v1/Managers/bmc1.1/RemoteAccountService/Accounts"
    body = {"UserName": "operator", "Password": "s3cret-w0rd", "RoleId": "Operator"}
    accepted = await bmc.change("POST", uri, {**body, APPLY_TIME: "OnReset"})
    await until_waiting(bmc)
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    sent = bmc.emulator.executions("bmc1")[0].body
    assert isinstance(sent, dict)
    assert APPLY_TIME not in sent


async def test_immediate_is_sent_at_once_to_any_source(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    assert (await bmc.ended(await volume(bmc, value="Immediate")))["TaskState"] == (
        "Completed"
    )
    body = bmc.emulator.executions("bmc1")[0].body
    assert isinstance(body, dict)
    assert APPLY_TIME not in body


async def test_cancel_of_what_waits_sends_nothing(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    await bmc.workflow(accepted).cancel()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "nothing was sent" in words_of(task)
    await until_none_waits(bmc)
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert executed(bmc) == ["ComputerSystem.Reset"]


@asynccontextmanager
async def asking(
    temporal: Client, folder: Path
) -> AsyncIterator[tuple[House, httpx.Response]]:
    """Give a gateway and a change whose source is asked in vain for its apply times."""
    # For so long it is asked: what a test does comes within that on a busy machine too.
    async with bmc_house(temporal, folder, KEY, submit_deadline=120) as house:
        house.emulator.set_modes("bmc1", vanish=True)
        accepted = await volume(house)
        await until_begun(house, accepted, "apply_times")
        yield house, accepted


async def test_cancel_while_the_source_is_asked_sends_nothing(
    temporal: Client, tmp_path: Path
) -> None:
    async with asking(temporal, tmp_path) as (bmc, accepted):
        await bmc.workflow(accepted).cancel()
        assert (await bmc.ended(accepted))["TaskState"] == "Cancelled"
        assert executed(bmc) == []


async def test_operator_reads_why_the_source_is_asked_again(
    temporal: Client, tmp_path: Path
) -> None:
    """Temporal shows no failure of an attempt that is longer than 4 KiB."""
    async with asking(temporal, tmp_path) as (bmc, accepted):

        async def why() -> str:
            run = await bmc.workflow(accepted).describe()
            (asking,) = run.raw_description.pending_activities
            if not asking.HasField("last_failure"):
                return ""
            return str(
                await temporal.data_converter.decode_failure(asking.last_failure)
            )

        await until(why)
        assert "source bmc1" in await why()
        assert "closed the connection" in await why()
        await bmc.workflow(accepted).cancel()
        await bmc.ended(accepted)


async def test_terminated_task_holds_no_reset_up(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    await bmc.stop_worker()
    await bmc.workflow(accepted).terminate()
    reset = await bmc.reset("bmc1.1")
    assert len(await waits(bmc)) == 1
    await bmc.start_worker()
    assert (await bmc.ended(reset))["TaskState"] == "Completed"
    assert executed(bmc) == ["ComputerSystem.Reset"]
    assert await waits(bmc) == []


async def test_what_terminated_tasks_leave_behind_is_swept(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted, terminated = await volume(bmc), await volume(bmc)

    async def both_wait() -> bool:
        return len(await waits(bmc)) == 2

    await until(both_wait)
    await bmc.stop_worker()
    await bmc.workflow(terminated).terminate()
    gate = ResetGate(bmc.temporal, ResetWaits(bmc.store))

    async def one_is_left() -> bool:
        await gate.sweep(datetime.now(UTC))
        return [each.task_id for each in await waits(bmc)] == [accepted.json()["Id"]]

    await until(one_is_left)


async def test_suspended_task_holds_no_reset_up(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    await bmc.workflow(accepted).signal("Suspend", "a test")
    await bmc.until(accepted, "Suspended")
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert executed(bmc) == ["ComputerSystem.Reset"]
    await bmc.workflow(accepted).signal("Resume", "a test")
    await bmc.until(accepted, "Pending")
    await until_waiting(bmc)
    await bmc.ended(await bmc.reset("bmc1.1"))
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    names = ["ComputerSystem.Reset", "Volumes", "ComputerSystem.Reset"]
    assert executed(bmc) == names


async def test_cancelled_reset_is_not_sent_while_it_waits(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    bmc.emulator.set_modes("bmc1", refuse=503)
    reset = await bmc.reset("bmc1.1")

    async def is_announced() -> bool:
        return any(wait.resetting for wait in await waits(bmc))

    await until(is_announced)
    await bmc.until(accepted, "Starting")
    await bmc.workflow(reset).cancel()
    task = await bmc.ended(reset)
    assert task["TaskState"] == "Cancelled"
    assert "nothing was sent" in words_of(task)
    bmc.emulator.set_modes("bmc1", refuse=None)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert executed(bmc) == ["Volumes"]


async def ended_reset(bmc: House) -> httpx.Response:
    """Make a reset that has ended."""
    reset = await bmc.reset("bmc1.1")
    await bmc.ended(reset)
    return reset


async def cancelled_reset(bmc: House) -> httpx.Response:
    """Make a reset that was cancelled and is still open: its source ignores that."""
    bmc.emulator.set_modes("bmc1", hang=True, abort="ignored")
    reset = await bmc.reset("bmc1.1")
    await bmc.until(reset, "Running")
    await bmc.workflow(reset).cancel()
    return reset


async def suspended_reset(bmc: House) -> httpx.Response:
    """Make a reset that an operator holds back."""
    await bmc.stop_worker()
    reset = await bmc.reset("bmc1.1")
    await bmc.workflow(reset).signal("Suspend", "a test")
    await bmc.start_worker()
    await bmc.until(reset, "Suspended")
    return reset


@pytest.mark.parametrize("made", [ended_reset, cancelled_reset, suspended_reset])
async def test_change_waits_on_when_the_announced_reset_does_not_come(
    bmc: House, made: Callable[[House], Awaitable[httpx.Response]]
) -> None:
    """It was announced, and then its task was cancelled, held back or ended."""
    bmc.emulator.set_modes("bmc1", apply_times=False)
    reset = await made(bmc)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    (wait,) = await waits(bmc)
    await ResetWaits(bmc.store).announce(wait, reset.json()["Id"])

    async def is_withdrawn() -> bool:
        return [each.resetting for each in await waits(bmc)] == [None]

    await until(is_withdrawn)
    assert (await bmc.task(accepted))["TaskState"] == "Pending"
    assert "Volumes" not in executed(bmc)


async def test_forced_power_off_waits_for_no_change(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    await until_first_look(bmc)
    forced = await bmc.reset("bmc1.1", "ForceOff")
    assert (await bmc.ended(forced))["TaskState"] == "Completed"
    await bmc.ended(accepted)
    assert executed(bmc) == ["ComputerSystem.Reset", "Volumes"]


async def test_change_in_line_after_a_reset_elsewhere_holds_no_other_reset(
    temporal: Client, tmp_path: Path
) -> None:
    """The reset that it waited for is over: the next one is not to wait for it."""
    async with bmc_house(temporal, tmp_path, KEY, conflict="queue") as bmc:
        bmc.emulator.set_modes("bmc1", apply_times=False, seconds=60)
        await bmc.create_volume("bmc1.1")
        await until_executed(bmc)
        bmc.emulator.set_modes("bmc1", seconds=0.4)
        accepted = await volume(bmc)
        await until_waiting(bmc)
        await until_first_look(bmc)
        await reset_at_machine(bmc)
        await until_begun(bmc, accepted, "await_turn")
        assert await waits(bmc) == []
        uri = f"{BMC}/Actions/ComputerSystem.Reset"
        body = {"ResetType": "ForceRestart"}
        passes = {"Task-Conflict": "allow"}
        reset = await bmc.change("POST", uri, body, **passes)
        await until(lambda: executed(bmc).count("ComputerSystem.Reset") == 2, 20)
        assert (await bmc.ended(reset))["TaskState"] == "Completed"
        assert (await bmc.task(accepted))["TaskState"] == "Pending"


async def test_wait_ends_when_its_source_is_removed(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    accepted = await volume(bmc)
    await until_waiting(bmc)
    forced = {"Oem": {"Taskfish": {"Force": True}}}
    gone = await bmc.client.request("DELETE", f"{SOURCES}/bmc1", json=forced)
    assert gone.status_code == 204, gone.text
    assert (await bmc.ended(accepted))["TaskState"] == "Exception"
    assert executed(bmc) == []
    assert await waits(bmc) == []


async def test_worker_killed_while_a_change_waits(
    bmc: House, temporal_address: str
) -> None:
    """A reset that is made while no worker runs lets the change go first."""
    bmc.emulator.set_modes("bmc1", apply_times=False)
    await bmc.stop_worker()
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        accepted = await volume(bmc)
        await until_waiting(bmc)
        await worker.kill()
    reset = await bmc.reset("bmc1.1")
    await bmc.start_worker()
    assert (await bmc.ended(reset))["TaskState"] == "Completed"
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert executed(bmc) == ["Volumes", "ComputerSystem.Reset"]


@pytest.mark.parametrize("boundary", ["announced", "sent", "answered", "released"])
async def test_worker_killed_while_a_reset_waits(
    temporal: Client, temporal_address: str, tmp_path: Path, boundary: str
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, submit_deadline=30) as bmc:
        bmc.emulator.set_modes("bmc1", apply_times=False)
        await bmc.stop_worker()
        program = (*PROGRAM, boundary)
        async with worker_process(bmc, temporal_address, program) as worker:
            await worker.until_ready()
            accepted = await volume(bmc)
            await until_waiting(bmc)
            reset = await bmc.reset("bmc1.1")
            assert await worker.ended() == -9, worker.said
        await bmc.start_worker()
        assert (await bmc.ended(reset))["TaskState"] == "Completed"
        assert (await bmc.ended(accepted))["TaskState"] == "Completed"
        assert executed(bmc) == ["Volumes", "ComputerSystem.Reset"]
        assert await waits(bmc) == []


async def test_reset_elsewhere_without_a_worker_is_seen(
    bmc: House, temporal_address: str
) -> None:
    bmc.emulator.set_modes("bmc1", apply_times=False)
    await bmc.stop_worker()
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        accepted = await volume(bmc)
        await until_waiting(bmc)
        await until_beaten(bmc, accepted)
        await worker.kill()
    await reset_at_machine(bmc)
    await bmc.start_worker()
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert executed(bmc) == ["ComputerSystem.Reset", "Volumes"]
