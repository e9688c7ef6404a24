"""A source's events say when its tasks are asked for, and change nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.conftest import KEY
from tests.house import SOURCES, House
from tests.plugins.message_bus import Bus, envelope
from tests.workflows.houses import (
    add,
    event_names,
    history_of,
    node_house,
    until,
)
from tests.workflows.listening import (
    machine_of,
    reachable_house,
    send,
    until_subscribed,
)

MUCH_LATER = "60"
"""A Retry-After by which polling alone would not see the end in time."""
ASKED_ONCE = 3
"""Requests of a creation until its task is followed: what is there is read, the change
is sent, the task is read.
"""
SOON = 20.0
"""Much sooner than that, also on a machine at its limit."""


@pytest.fixture
async def bmc(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway that gets the events of bmc1, which asks for few polls."""
    async with reachable_house(temporal, tmp_path, KEY) as house:
        await add(house, "bmc1", house.addresses.bmcs[0], "Redfish", "password")
        await until_subscribed(house)
        house.emulator.set_modes("bmc1", retry_after=MUCH_LATER, seconds=1)
        yield house


@pytest.fixture
async def node(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway that gets the events of node1, behind an ODIM plugin."""
    async with reachable_house(temporal, tmp_path, KEY) as house:
        plugin = {"Plugin": {"@odata.id": f"{SOURCES}/plugin"}}
        await add(house, "plugin", house.addresses.plugin, "ODIM", "plugin")
        await add(house, "node1", "node1", "ODIM", "password", plugin)
        await until_subscribed(house, "node1")
        house.emulator.set_modes("node1", retry_after=MUCH_LATER, seconds=1)
        yield house


async def ended_soon(house: House, accepted: Any) -> dict[str, Any]:
    """Return the Task once it has ended; fail if that takes as long as polling."""
    async with asyncio.timeout(SOON):
        return await house.ended(accepted)


async def test_event_of_the_end_ends_the_task(bmc: House) -> None:
    accepted = await bmc.create_volume("bmc1.1")
    task = await ended_soon(bmc, accepted)
    assert task["TaskState"] == "Completed"
    assert (await bmc.final(accepted)).status_code == 201
    assert bmc.executions("bmc1") == 1


async def test_event_of_a_plugin_ends_the_task(node: House) -> None:
    accepted = await node.create_volume("node1.1")
    assert (await ended_soon(node, accepted))["TaskState"] == "Completed"
    assert (await node.final(accepted)).json()["Name"] == "data"


@pytest.mark.parametrize(
    ("changes", "state", "status"),
    [
        ({"fail": True}, "Exception", "Critical"),
        ({"warn": True}, "Completed", "Warning"),
    ],
)
async def test_source_says_how_it_ended_and_no_event_does(
    bmc: House, changes: dict[str, Any], state: str, status: str
) -> None:
    bmc.emulator.set_modes("bmc1", **changes)
    task = await ended_soon(bmc, await bmc.create_volume("bmc1.1"))
    assert (task["TaskState"], task["TaskStatus"]) == (state, status)


@pytest.mark.parametrize("events", ["duplicated", "unordered", "early"])
async def test_crooked_events_end_the_task_once(bmc: House, events: str) -> None:
    bmc.emulator.set_modes("bmc1", events=events)
    task = await ended_soon(bmc, await bmc.create_volume("bmc1.1"))
    assert task["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_end_that_is_told_before_the_answer_is_seen_by_the_first_poll(
    bmc: House,
) -> None:
    bmc.emulator.set_modes("bmc1", events="early", seconds=0, answer="task")
    task = await ended_soon(bmc, await bmc.create_volume("bmc1.1"))
    assert task["TaskState"] == "Completed"


async def test_polling_finds_what_lost_events_leave(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", events="lost", retry_after="1")
    task = await ended_soon(bmc, await bmc.create_volume("bmc1.1"))
    assert task["TaskState"] == "Completed"


async def test_late_event_finds_the_end_that_was_there(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", event_delay=1)
    task = await ended_soon(bmc, await bmc.create_volume("bmc1.1"))
    assert task["TaskState"] == "Completed"


async def test_forged_end_ends_nothing(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.create_volume("bmc1.1")
    task = await bmc.until(accepted, "Running")
    uri = task["Oem"]["Taskfish"]["PluginTaskUri"]
    traffic = machine_of(bmc).gate.traffic
    for name in (uri, f"https://elsewhere{uri}", "0"):
        traffic.reset()
        assert (await send(bmc, name)).status_code == 204
        await until(lambda: traffic.requests > 0)
    assert (await bmc.task(accepted))["TaskState"] == "Running"
    names = event_names(await history_of(bmc, accepted))
    assert "WORKFLOW_EXECUTION_SIGNALED" not in names


async def test_event_that_came_before_its_task_was_over_is_asked_after(
    bmc: House,
) -> None:
    """What it told shows a moment later, and no other event comes."""
    bmc.emulator.set_modes("bmc1", hang=True, events="lost", seconds=0.3)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    traffic = machine_of(bmc).gate.traffic
    before = traffic.requests
    await send(bmc, "0")
    await until(lambda: traffic.requests > before)
    bmc.emulator.set_modes("bmc1", hang=False)
    assert (await ended_soon(bmc, accepted))["TaskState"] == "Completed"


async def test_flood_of_events_is_no_storm_of_polls(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    traffic = machine_of(bmc).gate.traffic
    traffic.reset()
    begun = time.monotonic()
    for _ in range(100):
        assert (await send(bmc, "0")).status_code == 204
    seconds = time.monotonic() - begun
    assert traffic.requests <= 5 + 20 * seconds


async def test_events_of_other_tasks_wake_nobody(bmc: House) -> None:
    # Its own events would wake it too.
    bmc.emulator.set_modes("bmc1", hang=True, events="lost")
    traffic = machine_of(bmc).gate.traffic
    traffic.reset()
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    await until(lambda: traffic.requests == ASKED_ONCE)
    for _ in range(3):
        await send(bmc, "17", "t1", "/redfish/v1/TaskService/Tasks/00")
    assert traffic.requests == ASKED_ONCE
    await send(bmc, "0")
    await until(lambda: traffic.requests > ASKED_ONCE)
    # What an event tells may show a moment later: it is asked for once more then.
    assert traffic.requests <= ASKED_ONCE + 2


async def test_worker_that_comes_back_hears_again(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    await bmc.stop_worker()
    await bmc.start_worker()
    traffic = machine_of(bmc).gate.traffic
    before = traffic.requests
    await until(lambda: traffic.requests > before)
    bmc.emulator.set_modes("bmc1", hang=False, seconds=1)
    assert (await ended_soon(bmc, accepted))["TaskState"] == "Completed"


async def test_event_from_the_plugins_bus_ends_the_task(
    temporal: Client, tmp_path: Path
) -> None:
    bus = Bus()
    async with node_house(temporal, tmp_path, KEY, kafka_brokers=bus.address) as house:
        house.emulator.set_modes("node1", retry_after=MUCH_LATER, hang=True)
        accepted = await house.create_volume("node1.1")
        await house.until(accepted, "Running")
        house.emulator.set_modes("node1", hang=False)
        node = machine_of(house, "node1")
        await until(lambda: node.executions[0].outcome == "completed")
        bus.publish(envelope("t1"))
        assert (await ended_soon(house, accepted))["TaskState"] == "Completed"
