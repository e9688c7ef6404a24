"""Idempotency-Key: the same request again gives the same task, and no other."""

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from api.task_starter import TaskStarter
from taskfish.store.requests import Requests
from taskfish.store.tables import requests
from tests.api.answers import message_keys
from tests.api.test_aggregation_sources import another_bmc
from tests.api.test_retention import removal
from tests.api.test_task_id import a_start
from tests.house import PASSWORD, SOURCES, TASKS, USER, House, source_body
from tests.kept_bytes import database_bytes
from tests.workflows.houses import FIRST, reset_workflow, until, until_executed

RESET = "/redfish/v1/Systems/{}.1/Actions/ComputerSystem.Reset"
FORCE = {"ResetType": "ForceRestart"}


@pytest.fixture
def key() -> str:
    """Give a key that no test has used."""
    return secrets.token_hex(8)


async def reset_with(
    house: House, key: str, machine: str = "bmc1", **headers: str
) -> httpx.Response:
    """Send a reset with a key and return the answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await house.client.post(
        RESET.format(machine),
        json=FORCE,
        headers={"Idempotency-Key": key, **named},
    )


async def crashed_start(house: House, key: str) -> str:
    """Leave what a crash between row and start leaves; return the task's Id."""
    answer = await reset_with(house, key)
    record = await Requests(house.store).with_key(USER, key)
    assert record is not None
    assert record.digest is not None
    assert record.run_id is not None
    await house.ended(answer)
    await house.client.delete(f"{TASKS}/{record.task_id}")
    await Requests(house.store).forget(record.task_id, record.run_id)
    crashed = f"crashed-{key}"
    await Requests(house.store).add(
        token=secrets.token_hex(16),
        owner=USER,
        task_id=crashed,
        key=key,
        digest=record.digest,
    )
    return crashed


async def test_repeated_request_gives_the_same_task(house: House, key: str) -> None:
    first = await reset_with(house, key)
    again = await reset_with(house, key)
    assert (first.status_code, again.status_code) == (202, 202)
    for name in ("Location", "Task-Id", "Link", "Retry-After"):
        assert again.headers[name] == first.headers[name]
    await house.ended(first)
    assert house.executions("bmc1") == 1


async def test_repeated_request_gives_the_same_202_after_the_end(
    house: House, key: str
) -> None:
    first = await reset_with(house, key)
    task = await house.ended(first)
    again = await reset_with(house, key)
    assert again.status_code == 202
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json()["TaskState"] == task["TaskState"] == "Completed"
    assert house.executions("bmc1") == 1


async def test_inline_answer_is_repeated(house: House, key: str) -> None:
    first = await reset_with(house, key, Prefer="wait=20")
    again = await reset_with(house, key, Prefer="wait=20")
    assert first.status_code == again.status_code == 204
    assert first.headers["Task-Id"] == again.headers["Task-Id"]
    assert house.executions("bmc1") == 1


async def test_202_is_repeated_though_the_task_has_ended_later(
    house: House, key: str
) -> None:
    house.emulator.set_modes("bmc1", seconds=1.5)
    first = await reset_with(house, key, Prefer="wait=1")
    await house.ended(first)
    again = await reset_with(house, key, Prefer="wait=1")
    assert first.status_code == again.status_code == 202
    assert first.headers["Location"] == again.headers["Location"]


@pytest.mark.parametrize(
    "difference",
    ["uri", "method", "body", "Task_Id", "Task_Tags", "Task_Timeout", "If_Match"],
)
async def test_key_of_another_request_is_422(
    house: House, key: str, difference: str
) -> None:
    uri, method, body = RESET.format("bmc1"), "POST", dict(FORCE)
    headers = {"Idempotency-Key": key}
    first = await house.client.request(method, uri, json=body, headers=headers)
    if difference == "uri":
        uri = RESET.format("node1")
    elif difference == "method":
        uri, method, body = "/redfish/v1/Systems/bmc1.1", "PATCH", {"AssetTag": "a"}
    elif difference == "body":
        body = {"ResetType": "ForceOff"}
    else:
        headers[difference.replace("_", "-")] = "5"
    other = await house.client.request(method, uri, json=body, headers=headers)
    info = other.json()["error"]["@Message.ExtendedInfo"][0]
    assert first.status_code == 202
    assert other.status_code == 422
    assert message_keys(other) == ["HeaderInvalid"]
    assert "new key" in info["Resolution"]
    await house.ended(first)
    assert house.executions("bmc1") + house.executions("node1") == 1


async def test_two_at_once_give_one_task(house: House, key: str) -> None:
    answers = await asyncio.gather(*(reset_with(house, key) for _ in range(10)))
    assert [answer.status_code for answer in answers] == [202] * 10
    assert len({answer.headers["Location"] for answer in answers}) == 1
    await house.ended(answers[0])
    assert house.executions("bmc1") == 1


async def test_two_at_once_with_a_chosen_id_give_one_task(
    house: House, key: str
) -> None:
    sending = (reset_with(house, key, Task_Id=f"once-{key}") for _ in range(10))
    answers = await asyncio.gather(*sending)
    assert [answer.status_code for answer in answers] == [202] * 10
    assert len({answer.headers["Location"] for answer in answers}) == 1
    await house.ended(answers[0])
    assert house.executions("bmc1") == 1


async def test_crash_between_row_and_start_is_healed_by_the_retry(
    house: House, key: str
) -> None:
    task_id = await crashed_start(house, key)
    before = house.executions("bmc1")
    healed = await reset_with(house, key)
    assert (healed.status_code, healed.headers["Task-Id"]) == (202, task_id)
    assert (await house.ended(healed))["TaskState"] == "Completed"
    assert house.executions("bmc1") == before + 1


async def test_crash_after_the_start_is_healed_by_the_retry(
    house: House, key: str
) -> None:
    first = await reset_with(house, key)
    record = await Requests(house.store).with_key(USER, key)
    assert record is not None
    await house.ended(first)
    await _forget_run(house, record.token)
    again = await reset_with(house, key)
    healed = await Requests(house.store).with_key(USER, key)
    assert again.headers["Location"] == first.headers["Location"]
    assert healed == record
    assert house.executions("bmc1") == 1


async def volume_on_reset(
    house: House, key: str, headers: dict[str, str]
) -> httpx.Response:
    """Create a volume at the next reset, with a key, and return the answer."""
    system = "/redfish/v1/Systems/bmc1.1"
    return await house.client.post(
        f"{system}/Storage/1/Volumes",
        json={
            "Name": "data",
            "RAIDType": "RAID0",
            "Links": {"Drives": [{"@odata.id": f"{system}/Storage/1/Drives/1"}]},
            "@Redfish.OperationApplyTime": "OnReset",
        },
        headers={"Idempotency-Key": key, **headers},
    )


@pytest.mark.parametrize("headers", [{}, {"Task-Id": "goes-on"}])
async def test_repeated_request_gives_the_run_that_goes_on_after_a_reset(
    house: House, key: str, headers: dict[str, str]
) -> None:
    first = await volume_on_reset(house, key, headers)
    await until_executed(house)
    await house.until(first, "Pending")
    await reset_workflow(house, first, FIRST)
    again = await volume_on_reset(house, key, headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json()["TaskState"] in ("New", "Starting", "Pending")
    assert house.executions("bmc1") == 1


async def test_key_is_kept_while_its_task_goes_on_after_a_reset(
    house: House, key: str
) -> None:
    first = await volume_on_reset(house, key, {})
    await until_executed(house)
    await house.until(first, "Pending")
    run = await house.workflow(first).describe()
    await reset_workflow(house, first, FIRST)
    await until(lambda: removal(house).remove_run(run.id, run.run_id))
    again = await volume_on_reset(house, key, {})
    assert again.headers["Task-Id"] == first.headers["Task-Id"]
    assert house.executions("bmc1") == 1
    await house.until(first, "Pending")
    await house.workflow(first).terminate()
    newest = await house.workflow(first).describe()
    await until(lambda: removal(house).remove_run(newest.id, newest.run_id))
    assert await Requests(house.store).with_key(USER, key) is None


async def test_repeated_request_gives_its_own_run_when_its_id_was_used_again(
    house: House, key: str
) -> None:
    mine = f"mine-{key}"
    first = await reset_with(house, key, Task_Id=mine)
    await house.ended(first)
    starter = TaskStarter(house.temporal, "nobody-works-here")
    await starter.start(a_start(mine, secrets.token_hex(16)))
    again = await reset_with(house, key, Task_Id=mine)
    await house.temporal.get_workflow_handle(mine).terminate()
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json()["TaskState"] == "Completed"


async def _forget_run(house: House, token: str) -> None:
    async with house.store.write() as connection:
        await connection.execute(
            update(requests).where(requests.c.token == token).values(run_id=None)
        )


async def test_key_is_free_when_its_task_is_removed(house: House, key: str) -> None:
    first = await reset_with(house, key)
    await house.ended(first)
    await house.client.delete(first.json()["@odata.id"])
    async with asyncio.timeout(60):
        while (await house.client.get(first.json()["@odata.id"])).status_code == 200:
            await asyncio.sleep(0.1)
    second = await reset_with(house, key)
    assert second.status_code == 202
    assert second.headers["Task-Id"] != first.headers["Task-Id"]
    await house.ended(second)
    assert house.executions("bmc1") == 2


async def test_refused_request_may_come_again_with_its_key(
    house: House, key: str
) -> None:
    house.emulator.set_modes("node1", hang=True)
    running = await house.client.post(
        RESET.format("node1"), json=FORCE, headers={"Task-Id": f"busy-{key}"}
    )
    await house.until(running, "Running")
    refused = await reset_with(house, key, Task_Id=f"busy-{key}")
    await house.temporal.get_workflow_handle(f"busy-{key}").terminate()
    accepted = await reset_with(house, key, Task_Id=f"busy-{key}")
    assert (running.status_code, refused.status_code) == (202, 409)
    assert accepted.status_code == 202
    assert (await house.ended(accepted))["TaskState"] == "Completed"


async def test_key_is_checked_before_the_id(house: House, key: str) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    first = await reset_with(house, key, Task_Id=f"mine-{key}")
    await house.until(first, "Running")
    again = await reset_with(house, key, Task_Id=f"mine-{key}")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["Location"] == again.headers["Location"]


async def test_failure_is_repeated_as_it_was(house: House, key: str) -> None:
    house.emulator.set_modes("bmc1", fail=True, fail_status=409)
    first = await reset_with(house, key, Prefer="wait=20")
    house.emulator.set_modes("bmc1", fail=False)
    again = await reset_with(house, key, Prefer="wait=20")
    assert first.status_code == again.status_code == 409
    assert first.json() == again.json()


async def test_source_is_added_once(house: House, key: str) -> None:
    async with another_bmc() as url:
        body = source_body("rack9", url, "Redfish", "password")
        headers = {"Idempotency-Key": key}
        sending = (
            house.client.post(SOURCES, json=body, headers=headers) for _ in range(4)
        )
        answers = await asyncio.gather(*sending)
        finals = [await house.final(answer) for answer in answers]
        again = await house.client.post(SOURCES, json=body, headers=headers)
    assert [answer.status_code for answer in (*answers, again)] == [202] * 5
    assert len({answer.headers["Location"] for answer in (*answers, again)}) == 1
    assert {final.status_code for final in finals} == {201}


async def test_nothing_of_a_body_is_readable_in_the_row(house: House, key: str) -> None:
    async with another_bmc("a-password-nobody-reads") as url:
        body: dict[str, Any]
        body = source_body("rack9", url, "Redfish", "a-password-nobody-reads")
        headers = {"Idempotency-Key": key}
        accepted = await house.client.post(SOURCES, json=body, headers=headers)
        await house.final(accepted)
    assert b"a-password-nobody-reads" not in database_bytes(house)


async def test_owner_of_a_key_is_who_logged_in(house: House, key: str) -> None:
    refused = await house.client.post(
        RESET.format("bmc1"),
        json=FORCE,
        headers={"Idempotency-Key": key},
        auth=(USER, f"not {PASSWORD}"),
    )
    assert refused.status_code == 401
    assert await Requests(house.store).with_key(USER, key) is None
