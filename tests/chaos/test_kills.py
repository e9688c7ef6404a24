"""The API is killed at the worst moments, alone and with the worker."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.chaos.front import Front
from tests.house import TASKS, House
from tests.worker_process import worker_process
from tests.workflows.houses import until_executed, until_requested, words_of

KEY = {"Idempotency_Key": "volume-7"}


def chosen(front: Front) -> dict[str, str]:
    """Return the header with an Id that no other test has in this Temporal."""
    return {"Task_Id": f"volume-{front.house.settings.task_queue}"}


async def creations(house: House) -> list[str]:
    """Return the Ids of all tasks of a house that create a volume."""
    ours = f"TaskQueue='{house.settings.task_queue}'"
    found = house.temporal.list_workflows(f"{ours} AND TaskOperation='Volume.Create'")
    return [run.id async for run in found]


@pytest.mark.parametrize("boundary", ["kept", "started", "known"])
@pytest.mark.parametrize("chooses_id", [False, True])
async def test_repeated_request_gives_the_one_task(
    front: Front, boundary: str, chooses_id: bool
) -> None:
    headers = KEY | chosen(front) if chooses_id else KEY
    front.api.kill_at(boundary)
    with pytest.raises(httpx.TransportError):
        await front.create_volume(**headers)
    await front.api.until_ready()
    accepted = await front.create_volume(**headers)
    assert accepted.status_code == 202
    task = await front.house.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert await creations(front.house) == [task["Id"]]
    assert front.house.executions("bmc1") == 1


async def test_request_that_did_not_start_leaves_its_id_free(front: Front) -> None:
    front.api.kill_at("kept")
    with pytest.raises(httpx.TransportError):
        await front.create_volume(**chosen(front))
    await front.api.until_ready()
    uri = f"{TASKS}/{chosen(front)['Task_Id']}"
    assert (await front.client.get(uri)).status_code == 404
    accepted = await front.create_volume(**chosen(front))
    assert (await front.house.ended(accepted))["TaskState"] == "Completed"
    assert front.house.executions("bmc1") == 1


async def test_chosen_id_finds_the_task_without_an_answer(front: Front) -> None:
    front.house.emulator.set_modes("bmc1", hang=True)
    front.api.kill_at("started")
    with pytest.raises(httpx.TransportError):
        await front.create_volume(**chosen(front))
    await front.api.until_ready()
    uri = f"{TASKS}/{chosen(front)['Task_Id']}"
    assert (await front.client.get(uri)).status_code == 200
    again = await front.create_volume(**chosen(front))
    assert again.status_code == 409
    (message,) = again.json()["error"]["@Message.ExtendedInfo"]
    assert message["Oem"]["Taskfish"]["Task"] == {"@odata.id": uri}
    assert front.house.executions("bmc1") == 1


async def test_task_goes_on_when_the_api_dies_while_it_waits(front: Front) -> None:
    front.house.emulator.set_modes("bmc1", hang=True)
    headers = chosen(front) | KEY | {"Prefer": "wait=30"}
    waiting = asyncio.create_task(front.create_volume(**headers))
    await until_executed(front.house)
    front.api.kill()
    with pytest.raises(httpx.TransportError):
        await waiting
    front.house.emulator.set_modes("bmc1", hang=False, seconds=0)
    await front.api.until_ready()
    final = await front.create_volume(**headers)
    assert (final.status_code, final.headers["Task-Id"]) == (
        201,
        headers["Task_Id"],
    )
    assert front.house.executions("bmc1") == 1


async def test_cancel_cut_in_half_is_completed_by_its_repetition(front: Front) -> None:
    """Who cancels is told, but not yet that it is to be cancelled."""
    front.house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await front.create_volume()
    await front.house.until(accepted, "Running")
    front.api.kill_at("signalled")
    with pytest.raises(httpx.TransportError):
        await front.client.delete(accepted.headers["Location"])
    await front.api.until_ready()
    assert (await front.house.task(accepted))["TaskState"] == "Running"
    again = await front.client.delete(accepted.headers["Location"])
    assert again.status_code == 202
    task = await front.house.ended(accepted)
    assert task["TaskState"] == "Cancelled", words_of(task)


async def test_cancel_that_was_sent_needs_no_answer(front: Front) -> None:
    front.house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await front.create_volume()
    await front.house.until(accepted, "Running")
    front.api.kill_at("cancelled")
    with pytest.raises(httpx.TransportError):
        await front.client.delete(accepted.headers["Location"])
    task = await front.house.ended(accepted)
    assert task["TaskState"] == "Cancelled", words_of(task)


@pytest.mark.parametrize(
    "modes",
    [{"answer_delay": 30, "seconds": 1}, {"seconds": 3}],
    ids=["sending", "following"],
)
async def test_api_and_worker_killed_at_once(
    front: Front, temporal_address: str, modes: dict[str, Any]
) -> None:
    house = front.house
    await house.stop_worker()
    house.emulator.set_modes("bmc1", **modes)
    async with worker_process(house, temporal_address) as worker:
        await worker.until_ready()
        accepted = await front.create_volume(**KEY)
        await until_executed(house)
        if "answer_delay" not in modes:
            await until_requested(house, "bmc1")
        front.api.kill()
        await worker.kill()
    await house.start_worker()
    await front.api.until_ready()
    again = await front.create_volume(**KEY)
    assert again.headers["Task-Id"] == accepted.headers["Task-Id"]
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert house.executions("bmc1") == 1
