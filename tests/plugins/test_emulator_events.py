"""What the emulated BMC and plugin tell their subscribers of their tasks."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.machine.task_events import TaskWatch
from tests.plugins.emulator_clients import (
    MIRROR,
    VOLUMES,
    Clock,
    Served,
    renewed,
    served,
)
from tests.plugins.scripted_service import ScriptedService, http, scripted
from tests.workflows.houses import until

EVENT_SERVICE = "/EventService"
SUBSCRIPTIONS = f"{EVENT_SERVICE}/Subscriptions"
TOKEN = {"X-Token": "s3cret"}


@pytest.fixture
async def emulated() -> AsyncIterator[Served]:
    async with served() as running, renewed(running) as found:
        yield found


@pytest.fixture
async def receiver() -> AsyncIterator[ScriptedService]:
    """Give a server that accepts events and remembers them."""
    async with scripted() as service:
        service.on("POST /events", http(204))
        yield service


def modes(emulated: Served, target: str, **changes: Any) -> None:
    emulated.emulator.set_modes(target, **changes)


def wanted(receiver: ScriptedService, **more: Any) -> dict[str, Any]:
    """Return the body that subscribes to a receiver."""
    return {
        "Destination": f"{receiver.url}/events",
        "Protocol": "Redfish",
        "Context": "mine",
        "HttpHeaders": [TOKEN],
        **more,
    }


async def subscribe(emulated: Served, receiver: ScriptedService) -> str:
    made = await emulated.bmc.post(SUBSCRIPTIONS, wanted(receiver))
    assert made.status_code == 201, made.text
    return made.headers["Location"]


def records(receiver: ScriptedService) -> list[dict[str, Any]]:
    """Return the records that have come, in their order."""
    return [record for asked in receiver.asked for record in asked.body["Events"]]


def keys(receiver: ScriptedService) -> list[str]:
    """Return the messages that have come, in their order."""
    ids = [str(record["MessageId"]) for record in records(receiver)]
    return [message_id.rpartition(".")[2] for message_id in ids]


async def until_told(receiver: ScriptedService, key: str, times: int = 1) -> None:
    await until(lambda: keys(receiver).count(key) >= times, 10)


async def test_subscriber_is_told_of_the_whole_task(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    accepted = await emulated.bmc.post(VOLUMES, MIRROR)
    await until_told(receiver, "TaskCompletedOK")
    assert keys(receiver) == ["TaskStarted", "TaskCompletedOK"]
    task = accepted.json()["@odata.id"]
    assert records(receiver)[0]["OriginOfCondition"] == {"@odata.id": task}
    assert records(receiver)[0]["MessageArgs"] == [accepted.json()["Id"]]
    first = receiver.asked[0]
    assert first.headers["x-token"] == "s3cret"
    assert first.body["Context"] == "mine"
    await emulated.bmc.delete(task)
    await until_told(receiver, "TaskRemoved")


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"warn": True}, "TaskCompletedWarning"),
        ({"fail": True}, "TaskAborted"),
    ],
)
async def test_end_says_how_it_went(
    emulated: Served, receiver: ScriptedService, changes: dict[str, Any], end: str
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", **changes)
    await emulated.bmc.post(VOLUMES, MIRROR)
    await until_told(receiver, end)
    assert keys(receiver) == ["TaskStarted", end]


async def test_pause_and_cancel_are_told(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", seconds=0.4, pause_at=50)
    accepted = await emulated.bmc.post(VOLUMES, MIRROR)
    await until_told(receiver, "TaskPaused")
    modes(emulated, "bmc1", pause_at=None, hang=True)
    await until_told(receiver, "TaskResumed")
    await emulated.bmc.delete(accepted.headers["Location"])
    await until_told(receiver, "TaskCancelled")
    expected = ["TaskStarted", "TaskPaused", "TaskResumed", "TaskCancelled"]
    assert keys(receiver) == expected


async def test_progress_is_told_once_a_second(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", seconds=2.3)
    await emulated.bmc.post(VOLUMES, MIRROR)
    await until_told(receiver, "TaskCompletedOK")
    progress = [each for each in records(receiver) if "Progress" in each["MessageId"]]
    percents = [int(each["MessageArgs"][1]) for each in progress]
    assert len(percents) == 2
    assert percents == sorted(percents)


async def test_nothing_is_told_after_the_end() -> None:
    clock = Clock()
    machine = Machine("bmc9", modes=Modes(seconds=1, answer="task"), clock=clock)
    watch = TaskWatch(clock)
    machine.start_own_task(seconds=1)
    told: list[str] = []
    for _ in range(5):
        machine.timeline.advance()
        news = watch.news(machine.timeline.jobs.values())
        told += [event.key for event in news]
        clock.move(2)
    assert told == ["TaskStarted", "TaskCompletedOK"]


async def test_lost_events_are_not_sent(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", events="lost")
    await emulated.bmc.final(await emulated.bmc.post(VOLUMES, MIRROR))
    modes(emulated, "bmc1", events="normal")
    await emulated.bmc.post(VOLUMES, {**MIRROR, "Name": "other"})
    await until_told(receiver, "TaskCompletedOK")
    assert keys(receiver) == ["TaskStarted", "TaskCompletedOK"]


async def test_duplicated_events_come_twice(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", events="duplicated")
    await emulated.bmc.post(VOLUMES, MIRROR)
    await until_told(receiver, "TaskCompletedOK", times=2)
    assert keys(receiver) == ["TaskStarted"] * 2 + ["TaskCompletedOK"] * 2


async def test_unordered_events_end_with_the_first(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", events="unordered")
    await emulated.bmc.post(VOLUMES, MIRROR)
    await until_told(receiver, "TaskStarted")
    assert keys(receiver) == ["TaskCompletedOK", "TaskStarted"]


async def test_early_events_come_before_the_answer(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", events="early", seconds=0, answer="task")
    accepted = await emulated.bmc.post(VOLUMES, MIRROR)
    assert accepted.status_code == 202
    assert keys(receiver) == ["TaskStarted", "TaskCompletedOK"]


async def test_late_events_come_later(
    emulated: Served, receiver: ScriptedService
) -> None:
    await subscribe(emulated, receiver)
    modes(emulated, "bmc1", event_delay=0.3)
    await emulated.bmc.final(await emulated.bmc.post(VOLUMES, MIRROR))
    assert "TaskCompletedOK" not in keys(receiver)
    await until_told(receiver, "TaskCompletedOK")


async def test_subscriber_that_is_away_holds_up_nobody(
    emulated: Served, receiver: ScriptedService
) -> None:
    away = {"Destination": "http://127.0.0.1:9/events", "Protocol": "Redfish"}
    assert (await emulated.bmc.post(SUBSCRIPTIONS, away)).status_code == 201
    await subscribe(emulated, receiver)
    await emulated.bmc.post(VOLUMES, MIRROR)
    await until_told(receiver, "TaskCompletedOK")


async def test_subscriptions_are_listed_shown_and_removed(
    emulated: Served, receiver: ScriptedService
) -> None:
    where = await subscribe(emulated, receiver)
    listed = (await emulated.bmc.get(SUBSCRIPTIONS)).json()["Members"]
    assert listed == [{"@odata.id": where}]
    shown = await emulated.bmc.get(where)
    assert shown.json()["Context"] == "mine"
    assert "s3cret" not in shown.text
    assert shown.headers["Allow"] == "GET, HEAD, DELETE"
    assert (await emulated.bmc.delete(where)).status_code == 204
    assert (await emulated.bmc.delete(where)).status_code == 404
    assert (await emulated.bmc.get(where)).status_code == 404
    assert (await emulated.bmc.delete(SUBSCRIPTIONS)).status_code == 405


@pytest.mark.parametrize(
    "changes",
    [
        {"Destination": "nowhere"},
        {"Destination": "ftp://127.0.0.1/x"},
        {"Destination": None},
        {"Protocol": "SNMPv2c"},
        {"RegistryPrefixes": ["Base"]},
        {"RegistryPrefixes": "TaskEvent"},
        {"HttpHeaders": {"X-Token": "s3cret"}},
        {"HttpHeaders": ["X-Token"]},
        {"Context": 1},
        {"Whatever": 1},
    ],
)
async def test_what_is_no_subscription_is_refused(
    emulated: Served, receiver: ScriptedService, changes: dict[str, Any]
) -> None:
    answer = await emulated.bmc.post(SUBSCRIPTIONS, wanted(receiver, **changes))
    assert answer.status_code == 400
    assert not emulated.emulator.machines["bmc1"].publisher.subscriptions


async def test_bmc_without_events_has_no_service(emulated: Served) -> None:
    modes(emulated, "bmc1", event_service=False)
    assert "EventService" not in (await emulated.bmc.get("/redfish/v1")).json()
    assert (await emulated.bmc.get(EVENT_SERVICE)).status_code == 404
    assert (await emulated.bmc.post(SUBSCRIPTIONS, {})).status_code == 404


async def test_subscribing_is_no_execution(
    emulated: Served, receiver: ScriptedService
) -> None:
    await emulated.bmc.delete(await subscribe(emulated, receiver))
    assert emulated.emulator.executions() == []


async def test_plugin_tells_what_odim_reads(
    emulated: Served, receiver: ScriptedService
) -> None:
    made = await emulated.plugin.call("POST", "/Subscriptions", wanted(receiver))
    assert made.status_code == 201
    accepted = await emulated.plugin.call("POST", VOLUMES, MIRROR)
    monitor_id = accepted.headers["Location"].removeprefix("/taskmon/")
    await until_told(receiver, "TaskCompletedOK")
    started, ended = records(receiver)
    assert started["MessageId"] == "TaskEvent.1.0.3.TaskStarted"
    assert started["MessageArgs"][0] == monitor_id
    assert (started["MessageArgs"][-1], started["Severity"]) == ("202", "OK")
    *_, body, status = ended["MessageArgs"]
    assert (json.loads(body)["Name"], status) == ("mirror", "201")


async def test_plugin_says_nothing_of_what_it_has_forgotten(
    emulated: Served, receiver: ScriptedService
) -> None:
    await emulated.plugin.call("POST", "/Subscriptions", wanted(receiver))
    await emulated.plugin.call("POST", VOLUMES, MIRROR)
    await until_told(receiver, "TaskStarted")
    emulated.emulator.restart("plugin")
    machine = emulated.emulator.machines["node1"]
    await until(lambda: not machine.timeline.active)
    machine.publisher.look()
    assert keys(receiver) == ["TaskStarted"]


async def test_reset_to_the_factory_forgets_subscriptions(
    emulated: Served, receiver: ScriptedService
) -> None:
    where = await subscribe(emulated, receiver)
    emulated.emulator.renew()
    assert (await emulated.bmc.get(where)).status_code == 404
