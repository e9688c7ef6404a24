"""Tasks and their monitors: during a change, at its end, and after it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from tests.api.accounts import account
from tests.api.answers import members, message_keys
from tests.conftest import KEY
from tests.house import LONGEST_WAIT, POLL, TASKS, House, open_house
from tests.workflows.houses import bmc_house, until

MONITORS = "/redfish/v1/TaskService/TaskMonitors"
BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])


@pytest.fixture
async def forgetful_house(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give a gateway with bmc1 whose monitors expire a second after being read."""
    folder = tmp_path_factory.mktemp("forgetful_house")
    settings = {"task_monitor_auto_expiry": 1}
    async with open_house(temporal, folder, KEY, **settings) as opened:
        await opened.add_source("bmc1", opened.addresses.bmcs[0], "Redfish", "password")
        yield opened


async def until_status(house: House, uri: str, status: int) -> httpx.Response:
    """Read a URI until it answers with this status."""
    async with asyncio.timeout(LONGEST_WAIT):
        while True:
            response = await house.client.get(uri)
            if response.status_code == status:
                return response
            await asyncio.sleep(POLL)


@BOTH
async def test_monitor_is_202_until_the_end(house: House, machine: str) -> None:
    accepted = await house.reset(f"{machine}.1")
    location = accepted.headers["Location"]
    answers = [accepted]
    async with asyncio.timeout(LONGEST_WAIT):
        while answers[-1].status_code == 202:
            answers.append(await house.client.get(location))
    assert len(answers) > 2
    for answer in answers[:-1]:
        assert answer.headers["Location"] == location
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["@odata.id"] == accepted.json()["@odata.id"]
    assert answers[-1].is_success


@BOTH
async def test_final_answer_is_the_same_again_and_again(
    house: House, machine: str
) -> None:
    accepted = await house.create_volume(f"{machine}.1")
    first = await house.final(accepted)
    uri = accepted.headers["Location"]
    again = [await house.client.get(uri) for _ in range(3)]
    for answer in again:
        assert (answer.status_code, answer.content) == (201, first.content)
        assert answer.headers["Location"] == first.headers["Location"]


async def test_final_answer_outlives_a_one_shot_monitor(house: House) -> None:
    house.emulator.set_modes("bmc1", one_shot_monitor=True)
    accepted = await house.create_volume("bmc1.1")
    await house.ended(accepted)
    first = await house.client.get(accepted.headers["Location"])
    second = await house.client.get(accepted.headers["Location"])
    assert (first.status_code, second.content) == (201, first.content)


async def test_failed_answer_is_the_same_again(house: House) -> None:
    house.emulator.set_modes("bmc1", fail=True, fail_status=409)
    accepted = await house.reset("bmc1.1")
    first = await house.final(accepted)
    second = await house.client.get(accepted.headers["Location"])
    assert (first.status_code, second.status_code) == (409, 409)
    assert first.content == second.content


async def test_expired_monitor_is_404_and_its_task_stays(
    forgetful_house: House,
) -> None:
    accepted = await forgetful_house.reset("bmc1.1")
    await forgetful_house.ended(accepted)
    before = await forgetful_house.task(accepted)
    first = await forgetful_house.client.get(accepted.headers["Location"])
    expired = await until_status(forgetful_house, accepted.headers["Location"], 404)
    after = await forgetful_house.task(accepted)
    assert before.pop("TaskMonitor") == accepted.headers["Location"]
    assert first.status_code == 204
    assert message_keys(expired) == ["ResourceMissingAtURI"]
    assert after == before
    for method in ("PATCH", "POST", "DELETE"):
        changed = await forgetful_house.client.request(
            method, accepted.headers["Location"], json={}
        )
        assert (changed.status_code, message_keys(changed)) == (
            404,
            ["ResourceMissingAtURI"],
        )


async def test_monitor_that_nobody_read_does_not_expire(
    forgetful_house: House,
) -> None:
    other = await forgetful_house.reset("bmc1.1")
    accepted = await forgetful_house.reset("bmc1.1")
    await forgetful_house.ended(accepted)
    await forgetful_house.final(other)
    await until_status(forgetful_house, other.headers["Location"], 404)
    final = await forgetful_house.client.get(accepted.headers["Location"])
    assert final.status_code == 204


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "ComputerSystem.Reset-node1.1-000000",
        "watch:node1",
        "watch%3Anode1",
        "watch%3anode1",
        "a:b:c",
        "%20",
        "%C3%A9",
        "%FF",
        "x" * 300,
        "x" * 2000,
        "a'b",
        "{TaskId}",
    ],
)
async def test_unknown_task_is_404(house: House, name: str) -> None:
    for uri in (f"{TASKS}/{name}", f"{MONITORS}/{name}"):
        response = await house.client.get(uri)
        assert response.status_code == 404
        assert message_keys(response) == ["ResourceMissingAtURI"]


async def test_monitor_of_a_chosen_id_names_the_run(house: House) -> None:
    uri = "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset"
    body = {"ResetType": "ForceRestart"}
    chosen = {"Task-Id": f"mine-{uuid.uuid4().hex}"}
    first = await house.change("POST", uri, body, **chosen)
    location = first.headers["Location"]
    assert location.startswith(f"{MONITORS}/{chosen['Task-Id']}~")
    assert (await house.task(first))["TaskMonitor"] == location
    assert (await house.client.get(location)).headers["Location"] == location
    final = await house.final(first)
    assert final.is_success
    for other in (chosen["Task-Id"], f"{chosen['Task-Id']}~", f"{chosen['Task-Id']}~x"):
        response = await house.client.get(f"{MONITORS}/{other}")
        assert response.status_code == 404
        assert message_keys(response) == ["ResourceMissingAtURI"]


async def test_first_client_never_reads_a_second_one_s_answer(house: House) -> None:
    chosen = {"Task-Id": f"mine-{uuid.uuid4().hex}"}
    uri = "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset"
    body = {"ResetType": "ForceRestart"}
    first = await house.change("POST", uri, body, **chosen)
    await house.ended(first)
    house.emulator.set_modes("bmc1", fail=True, fail_status=409)
    second = await house.change("POST", uri, body, **chosen)
    assert second.headers["Location"] != first.headers["Location"]
    await until_status(house, first.headers["Location"], 404)
    assert (await house.final(second)).status_code == 409
    gone = await house.client.get(first.headers["Location"])
    assert gone.status_code == 404


async def test_monitor_of_an_own_id_has_no_run(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    run = (await house.workflow(accepted).describe()).run_id
    response = await house.client.get(f"{accepted.headers['Location']}~{run}")
    assert response.status_code == 404


async def test_final_answer_is_for_its_owner_and_managers(house: House) -> None:
    async with account(house, "Operator") as owner, account(house, "Operator") as other:
        accepted = await house.client.post(
            "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
            json={"ResetType": "ForceRestart"},
            auth=owner,
        )
        location = accepted.headers["Location"]
        await house.ended(accepted)
        answers = [
            await house.client.get(location, auth=each) for each in (other, owner)
        ]
        assert [answer.status_code for answer in answers] == [403, 204]
        assert message_keys(answers[0]) == ["InsufficientPrivilege"]
        seen = await house.client.get(accepted.json()["@odata.id"], auth=other)
        assert seen.status_code == 200


async def test_owner_only_hides_the_tasks_of_others(
    temporal: Client, tmp_path: Path
) -> None:
    async with (
        bmc_house(temporal, tmp_path, KEY, owner_only=True) as house,
        account(house, "Operator") as owner,
        account(house, "Operator") as other,
    ):
        accepted = await house.client.post(
            "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
            json={"ResetType": "ForceRestart"},
            auth=owner,
        )
        task = accepted.json()["@odata.id"]
        uris = (task, accepted.headers["Location"], f"{task}/KillActionInfo")

        async def is_listed() -> bool:
            mine = await house.client.get(TASKS, auth=owner)
            return members(mine) == [task]

        await until(is_listed)
        for uri in uris:
            hidden = await house.client.get(uri, auth=other)
            assert hidden.status_code == 404
            assert (await house.client.get(uri, auth=owner)).status_code < 300
            assert (await house.client.get(uri)).status_code < 300
        for uri in uris[:2]:
            assert (await house.client.delete(uri, auth=other)).status_code == 404
        suspend = f"{task}/Actions/Oem/Taskfish.Suspend"
        assert (await house.client.post(suspend, auth=other)).status_code == 404
        assert members(await house.client.get(TASKS, auth=other)) == []
        assert task in members(await house.client.get(TASKS))


async def test_collection_of_monitors_is_404(house: House) -> None:
    assert (await house.client.get(MONITORS)).status_code == 404


async def test_task_terminated_in_temporal_is_killed(house: House) -> None:
    house.emulator.set_modes("node1", seconds=1)
    accepted = await house.reset("node1.1")
    await house.until(accepted, "Running")
    await house.workflow(accepted).terminate()
    task = await house.ended(accepted)
    final = await house.client.get(accepted.headers["Location"])
    assert (task["TaskState"], task["TaskStatus"]) == ("Killed", "Critical")
    assert task["EndTime"]
    assert "terminated" in task["Messages"][-1]["Message"]
    assert final.status_code == 500
    assert message_keys(final) == ["OperationFailed"]
    assert house.executions("node1") == 1


@BOTH
async def test_task_cancelled_in_temporal_is_aborted_at_the_source(
    house: House, machine: str
) -> None:
    house.emulator.set_modes(machine, seconds=30, abort_seconds=0.3)
    accepted = await house.create_volume(f"{machine}.1")
    await house.until(accepted, "Running")
    await house.workflow(accepted).cancel()
    cancelling = await house.task(accepted)
    task = await house.ended(accepted)
    monitor = await house.client.get(accepted.headers["Location"])
    assert cancelling["TaskState"] == "Cancelling"
    assert (task["TaskState"], task["TaskStatus"]) == ("Cancelled", "Warning")
    assert "TaskMonitor" not in task
    assert task["Messages"][-1]["MessageId"].endswith(".TaskCancelled")
    assert monitor.status_code == 404
    assert message_keys(monitor) == ["ResourceMissingAtURI"]
    assert house.emulator.executions(machine)[0].outcome == "cancelled"


async def test_tasks_lists_each_task_once(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    await house.ended(accepted)
    uri = accepted.json()["@odata.id"]
    async with asyncio.timeout(LONGEST_WAIT):
        while uri not in (found := members(await house.client.get(TASKS))):
            await asyncio.sleep(POLL)
    assert len(found) == len(set(found))
    assert not [name for name in found if ":" in name]
