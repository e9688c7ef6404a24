"""`Prefer: wait=N` on a Task or its monitor: answered at the next change of state."""

import asyncio
import time
from contextlib import suppress

import httpx
import pytest

from tests.house import House
from tests.serving import served


async def wait(house: House, uri: str, prefer: str) -> tuple[httpx.Response, float]:
    """Read with a Prefer header; return the answer and the seconds it took."""
    began = time.monotonic()
    answer = await house.client.get(uri, headers={"Prefer": prefer})
    return answer, time.monotonic() - began


async def test_task_is_answered_at_its_end(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1.5)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    answer, _ = await wait(house, accepted.json()["@odata.id"], "wait=30")
    assert answer.status_code == 200
    assert answer.json()["TaskState"] == "Completed"
    assert answer.headers["Preference-Applied"] == "wait=30"


async def test_monitor_gives_the_final_answer_at_the_end(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1.5)
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Running")
    answer, _ = await wait(house, accepted.headers["Location"], "wait=30")
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "wait=30"


async def test_each_change_of_state_is_answered(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=2)
    await house.stop_worker()
    accepted = await house.reset("bmc1.1")
    uri = accepted.json()["@odata.id"]
    seen = [accepted.json()["TaskState"]]
    waiting = asyncio.create_task(wait(house, uri, "wait=30"))
    await house.start_worker()
    answer, _ = await waiting
    seen.append(answer.json()["TaskState"])
    while seen[-1] != "Completed":
        answer, _ = await wait(house, uri, "wait=30")
        seen.append(answer.json()["TaskState"])
    assert seen[0] == "New"
    assert all(one != other for one, other in zip(seen, seen[1:], strict=False))


async def test_unchanged_task_is_answered_after_the_wait(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    for uri, status in (
        (accepted.json()["@odata.id"], 200),
        (accepted.headers["Location"], 202),
    ):
        answer, seconds = await wait(house, uri, "wait=1")
        assert answer.status_code == status
        assert answer.json()["TaskState"] == "Running"
        assert 0.9 < seconds < 2.5


async def test_wait_needs_no_worker(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("bmc1.1")
    uri = accepted.json()["@odata.id"]
    unchanged, seconds = await wait(house, uri, "wait=1")
    waiting = asyncio.create_task(wait(house, uri, "wait=30"))
    await asyncio.wait([waiting], timeout=0.3)
    await house.workflow(accepted).terminate()
    answer, _ = await waiting
    assert unchanged.json()["TaskState"] == "New"
    assert 0.9 < seconds < 2.5
    assert answer.json()["TaskState"] == "Killed"


async def test_cancel_is_seen_at_once(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort="ignored")
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    uri = accepted.json()["@odata.id"]
    waiting = asyncio.create_task(wait(house, uri, "wait=30"))
    await asyncio.wait([waiting], timeout=0.3)
    await house.client.delete(uri)
    answer, _ = await waiting
    assert answer.json()["TaskState"] == "Cancelling"


@pytest.mark.parametrize("place", ["task", "monitor"])
async def test_ended_task_answers_at_once(house: House, place: str) -> None:
    accepted = await house.reset("bmc1.1")
    await house.ended(accepted)
    monitor = accepted.headers["Location"]
    uri = accepted.json()["@odata.id"] if place == "task" else monitor
    answer, seconds = await wait(house, uri, "wait=30")
    assert answer.is_success
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert seconds < 2


@pytest.mark.parametrize("prefer", ["wait=soon", "handling=strict", "wait"])
async def test_unreadable_preference_does_not_wait(house: House, prefer: str) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    answer, seconds = await wait(house, accepted.json()["@odata.id"], prefer)
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers
    assert seconds < 2


async def test_wait_beyond_the_limit_says_so(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    await house.ended(accepted)
    answer, _ = await wait(house, accepted.json()["@odata.id"], "wait=3600")
    assert answer.headers["Preference-Applied"] == "wait=60"


async def test_unknown_task_is_404_at_once(house: House) -> None:
    uri = "/redfish/v1/TaskService/Tasks/nothing"
    answer, seconds = await wait(house, uri, "wait=30")
    assert answer.status_code == 404
    assert seconds < 2


async def test_client_that_goes_away_ends_the_wait(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    uri = accepted.json()["@odata.id"]
    async with served(house) as url:
        async with httpx.AsyncClient(base_url=url, auth=house.client.auth) as client:
            with suppress(httpx.ReadTimeout):
                await client.get(uri, headers={"Prefer": "wait=60"}, timeout=0.5)
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_many_wait_beside_each_other(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=1.5)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    uri = accepted.json()["@odata.id"]
    answers = await asyncio.gather(*(wait(house, uri, "wait=30") for _ in range(30)))
    assert {answer.json()["TaskState"] for answer, _ in answers} == {"Completed"}
