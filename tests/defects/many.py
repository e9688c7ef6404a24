"""Defects 13, 16, 17, 19 and 20: many tasks at once, slow ones, endless ones."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any

import httpx

from tests.api.answers import message_keys
from tests.defects.plugins import RACK, RESET, scripted_plugin
from tests.house import House
from tests.plugins.scripted_service import http
from tests.workflows.houses import NODE, until, until_executed, words_of

MACHINES = ("node1", "node2", "bmc1")
CHANGES = 30
SENT_AT_ONCE = 8
HANGING = 50
MEASURED = 3.0
MOST_CPU = 0.5
"""The part of one core that may be used while nothing happens; a loop uses all."""
QUEUE = {"Task-Conflict": "queue"}
RESET_ACTION = "Actions/ComputerSystem.Reset"


async def changes_at_once(house: House) -> None:
    """Written back from a stale copy, some would lose a state, a child, or their end.

    Between Suspended and Service the percent stays the same: such an update would be
    dropped.
    """
    for machine in MACHINES:
        house.emulator.set_modes(machine, pause_at=50)
    names = [f"{MACHINES[number % 3]}-{number}" for number in range(CHANGES)]
    sent = await _send(
        house.create_volume(f"{name.split('-')[0]}.1", name) for name in names
    )
    await asyncio.gather(*(house.until(each, "Suspended") for each in sent))
    for machine in MACHINES:
        house.emulator.set_modes(machine, shows_state="Service")
    seen = await asyncio.gather(*(house.until(each, "Service") for each in sent))
    assert {task["PercentComplete"] for task in seen} == {50}
    for machine in MACHINES:
        house.emulator.set_modes(machine, shows_state=None, pause_at=None)
    ended = await asyncio.gather(*map(house.ended, sent))
    finals = await asyncio.gather(*map(house.final, sent))
    assert {(task["TaskState"], task["PercentComplete"]) for task in ended} == {
        ("Completed", 100)
    }
    assert [final.json()["Name"] for final in finals] == names
    created = [task["Links"]["CreatedResources"] for task in ended]
    locations = [final.headers["Location"] for final in finals]
    assert created == [[{"@odata.id": uri}] for uri in locations]
    assert [house.executions(machine) for machine in MACHINES] == [CHANGES / 3] * 3


async def blocking_calls(house: House) -> None:
    """The call would time out, be sent again, and hold up all others meanwhile.

    node1 answers later than a heartbeat, node2 later than the gateway waits.
    """
    settings = house.settings
    late = 2 * settings.heartbeat_timeout
    too_late = settings.submit_answer_timeout + 1
    house.emulator.set_modes("node1", slow_sync=True, answer="sync", seconds=late)
    house.emulator.set_modes("node2", slow_sync=True, answer="sync", seconds=too_late)
    served = await house.create_volume("node1.1", "served")
    lost = await house.create_volume("node2.1", "lost")
    for machine in ("node1", "node2"):
        await until_executed(house, machine)
    beats = [await _last_beat(house, served)]
    other = await house.reset("bmc1.1")
    assert (await house.ended(other))["TaskState"] == "Completed"

    async def beats_again() -> bool:
        beats.append(await _last_beat(house, served))
        return beats[-1] > beats[0]

    await until(beats_again)
    for accepted in (served, lost):
        task = await house.task(accepted)
        assert task["TaskState"] in ("Starting", "Running")
    for accepted, name in ((served, "served"), (lost, "lost")):
        final = await house.final(accepted)
        assert (final.status_code, final.json().get("Name")) == (201, name), final.text
        assert (await house.task(accepted))["TaskState"] == "Completed"
    assert [house.executions(name) for name in ("node1", "node2")] == [1, 1]


async def queue(house: House) -> None:
    """There would be no order: each would be sent when it comes."""
    house.emulator.set_modes("node1", hang=True)
    names = ["first", "second", "third", "fourth"]
    sent = [await _queued_volume(house, name) for name in names]
    for ahead, accepted in zip(sent, sent[1:], strict=False):
        await _until_behind(house, accepted, ahead)
    assert _volumes(house) == ["first"]
    house.emulator.set_modes("node1", hang=False)
    for accepted in sent:
        assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert _volumes(house) == names


async def waiting(house: House) -> None:
    """A worker that spins would use a whole core, whatever it waits for."""
    for machine in MACHINES:
        house.emulator.set_modes(machine, hang=True, retry_after="2")
    systems = [f"{MACHINES[number % 3]}.1" for number in range(HANGING)]
    sent = await _send(map(house.reset, systems))
    await asyncio.gather(*(house.until(each, "Running") for each in sent))
    begun, used = time.monotonic(), time.process_time()
    await asyncio.sleep(MEASURED)  # What is measured is this time itself.
    used = time.process_time() - used
    assert used / (time.monotonic() - begun) < MOST_CPU
    for machine in MACHINES:
        house.emulator.set_modes(machine, hang=False)
    ended = await asyncio.gather(*map(house.ended, sent))
    assert {task["TaskState"] for task in ended} == {"Completed"}


async def bounds(house: House) -> None:
    """Nothing would ever end it, and nobody know how often it was tried."""
    house.emulator.set_modes("node1", hang_graceful=True, abort_seconds=0)
    body, uri = {"ResetType": "GracefulShutdown"}, f"{NODE}/{RESET_ACTION}"
    accepted = await house.change("POST", uri, body, **{"Task-Timeout": "1"})
    final = await house.final(accepted)
    assert (final.status_code, message_keys(final)) == (500, ["OperationTimeout"])
    task = await house.task(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert "did not end within 1 s" in words_of(task)
    (execution,) = house.emulator.executions("node1")
    assert execution.outcome == "cancelled"
    endless = await house.reset("node1.1", "GracefulShutdown")

    async def has_a_deadline() -> bool:
        return "Deadline" in (await house.task(endless))["Oem"]["Taskfish"]

    await until(has_a_deadline)
    async with scripted_plugin(house) as plugin:
        plugin.on(RESET, http(503, {"error": {}}, Retry_After="1"))
        refused = await house.reset("rack9.1")
        assert (await house.final(refused)).status_code == 503
        task = await house.task(refused)
        attempts = plugin.lines().count(RESET)
        assert task["TaskState"] == "Exception"
        assert 2 <= attempts <= house.settings.submit_deadline + 2
        assert f"It was tried {attempts} times" in words_of(task)
        uri = f"{RACK}/{RESET_ACTION}"
        hasty = await house.change("POST", uri, body, **{"Task-Timeout": "1"})
        final = await house.final(hasty)
        assert (final.status_code, message_keys(final)) == (500, ["OperationTimeout"])
        task = await house.task(hasty)
        assert "not taken on within 1 s" in words_of(task)
        assert plugin.lines().count(RESET) - attempts <= 3


async def _send(
    changes: Iterable[Coroutine[Any, Any, httpx.Response]],
) -> list[httpx.Response]:
    """Send changes, some at once: more of them may wait too long for the store."""
    free = asyncio.Semaphore(SENT_AT_ONCE)

    async def send(change: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
        async with free:
            return await change

    return await asyncio.gather(*map(send, changes))


async def _last_beat(house: House, accepted: httpx.Response) -> float:
    """Return when the one pending activity has last beaten; it is the first attempt."""
    run = await house.workflow(accepted).describe()
    (pending,) = run.raw_description.pending_activities
    assert (pending.activity_type.name, pending.attempt) == ("submit", 1)
    return pending.last_heartbeat_time.ToDatetime().timestamp()


async def _queued_volume(house: House, name: str) -> httpx.Response:
    body: dict[str, Any] = {"Name": name, "RAIDType": "RAID0"}
    return await house.change("POST", f"{NODE}/Storage/1/Volumes", body, **QUEUE)


async def _until_behind(
    house: House, waiting: httpx.Response, ahead: httpx.Response
) -> None:
    """Wait until a task is Pending and says that it waits for another."""
    uri = ahead.json()["@odata.id"]

    async def says_so() -> bool:
        task = await house.task(waiting)
        return task["TaskState"] == "Pending" and uri in words_of(task)

    await until(says_so)


def _volumes(house: House) -> list[str]:
    """Return the names of the volumes that node1 was asked for, in order."""
    executions = house.emulator.executions("node1", "POST")
    return [
        str(each.body["Name"]) for each in executions if isinstance(each.body, dict)
    ]
