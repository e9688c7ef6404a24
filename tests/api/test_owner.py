"""Whose task it is: what its owner, others and managers see and do with it."""

from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest

from taskfish.store.monitor_reads import MonitorReads
from tests.api.accounts import ACCOUNTS, User, account, four_users
from tests.api.answers import members, message_keys
from tests.api.sessions import another_api
from tests.house import PASSWORD, TASKS, USER, House
from tests.workflows.houses import until

RESET = "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset"
STRANGERS = ("stranger", "reader")


@pytest.fixture(scope="module")
async def users(shared_house: House) -> AsyncIterator[dict[str, User]]:
    """Give two Operators, a ReadOnly account and an Administrator."""
    async with four_users(shared_house) as made:
        yield made


@pytest.fixture
async def owner_only(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a second API of the house, in owner-only mode."""
    async with another_api(house, owner_only=True) as client:
        yield client


async def started(house: House, user: User) -> httpx.Response:
    """Start a reset as a user and return its 202."""
    body = {"ResetType": "ForceRestart"}
    accepted = await house.client.post(RESET, json=body, auth=user)
    assert accepted.status_code == 202, accepted.text
    return accepted


def places(accepted: httpx.Response) -> tuple[str, str]:
    """Return the URIs of a 202's Task and monitor."""
    return accepted.json()["@odata.id"], accepted.headers["Location"]


async def test_task_says_who_started_it(house: House, users: dict[str, User]) -> None:
    accepted = await started(house, users["owner"])
    task = await house.ended(accepted)
    assert task["Oem"]["Taskfish"]["Owner"] == users["owner"][0]


async def test_everybody_reads_a_task_but_not_its_answer(
    house: House, users: dict[str, User]
) -> None:
    accepted = await started(house, users["owner"])
    await house.ended(accepted)
    task, monitor = places(accepted)
    for who in STRANGERS:
        assert (await house.client.get(task, auth=users[who])).status_code == 200
        assert task in members(await house.client.get(TASKS, auth=users[who]))
        refused = await house.client.get(monitor, auth=users[who])
        assert refused.status_code == 403
        assert message_keys(refused) == ["InsufficientPrivilege"]
    for who in ("owner", "manager"):
        answer = await house.client.get(monitor, auth=users[who])
        assert answer.status_code == 204


async def test_refused_reading_does_not_count_as_the_first(
    house: House, users: dict[str, User]
) -> None:
    accepted = await started(house, users["owner"])
    await house.ended(accepted)
    _, monitor = places(accepted)
    assert (await house.client.get(monitor, auth=users["reader"])).status_code == 403
    run_id = (await house.workflow(accepted).describe()).run_id
    run = (accepted.json()["Id"], run_id)
    assert not await MonitorReads(house.store).reads_of([run])


async def test_owner_cancels_without_configure_manager(
    house: House, users: dict[str, User]
) -> None:
    house.emulator.set_modes("bmc1", seconds=60, abort_seconds=0)
    accepted = await started(house, users["owner"])
    await house.until(accepted, "Running")
    task, _ = places(accepted)
    cancelled = await house.client.delete(task, auth=users["owner"])
    assert cancelled.status_code == 202
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"
    removed = await house.client.delete(task, auth=users["owner"])
    assert removed.is_success


async def test_stranger_neither_cancels_nor_pauses_nor_kills(
    house: House, users: dict[str, User]
) -> None:
    house.emulator.set_modes("bmc1", seconds=60, abort_seconds=0)
    accepted = await started(house, users["owner"])
    await house.until(accepted, "Running")
    task, monitor = places(accepted)
    for who in STRANGERS:
        for method, uri in (
            ("DELETE", task),
            ("DELETE", monitor),
            ("POST", f"{task}/Actions/Oem/Taskfish.Suspend"),
            ("POST", f"{task}/Actions/Oem/Taskfish.Resume"),
            ("POST", f"{task}/Actions/Oem/Taskfish.Kill"),
        ):
            refused = await house.client.request(method, uri, auth=users[who])
            assert refused.status_code == 403, (who, method, uri)
            assert message_keys(refused) == ["InsufficientPrivilege"]
    assert (await house.task(accepted))["TaskState"] == "Running"


async def test_owner_does_not_kill(house: House, users: dict[str, User]) -> None:
    house.emulator.set_modes("bmc1", seconds=60, abort_seconds=0)
    accepted = await started(house, users["owner"])
    task, _ = places(accepted)
    kill = f"{task}/Actions/Oem/Taskfish.Kill"
    assert (await house.client.post(kill, auth=users["owner"])).status_code == 403
    assert (await house.client.post(kill, auth=users["manager"])).status_code == 204
    assert (await house.ended(accepted))["TaskState"] == "Killed"


async def test_manager_cancels_for_others(house: House, users: dict[str, User]) -> None:
    house.emulator.set_modes("bmc1", seconds=60, abort_seconds=0)
    accepted = await started(house, users["owner"])
    await house.until(accepted, "Running")
    task, _ = places(accepted)
    cancelled = await house.client.delete(task, auth=users["manager"])
    assert cancelled.status_code == 202
    assert (await house.ended(accepted))["TaskState"] == "Cancelled"


async def test_stranger_does_not_remove_an_ended_task(
    house: House, users: dict[str, User]
) -> None:
    accepted = await started(house, users["owner"])
    await house.ended(accepted)
    task, _ = places(accepted)
    for who in STRANGERS:
        assert (await house.client.delete(task, auth=users[who])).status_code == 403
    assert (await house.client.delete(task, auth=users["owner"])).is_success


async def test_owner_only_hides_the_tasks_of_others(
    house: House, users: dict[str, User], owner_only: httpx.AsyncClient
) -> None:
    house.emulator.set_modes("bmc1", seconds=60, abort_seconds=0)
    accepted = await started(house, users["owner"])
    await house.until(accepted, "Running")
    task, monitor = places(accepted)
    for who in STRANGERS:
        for method, uri in (
            ("GET", task),
            ("GET", monitor),
            ("HEAD", task),
            ("DELETE", task),
            ("DELETE", monitor),
            ("GET", f"{task}/SuspendActionInfo"),
            ("POST", f"{task}/Actions/Oem/Taskfish.Suspend"),
        ):
            hidden = await owner_only.request(method, uri, auth=users[who])
            assert hidden.status_code == 404, (who, method, uri)
        listed = await owner_only.get(TASKS, auth=users[who])
        assert task not in members(listed)
    assert (await house.task(accepted))["TaskState"] == "Running"


async def test_owner_only_shows_ones_own_and_all_to_managers(
    house: House, users: dict[str, User], owner_only: httpx.AsyncClient
) -> None:
    accepted = await started(house, users["owner"])
    await house.ended(accepted)
    task, monitor = places(accepted)
    administrator = (USER, PASSWORD)
    for user in (users["owner"], users["manager"], administrator):
        assert (await owner_only.get(task, auth=user)).status_code == 200
        assert (await owner_only.get(monitor, auth=user)).status_code == 204
        assert task in members(await owner_only.get(TASKS, auth=user))


async def test_hidden_task_looks_like_one_that_is_not_there(
    house: House, users: dict[str, User], owner_only: httpx.AsyncClient
) -> None:
    accepted = await started(house, users["owner"])
    await house.ended(accepted)
    for uri in places(accepted):
        there = await owner_only.get(uri, auth=users["reader"])
        missing = await owner_only.get(f"{uri}x", auth=users["reader"])
        assert there.status_code == missing.status_code == 404
        assert there.text == missing.text.replace(f"{uri}x", uri)
        assert there.headers.keys() == missing.headers.keys()


async def test_conflict_names_no_task_that_its_caller_may_not_see(
    house: House, users: dict[str, User], owner_only: httpx.AsyncClient
) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await started(house, users["owner"])
    await house.until(accepted, "Running")
    its_id = accepted.json()["Id"]
    for who, is_named in (("stranger", False), ("owner", True)):
        send = partial(
            owner_only.post,
            RESET,
            json={"ResetType": "On"},
            auth=users[who],
            headers={"Task-Conflict": "reject"},
        )
        refused = await house.answer(send)
        assert refused.status_code == 409, refused.text
        assert message_keys(refused) == ["ResourceInUse"]
        assert (its_id in refused.text) is is_named
        assert ("Link" in refused.headers) is is_named


async def test_queue_names_no_task_of_another(
    house: House, users: dict[str, User], owner_only: httpx.AsyncClient
) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await started(house, users["owner"])
    await house.until(accepted, "Running")
    queued = await owner_only.post(
        RESET,
        json={"ResetType": "On"},
        auth=users["stranger"],
        headers={"Task-Conflict": "queue"},
    )
    assert queued.status_code == 202

    async def says_so() -> bool:
        task = await owner_only.get(places(queued)[0], auth=users["stranger"])
        assert accepted.json()["Id"] not in task.text
        return "the task of another" in task.text

    await until(says_so)


async def started_as(house: House, user: User, task_id: str) -> httpx.Response:
    """Send a reset under an Id of the user's own and return the answer."""
    body = {"ResetType": "ForceRestart"}
    headers = {"Task-Id": task_id}
    return await house.client.post(RESET, json=body, auth=user, headers=headers)


async def test_chosen_id_takes_no_answer_away_from_another_owner(
    house: House, users: dict[str, User]
) -> None:
    first = await started_as(house, users["owner"], "shared-name")
    await house.ended(first)
    second = await started_as(house, users["stranger"], "shared-name")
    assert second.status_code == 202
    await house.ended(second)
    monitor = first.headers["Location"]
    assert monitor != second.headers["Location"]
    kept = await house.client.get(monitor, auth=users["owner"])
    assert kept.status_code == 204


async def test_generated_id_of_another_cannot_be_chosen(
    house: House, users: dict[str, User]
) -> None:
    accepted = await started(house, users["owner"])
    await house.ended(accepted)
    refused = await started_as(house, users["stranger"], accepted.json()["Id"])
    assert refused.status_code == 409, refused.text
    assert message_keys(refused) == ["ResourceAlreadyExists"]
    task = await house.client.get(places(accepted)[0])
    assert task.json()["Oem"]["Taskfish"]["Owner"] == users["owner"][0]


async def test_id_in_use_names_no_task_that_its_caller_may_not_see(
    house: House, users: dict[str, User], owner_only: httpx.AsyncClient
) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await started_as(house, users["owner"], "secret-job")
    await house.until(accepted, "Running")
    refused = await owner_only.post(
        RESET,
        json={"ResetType": "On"},
        auth=users["stranger"],
        headers={"Task-Id": "secret-job"},
    )
    assert refused.status_code == 409, refused.text
    assert "Link" not in refused.headers
    assert "/Tasks/secret-job" not in refused.text


async def test_name_of_a_removed_account_does_not_give_its_tasks_away(
    house: House,
) -> None:
    async with account(house, "Operator") as user:
        accepted = await started(house, user)
        await house.ended(accepted)
    body = {"UserName": user[0], "Password": user[1], "RoleId": "ReadOnly"}

    async def is_refused() -> bool:
        answer = await house.client.post(ACCOUNTS, json=body)
        if answer.status_code == 201:
            await house.client.delete(f"{ACCOUNTS}/{user[0]}")
        return answer.status_code == 409 and "has left tasks (1)" in answer.text

    async def is_free() -> bool:
        answer = await house.client.post(ACCOUNTS, json=body)
        return answer.status_code == 201

    await until(is_refused)
    removed = await house.client.delete(accepted.json()["@odata.id"])
    assert removed.status_code == 204
    await until(is_free)
    await house.client.delete(f"{ACCOUNTS}/{user[0]}")
