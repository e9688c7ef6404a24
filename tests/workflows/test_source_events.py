"""The gateway has sources send it their events, for as long as they are sources."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from taskfish.plugins.machine.subscriptions import Subscription
from taskfish.store.source_subscriptions import SourceSubscriptions
from tests.conftest import KEY
from tests.house import SOURCES, House
from tests.workflows.houses import add, bmc_house, until
from tests.workflows.listening import (
    machine_of,
    reachable_house,
    send,
    sent_to,
    until_subscribed,
)

OFTEN = {"inventory_refresh": 0.2, "health_check": 0.1}
"""Settings by which a watcher sees soon what has become of its source."""


@pytest.fixture
async def house(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway without sources, to which these can send events."""
    async with reachable_house(temporal, tmp_path, KEY, **OFTEN) as opened:
        yield opened


async def add_bmc(house: House) -> None:
    await add(house, "bmc1", house.addresses.bmcs[0], "Redfish", "password")


def subscriptions(house: House, name: str = "bmc1") -> dict[str, Subscription]:
    return machine_of(house, name).publisher.subscriptions


async def kept(house: House, name: str = "bmc1") -> str | None:
    """Return where the gateway knows its subscription to be."""
    found = await SourceSubscriptions(house.store).get(name)
    return found.uri if found else None


async def until_kept(house: House, name: str = "bmc1") -> None:
    async def is_kept() -> bool:
        return await kept(house, name) is not None

    await until(is_kept)


async def last_seen(house: House, name: str = "bmc1") -> dict[str, Any]:
    """Return the details of the watcher's heartbeat."""
    found = await house.temporal.get_workflow_handle(f"watch:{name}").describe()
    for pending in found.raw_description.pending_activities:
        converter = house.temporal.data_converter
        values = await converter.decode(pending.heartbeat_details.payloads)
        return dict(values[0]) if values else {}
    return {}


async def until_seen(house: House, words: str, name: str = "bmc1") -> None:
    async def is_seen() -> bool:
        return words in str((await last_seen(house, name)).get("events"))

    await until(is_seen)


async def test_bmc_is_subscribed_to_when_it_is_added(house: House) -> None:
    await add_bmc(house)
    await until_kept(house)
    (subscription,) = subscriptions(house).values()
    assert subscription.destination == (
        f"{house.settings.public_url}/southbound/events/bmc1"
    )
    assert subscription.prefixes == ("TaskEvent",)
    assert subscription.context == "taskfish"
    assert (await send(house, "0")).status_code == 204
    await until_seen(house, "subscribed")


async def test_each_machine_behind_a_plugin_is_subscribed_to(house: House) -> None:
    plugin = {"Plugin": {"@odata.id": f"{SOURCES}/plugin"}}
    await add(house, "plugin", house.addresses.plugin, "ODIM", "plugin")
    for name in ("node1", "node2"):
        await add(house, name, name, "ODIM", "password", plugin)
    for name in ("node1", "node2"):
        await until_kept(house, name)
        assert sent_to(house, name)[0].endswith(f"/{name}")
    assert await kept(house, "plugin") is None


async def test_token_is_kept_only_as_a_hash(house: House, tmp_path: Path) -> None:
    await add_bmc(house)
    await until_kept(house)
    _, headers = sent_to(house)
    (token,) = headers.values()
    found = b"".join(path.read_bytes() for path in tmp_path.glob("taskfish.db*"))
    assert len(token) >= 40
    assert token.encode() not in found


async def test_bmc_reset_to_the_factory_is_subscribed_to_anew(house: House) -> None:
    await add_bmc(house)
    await until_kept(house)
    _, before = sent_to(house)
    machine_of(house).publisher.forget()
    await until_subscribed(house)
    destination, after = sent_to(house)
    assert before != after
    await until_kept(house)
    assert (await send(house, "0")).status_code == 204


async def test_subscription_that_is_there_is_left_alone(house: House) -> None:
    await add_bmc(house)
    await until_kept(house)
    before = sent_to(house)
    requests = machine_of(house).gate.traffic.requests
    await until(lambda: machine_of(house).gate.traffic.requests > requests + 30)
    assert sent_to(house) == before


async def test_bmc_without_events_is_polled(house: House) -> None:
    house.emulator.set_modes("bmc1", event_service=False)
    await add_bmc(house)
    await until_seen(house, "polled only")
    assert await kept(house) is None
    task = await house.ended(await house.create_volume("bmc1.1"))
    assert task["TaskState"] == "Completed"
    house.emulator.set_modes("bmc1", event_service=True)
    await until_kept(house)


async def test_change_of_the_password_keeps_the_subscription(house: House) -> None:
    await add_bmc(house)
    await until_kept(house)
    before = sent_to(house)
    answer = await house.client.patch(f"{SOURCES}/bmc1", json={"Password": "password"})
    assert answer.status_code == 200
    assert sent_to(house) == before
    assert (await send(house, "0")).status_code == 204


async def test_removing_a_source_removes_its_subscription(house: House) -> None:
    await add_bmc(house)
    await until_kept(house)
    destination, headers = sent_to(house)
    answer = await house.client.delete(f"{SOURCES}/bmc1")
    assert answer.status_code == 204
    assert subscriptions(house) == {}
    assert await kept(house) is None
    refused = await house.client.post(
        "/southbound/events/bmc1", json={"Events": []}, headers=headers
    )
    assert refused.status_code == 401


async def test_dead_bmc_is_removed_all_the_same(house: House) -> None:
    await add_bmc(house)
    await until_kept(house)
    house.emulator.set_modes("bmc1", read_delay=60, answer_delay=60, vanish=True)
    begun = time.monotonic()
    answer = await house.client.delete(f"{SOURCES}/bmc1")
    assert answer.status_code == 204
    assert time.monotonic() - begun < 10
    assert (await house.client.get(f"{SOURCES}/bmc1")).status_code == 404


async def test_source_that_stays_keeps_its_subscription(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    await add_bmc(house)
    await until_kept(house)
    await house.until(await house.create_volume("bmc1.1"), "Running")
    answer = await house.client.delete(f"{SOURCES}/bmc1")
    assert answer.status_code == 409
    assert len(subscriptions(house)) == 1


async def test_nothing_is_subscribed_to_without_a_public_url(
    temporal: Client, tmp_path: Path
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, **OFTEN) as house:
        await until_seen(house, "no TASKFISH_PUBLIC_URL")
        assert subscriptions(house) == {}
