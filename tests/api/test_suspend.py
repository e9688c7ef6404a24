"""Taskfish.Suspend and Taskfish.Resume: what is held back, what is passed on."""

from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.governing import act, has_started, signals, task_uri, until_followed
from tests.conftest import KEY
from tests.house import SOURCES, TASKS, USER, House, open_house, source_body
from tests.workflows.houses import (
    event_names,
    history_of,
    until,
    until_begun,
    until_executed,
    words_of,
)

BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])
VERBS = pytest.mark.parametrize("verb", ["Suspend", "Resume"])


async def unsent(house: House, system: str = "node1.1") -> httpx.Response:
    """Return the 202 of a change that no worker has taken up yet."""
    await house.stop_worker()
    return await house.reset(system)


async def count(house: House, accepted: httpx.Response, name: str) -> int:
    return len(signals(await history_of(house, accepted), name))


async def test_suspended_before_it_is_sent_waits(house: House) -> None:
    accepted = await unsent(house)
    response = await act(house, accepted, "Suspend")
    assert (response.status_code, response.content) == (204, b"")
    await house.start_worker()
    task = await house.until(accepted, "Suspended")
    assert "EndTime" not in task
    assert f"paused by {USER}" in words_of(task)
    assert not has_started(task)
    assert house.executions("node1") == 0
    assert (await act(house, accepted, "Resume")).status_code == 204
    task = await house.ended(accepted)
    assert (task["TaskState"], has_started(task)) == ("Completed", True)
    assert house.executions("node1") == 1


async def test_suspended_task_outlives_its_worker(house: House) -> None:
    accepted = await unsent(house)
    await act(house, accepted, "Suspend")
    await house.start_worker()
    await house.until(accepted, "Suspended")
    await house.stop_worker()
    assert (await house.task(accepted))["TaskState"] == "Suspended"
    await house.start_worker()
    await act(house, accepted, "Resume")
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert house.executions("node1") == 1


async def test_suspended_between_tries_is_not_sent(house: House) -> None:
    house.emulator.set_modes("bmc1", refuse=503)
    accepted = await house.reset("bmc1.1")

    async def is_suspended() -> bool:
        response = await act(house, accepted, "Suspend")
        assert response.status_code in (204, 400)
        return response.status_code == 204

    await until(is_suspended)
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", refuse=None)
    assert house.executions("bmc1") == 0
    await act(house, accepted, "Resume")
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert house.executions("bmc1") == 1


@BOTH
async def test_source_that_can_pause_its_task_does(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, seconds=4, pausable=True)
    accepted = await house.create_volume(f"{machine}.1")
    await until_followed(house, accepted, pausable=True)
    assert (await act(house, accepted, "Suspend")).status_code == 204
    task = await house.until(accepted, "Suspended")
    assert f"paused by {USER}" in words_of(task)
    (job,) = house.emulator.machines[machine].timeline.jobs.values()
    assert job.paused
    assert (await act(house, accepted, "Resume")).status_code == 204
    await house.until(accepted, "Running")
    assert not job.paused
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed"
    assert house.executions(machine, "POST") == 1


@BOTH
async def test_what_the_source_has_paused_by_itself_is_resumed_there(
    house: House, machine: str
) -> None:
    house.emulator.set_modes(machine, seconds=8, pausable=True)
    accepted = await house.create_volume(f"{machine}.1")
    await until_followed(house, accepted, pausable=True)
    timeline = house.emulator.machines[machine].timeline
    (job,) = timeline.jobs.values()
    for _ in range(2):
        timeline.pause(job, True)
        await house.until(accepted, "Suspended")
        assert (await act(house, accepted, "Resume")).status_code == 204
        await house.until(accepted, "Running")
        assert not job.paused
    assert (await house.ended(accepted))["TaskState"] == "Completed"


@BOTH
async def test_what_the_source_does_not_resume_says_so(
    house: House, machine: str
) -> None:
    house.emulator.set_modes(machine, seconds=2, pause_at=50)
    accepted = await house.create_volume(f"{machine}.1")
    await house.until(accepted, "Suspended")
    response = await act(house, accepted, "Resume")
    assert response.status_code == 400
    assert message_keys(response) == ["ActionNotSupported"]
    assert "offers no way to resume it" in response.text
    assert await count(house, accepted, "Resume") == 0
    house.emulator.set_modes(machine, pause_at=None)
    assert (await house.ended(accepted))["TaskState"] == "Completed"


@BOTH
async def test_what_cannot_be_paused_says_so(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, seconds=30)
    accepted = await house.create_volume(f"{machine}.1")
    await until_followed(house, accepted)
    response = await act(house, accepted, "Suspend")
    assert response.status_code == 400
    assert message_keys(response) == ["ActionNotSupported"]
    assert "cannot pause" in response.text
    assert (await house.task(accepted))["TaskState"] == "Running"
    assert await count(house, accepted, "Suspend") == 0


async def test_what_is_being_sent_cannot_be_suspended(house: House) -> None:
    house.emulator.set_modes("bmc1", slow_sync=True, seconds=1)
    accepted = await house.create_volume("bmc1.1")
    await until_executed(house)
    response = await act(house, accepted, "Suspend")
    assert response.status_code == 400
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_second_suspend_changes_nothing(house: House) -> None:
    accepted = await unsent(house)
    await act(house, accepted, "Suspend")
    await house.start_worker()
    await house.until(accepted, "Suspended")
    assert (await act(house, accepted, "Suspend")).status_code == 204
    assert await count(house, accepted, "Suspend") == 1


async def test_resume_of_what_runs_changes_nothing(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=30)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    assert (await act(house, accepted, "Resume")).status_code == 204
    assert await count(house, accepted, "Resume") == 0


async def test_signals_from_temporal_do_the_same(house: House) -> None:
    """The Web UI sends them without arguments."""
    accepted = await unsent(house)
    await house.workflow(accepted).signal("Suspend")
    await house.start_worker()
    task = await house.until(accepted, "Suspended")
    assert "somebody in Temporal" in words_of(task)
    await house.workflow(accepted).signal("Resume")
    assert (await house.ended(accepted))["TaskState"] == "Completed"


@VERBS
async def test_ended_task_is_409(house: House, verb: str) -> None:
    accepted = await house.reset("bmc1.1")
    await house.ended(accepted)
    response = await act(house, accepted, verb)
    assert response.status_code == 409
    assert message_keys(response) == ["ActionNotSupported"]
    assert "has ended" in response.text


@VERBS
async def test_parameters_are_refused(house: House, verb: str) -> None:
    accepted = await house.reset("bmc1.1")
    empty = await act(house, accepted, verb, json={})
    named = await act(house, accepted, verb, json={"Seconds": 5})
    assert empty.status_code != 415
    assert named.status_code == 400
    assert message_keys(named) == ["ActionParameterUnknown"]


@pytest.mark.parametrize("name", ["none", "watch%3Abmc1", "a'b"])
async def test_unknown_task_is_404(house: House, name: str) -> None:
    for verb in ("Suspend", "Resume", "Kill"):
        uri = f"{TASKS}/{name}/Actions/Oem/Taskfish.{verb}"
        assert (await house.client.post(uri)).status_code == 404
        assert (
            await house.client.get(f"{TASKS}/{name}/{verb}ActionInfo")
        ).status_code == 404


async def test_unknown_action_is_404(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    for below in (
        "Actions/Oem/Taskfish.Stop",
        "Actions/Taskfish.Suspend",
        "StopActionInfo",
    ):
        response = await house.client.post(f"{task_uri(accepted)}/{below}")
        assert response.status_code in (404, 405)
        assert (
            await house.client.get(f"{task_uri(accepted)}/{below}")
        ).status_code == 404


async def test_action_takes_post_only(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    uri = f"{task_uri(accepted)}/Actions/Oem/Taskfish.Suspend"
    for method in ("GET", "DELETE", "PATCH"):
        response = await house.client.request(method, uri)
        assert response.status_code == 405
        assert response.headers["Allow"] == "POST"


async def test_actions_are_shown_while_the_task_runs(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1)
    accepted = await house.reset("bmc1.1")
    actions = (await house.task(accepted))["Actions"]["Oem"]
    verbs = ("Suspend", "Resume", "SetTags", "Kill")
    assert set(actions) == {f"#Taskfish.{verb}" for verb in verbs}
    for action in actions.values():
        info = await house.client.get(action["@Redfish.ActionInfo"])
        assert info.status_code == 200
        assert info.json()["@odata.id"] == action["@Redfish.ActionInfo"]
        assert info.json()["@odata.type"].startswith("#ActionInfo.v1_")
        names = [each["Name"] for each in info.json()["Parameters"]]
        assert names == (["Tags"] if "SetTags" in action["target"] else [])
    assert "Actions" not in await house.ended(accepted)


async def test_suspend_is_for_owners_and_managers(house: House) -> None:
    async with account(house, "Operator") as owner, account(house, "Operator") as other:
        await house.stop_worker()
        accepted = await house.client.post(
            "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
            json={"ResetType": "ForceRestart"},
            auth=owner,
        )
        for verb in ("Suspend", "Resume"):
            refused = await act(house, accepted, verb, auth=other)
            assert refused.status_code == 403
            assert (await act(house, accepted, verb, auth=owner)).status_code == 204
        info = f"{task_uri(accepted)}/SuspendActionInfo"
        assert (await house.client.get(info, auth=owner)).status_code == 200


async def test_resumed_task_is_resumed_by_name(house: House) -> None:
    """Names are arguments, which are encrypted."""
    async with account(house, "Administrator") as (name, password):
        accepted = await unsent(house)
        await act(house, accepted, "Suspend", auth=(name, password))
        await house.start_worker()
        task = await house.until(accepted, "Suspended")
        assert name in words_of(task)
        resumed = await act(house, accepted, "Resume", auth=(name, password))
        assert resumed.status_code == 204
        assert (await house.ended(accepted))["TaskState"] == "Completed"
        events = await history_of(house, accepted)
        (signal,) = signals(events, "Resume")
        said = signal.workflow_execution_signaled_event_attributes.input.payloads
        assert await house.temporal.data_converter.decode(said) == [name]
        assert name.encode() not in b"".join(e.SerializeToString() for e in events)


async def test_adding_a_source_cannot_be_suspended(
    temporal: Client, tmp_path: Path
) -> None:
    async with open_house(temporal, tmp_path, KEY) as house:
        house.emulator.set_modes("bmc1", read_delay=0.3)
        body = source_body("bmc1", house.addresses.bmcs[0], "Redfish", "password")
        accepted = await house.client.post(SOURCES, json=body)
        await until_begun(house, accepted, "admit_source")
        actions = (await house.task(accepted))["Actions"]["Oem"]
        assert set(actions) == {"#Taskfish.SetTags", "#Taskfish.Kill"}
        for verb in ("Suspend", "Resume"):
            response = await act(house, accepted, verb)
            assert response.status_code == 400
            assert message_keys(response) == ["ActionNotSupported"]
            info = f"{task_uri(accepted)}/{verb}ActionInfo"
            assert (await house.client.get(info)).status_code == 404
        names = event_names(await history_of(house, accepted))
        assert "WORKFLOW_EXECUTION_SIGNALED" not in names
