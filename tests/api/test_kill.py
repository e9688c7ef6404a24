"""Taskfish.Kill, and what a killed task says of its source."""

from pathlib import Path

import pytest
from temporalio.client import Client

from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.governing import (
    act,
    delete,
    has_started,
    monitor_uri,
    task_uri,
    until_followed,
)
from tests.conftest import KEY
from tests.house import SOURCES, USER, House, open_house, source_body
from tests.workflows.houses import history_of, until_begun, until_executed, words_of

BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])


@BOTH
async def test_killed_task_names_what_its_source_still_does(
    house: House, machine: str
) -> None:
    house.emulator.set_modes(machine, pause_at=50)
    accepted = await house.create_volume(f"{machine}.1")
    await house.until(accepted, "Suspended")
    plugin_task = (await house.task(accepted))["Oem"]["Taskfish"]["PluginTaskUri"]
    response = await act(house, accepted, "Kill")
    assert (response.status_code, response.content) == (204, b"")
    task = await house.task(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Killed", "Critical")
    assert task["EndTime"]
    assert has_started(task)
    assert task["PercentComplete"] == 50
    last = task["Messages"][-1]
    assert f"killed by {USER}" in last["Message"]
    assert (
        f"the task {plugin_task} of the source {machine} may still go on"
        in last["Message"]
    )
    assert plugin_task in last["Resolution"]
    assert [each.outcome for each in house.emulator.executions(machine)] == ["accepted"]


async def test_killed_before_sending_has_done_nothing(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("node1.1")
    assert (await act(house, accepted, "Kill")).status_code == 204
    await house.start_worker()
    task = await house.task(accepted)
    assert task["TaskState"] == "Killed"
    assert "Nothing had been sent" in words_of(task)
    assert not has_started(task)
    assert house.executions("node1") == 0


async def test_killed_while_suspended_has_done_nothing(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("node1.1")
    await act(house, accepted, "Suspend")
    await house.start_worker()
    await house.until(accepted, "Suspended")
    await act(house, accepted, "Kill")
    assert "Nothing had been sent" in words_of(await house.task(accepted))


async def test_killed_while_sending_may_have_been_sent(house: House) -> None:
    house.emulator.set_modes("bmc1", slow_sync=True, seconds=1)
    accepted = await house.create_volume("bmc1.1")
    await until_executed(house)
    await act(house, accepted, "Kill")
    task = await house.task(accepted)
    assert task["TaskState"] == "Killed"
    assert "may have been sent" in words_of(task)
    assert "/Volumes to see its state" in words_of(task)


async def test_monitor_of_a_killed_task_answers_500(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    await act(house, accepted, "Kill")
    final = await house.client.get(monitor_uri(accepted))
    assert final.status_code == 500
    assert message_keys(final) == ["OperationFailed"]
    assert f"killed by {USER}" in final.text
    (info,) = final.json()["error"]["@Message.ExtendedInfo"]
    assert (
        info["Resolution"] == (await house.task(accepted))["Messages"][-1]["Resolution"]
    )
    assert "at the source bmc1" in info["Resolution"]


async def test_terminate_in_temporal_says_the_same(house: House) -> None:
    house.emulator.set_modes("node1", seconds=30)
    accepted = await house.reset("node1.1")
    await until_followed(house, accepted)
    await house.workflow(accepted).terminate(reason="enough")
    task = await house.task(accepted)
    assert task["TaskState"] == "Killed"
    assert "terminated in Temporal" in words_of(task)
    assert "PercentComplete" not in task
    assert "of the source node1 may still go on" in words_of(task)


async def test_cancel_that_leads_nowhere_can_be_killed(house: House) -> None:
    house.emulator.set_modes("node1", hang=True, abort="ignored")
    accepted = await house.reset("node1.1")
    await until_followed(house, accepted)
    await delete(house, task_uri(accepted))
    await house.until(accepted, "Cancelling")
    assert (await act(house, accepted, "Kill")).status_code == 204
    task = await house.task(accepted)
    assert task["TaskState"] == "Killed"
    assert "may still go on" in words_of(task)


async def test_ended_task_is_409(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    task = await house.ended(accepted)
    response = await act(house, accepted, "Kill")
    assert response.status_code == 409
    assert message_keys(response) == ["ActionNotSupported"]
    assert await house.task(accepted) == task


async def test_second_kill_is_409(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("bmc1.1")
    statuses = [(await act(house, accepted, "Kill")).status_code for _ in range(2)]
    assert statuses == [204, 409]


async def test_kill_needs_configure_manager(house: House) -> None:
    async with account(house, "Operator") as owner:
        await house.stop_worker()
        accepted = await house.client.post(
            "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
            json={"ResetType": "ForceRestart"},
            auth=owner,
        )
        response = await act(house, accepted, "Kill", auth=owner)
        assert response.status_code == 403
        assert message_keys(response) == ["InsufficientPrivilege"]
        assert (await house.task(accepted))["TaskState"] == "New"


async def test_kill_takes_no_parameters(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("bmc1.1")
    response = await act(house, accepted, "Kill", json={"Force": True})
    assert response.status_code == 400
    assert message_keys(response) == ["ActionParameterUnknown"]


async def test_name_of_who_kills_is_encrypted(house: House) -> None:
    async with account(house, "Administrator") as (name, password):
        await house.stop_worker()
        accepted = await house.reset("bmc1.1")
        await act(house, accepted, "Kill", auth=(name, password))
        last = (await history_of(house, accepted))[-1]
        terminated = last.workflow_execution_terminated_event_attributes
        assert terminated.reason == "killed through Redfish"
        assert name.encode() not in last.SerializeToString()
        assert f"killed by {name}" in words_of(await house.task(accepted))


async def test_adding_a_source_can_be_killed(temporal: Client, tmp_path: Path) -> None:
    async with open_house(temporal, tmp_path, KEY) as house:
        house.emulator.set_modes("bmc1", read_delay=0.5)
        body = source_body("bmc1", house.addresses.bmcs[0], "Redfish", "password")
        accepted = await house.client.post(SOURCES, json=body)
        await until_begun(house, accepted, "admit_source")
        assert (await act(house, accepted, "Kill")).status_code == 204
        task = await house.task(accepted)
        assert task["TaskState"] == "Killed"
        assert "bmc1 may not have been added" in words_of(task)
