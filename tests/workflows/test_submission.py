"""A change is sent once: also when the source cannot be reached, or is busy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from temporalio.client import Client

from taskfish.plugins.emulator import Addresses, Emulator, serve
from tests.api.governing import act, delete, task_uri, view_of
from tests.conftest import KEY
from tests.house import FAST, House, open_house
from tests.workflows.houses import (
    BMC,
    VOLUMES,
    add,
    bmc_house,
    event_names,
    history_of,
    node_house,
    until,
    until_begun,
    until_executed,
    words_of,
)

BUSY_SECONDS = 1.5
"""How long a change occupies the one call that a source takes."""


def port_of(address: str) -> int:
    """Return the port of an URL."""
    return urlsplit(address).port or 0


class Outage:
    """A BMC whose port refuses connections until it is back."""

    def __init__(self, emulator: Emulator, addresses: Addresses) -> None:
        self.emulator = emulator
        self._ports = [port_of(addresses.plugin), port_of(addresses.bmcs[0])]

    @asynccontextmanager
    async def over(self) -> AsyncIterator[None]:
        """Let it answer again, at the same port."""
        async with serve(self.emulator, ports=self._ports):
            yield

    def executions(self) -> int:
        """Return how many changes it has carried out."""
        return len(self.emulator.executions())


@asynccontextmanager
async def away(house: House) -> AsyncIterator[Outage]:
    """Add a BMC named `away`, which then goes out of reach."""
    emulator = Emulator(systems=0, bmcs=1, modes=FAST)
    async with serve(emulator) as addresses:
        await house.add_source("away", addresses.bmcs[0], "Redfish", "password")
    yield Outage(emulator, addresses)


@asynccontextmanager
async def occupied(temporal: Client, folder: Path) -> AsyncIterator[House]:
    """Open a gateway whose bmc1 takes one call at a time, and is at work on one."""
    async with open_house(temporal, folder, KEY) as house:
        address, one = house.addresses.bmcs[0], {"MaxConcurrentRequests": 1}
        await add(house, "bmc1", address, "Redfish", "password", one)
        house.emulator.set_modes("bmc1", slow_sync=True, seconds=BUSY_SECONDS)
        await tag(house, "first")
        await until_executed(house)
        yield house


async def tag(house: House, text: str) -> httpx.Response:
    """Send an AssetTag: nothing is read before it is sent."""
    return await house.change("PATCH", BMC, {"AssetTag": text})


def tags(house: House) -> list[object]:
    """Return the bodies that bmc1 has got, in its order."""
    return [each.body for each in house.emulator.executions("bmc1")]


async def test_source_that_comes_back_gets_it_once(
    temporal: Client, tmp_path: Path
) -> None:
    async with (
        open_house(temporal, tmp_path, KEY, submit_deadline=10) as house,
        away(house) as outage,
    ):
        accepted = await house.reset("away.1")
        await until_tried(house, accepted, 2)
        assert (await house.task(accepted))["TaskState"] == "Starting"
        async with outage.over():
            assert (await house.ended(accepted))["TaskState"] == "Completed"
            assert outage.executions() == 1


async def test_source_that_stays_away_is_503(temporal: Client, tmp_path: Path) -> None:
    async with (
        open_house(temporal, tmp_path, KEY, submit_deadline=1) as house,
        away(house) as outage,
    ):
        accepted = await house.reset("away.1")
        final = await house.final(accepted)
        task = await house.task(accepted)
        assert final.status_code == 503
        assert "CouldNotEstablishConnection" in final.text
        assert task["TaskState"] == "Exception"
        assert "cannot be connected to" in words_of(task)
        assert outage.executions() == 0


async def test_busy_source_gets_it_once_later(bmc: House) -> None:
    """503 with Retry-After: the source did nothing, and says when to come again."""
    bmc.emulator.set_modes("bmc1", refuse=503, refuse_times=2)
    accepted = await bmc.reset("bmc1.1")
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1
    names = event_names(await history_of(bmc, accepted))
    assert names.count("TIMER_FIRED") == 2


async def test_source_that_stays_busy_is_503(temporal: Client, tmp_path: Path) -> None:
    async with bmc_house(temporal, tmp_path, KEY, submit_deadline=1) as house:
        house.emulator.set_modes("bmc1", refuse=503)
        accepted = await house.reset("bmc1.1")
        final = await house.final(accepted)
        assert final.status_code == 503
        assert (await house.task(accepted))["TaskState"] == "Exception"
        assert house.executions("bmc1") == 0


async def test_long_retry_after_ends_at_the_deadline(
    temporal: Client, tmp_path: Path
) -> None:
    """A source may ask for an hour: the task ends at its deadline all the same."""
    async with bmc_house(temporal, tmp_path, KEY, submit_deadline=1) as house:
        house.emulator.set_modes("bmc1", refuse=503)
        accepted = await house.reset("bmc1.1")
        await house.ended(accepted)
        events = await history_of(house, accepted)
        slept = [
            event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            for event in events
            if event.HasField("timer_started_event_attributes")
        ]
        assert [pause.total_seconds() <= 1 for pause in slept] == [True]


async def test_refusal_of_the_source_is_the_final_answer(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", refuse=409)
    accepted = await bmc.create_volume("bmc1.1")
    final = await bmc.final(accepted)
    assert final.status_code == 409
    assert "ResourceInUse" in final.text
    assert (await bmc.task(accepted))["TaskState"] == "Exception"
    assert bmc.executions("bmc1") == 0


async def test_vanished_source_is_tried_until_it_answers(bmc: House) -> None:
    """A connection that breaks while the target is read: nothing was sent yet."""
    bmc.emulator.set_modes("bmc1", vanish=True)
    accepted = await bmc.create_volume("bmc1.1")
    await until_tried(bmc, accepted, 2)
    bmc.emulator.set_modes("bmc1", vanish=False)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_store_out_of_reach_after_the_send_sends_nothing_again(
    temporal: Client, tmp_path: Path
) -> None:
    """A change that left and cannot be noted is looked for, not sent again."""
    settings = {"submit_deadline": 10}
    async with node_house(temporal, tmp_path, KEY, **settings) as house:
        house.emulator.set_modes("plugin", lose_answer=1, answer_delay=0.3)
        accepted = await house.create_volume("node1.1")
        await until(lambda: house.executions("node1") == 1)
        async with house.store.write() as connection:
            await connection.exec_driver_sql("ALTER TABLE sources RENAME TO hidden")
        await until_tried(house, accepted, 1)
        async with house.store.write() as connection:
            await connection.exec_driver_sql("ALTER TABLE hidden RENAME TO sources")
        await house.ended(accepted)
        assert house.executions("node1") == 1


async def test_created_resource_is_named_northbound(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", answer="sync")
    accepted = await bmc.create_volume("bmc1.1")
    final = await bmc.final(accepted)
    assert final.headers["Location"] == f"{BMC}/{VOLUMES}/1"
    assert bmc.executions("bmc1") == 1


async def until_tried(house: House, accepted: httpx.Response, times: int) -> None:
    """Wait until the change has been tried to be sent so many times."""

    async def tried() -> bool:
        names = event_names(await history_of(house, accepted))
        return names.count("ACTIVITY_TASK_COMPLETED") >= times

    await until(tried)


async def test_source_out_of_reach_delays_no_apply_time_for_ever(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", vanish=True)
    accepted = await bmc.create_volume("bmc1.1", apply_time="Immediate")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert (await bmc.final(accepted)).status_code == 503
    assert bmc.executions("bmc1") == 0


@pytest.mark.parametrize("waits_for", ["its look", "its turn"])
async def test_cancel_while_the_source_is_occupied_sends_nothing(
    temporal: Client, tmp_path: Path, waits_for: str
) -> None:
    async with occupied(temporal, tmp_path) as house:
        looks = waits_for == "its look"
        change = house.create_volume("bmc1.1") if looks else tag(house, "second")
        accepted = await change
        await until_begun(house, accepted, "submit")
        assert (await delete(house, task_uri(accepted))).status_code == 202
        task = await house.ended(accepted)
        assert task["TaskState"] == "Cancelled"
        assert "nothing was sent" in words_of(task)
        assert tags(house) == [{"AssetTag": "first"}]


async def test_kill_while_the_source_is_occupied_sends_nothing(
    temporal: Client, tmp_path: Path
) -> None:
    async with occupied(temporal, tmp_path) as house:
        killed = await tag(house, "second")
        await until_begun(house, killed, "submit")
        assert (await act(house, killed, "Kill")).status_code == 204
        # It comes after the killed one: what that sends is there before.
        third = await tag(house, "third")
        assert (await house.ended(third))["TaskState"] == "Completed"
        assert (await house.task(killed))["TaskState"] == "Killed"
        assert tags(house) == [{"AssetTag": "first"}, {"AssetTag": "third"}]


async def test_suspended_while_the_source_is_occupied_is_sent_when_resumed(
    temporal: Client, tmp_path: Path
) -> None:
    async with occupied(temporal, tmp_path) as house:
        accepted = await tag(house, "second")
        await until_begun(house, accepted, "submit")
        await house.workflow(accepted).signal("Suspend", "a test")

        async def is_noted() -> bool:
            return (await view_of(house, accepted)).suspended is not None

        await until(is_noted)
        await house.until(accepted, "Suspended")
        assert tags(house) == [{"AssetTag": "first"}]
        await house.workflow(accepted).signal("Resume", "a test")
        assert (await house.ended(accepted))["TaskState"] == "Completed"
        assert tags(house) == [{"AssetTag": "first"}, {"AssetTag": "second"}]
