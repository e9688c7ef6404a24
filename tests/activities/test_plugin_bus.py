"""The plugins' bus, over the wire: librdkafka's mock broker speaks Kafka over TCP."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from activities.plugin_bus import PluginBus, plugins_at
from taskfish.redfish.sources import ConnectionMethod, Source, SourceOptions
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.store.inventory import Inventory
from taskfish.store.sources import Sources
from taskfish.store.task_news import TaskNews
from tests.plugins.message_bus import INSTANCE, Bus, envelope
from tests.store.stores import opened
from tests.workflows.houses import until

SECONDS = 30.0
OLD = 1_000_000_000_000
"""A moment in 2001, in milliseconds."""


class HeldNews(TaskNews):
    """News that get as far as the store, and no further."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.reached = asyncio.Event()

    async def tell(self, source: str, names: Collection[str]) -> bool:
        self.reached.set()
        return await asyncio.Future()


class ChoosyNews(TaskNews):
    """News that fail as soon as one name is among them."""

    async def tell(self, source: str, names: Collection[str]) -> bool:
        if "s3cret" in names:
            raise ValueError(f"cannot keep {names}")
        return await super().tell(source, names)


@pytest.fixture(scope="module")
def bus() -> Bus:
    return Bus()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Give a store with two plugins, and node1 behind the first."""
    async with opened(tmp_path) as found:
        for source in (
            plugin("one", "http://10.42.0.1:45001", INSTANCE),
            plugin("other", "http://10.42.0.2:45001"),
            behind("node1", "10.24.0.4", "one"),
        ):
            await Sources(found).add(source, "task")
            await Inventory(found).replace(
                source.id,
                (),
                uuid=None,
                has_accounts=False,
                has_tasks=True,
                task_id="task",
            )
        yield found


def plugin(name: str, host: str, *instances: str) -> Source:
    options = SourceOptions(instances=instances)
    return Source(
        id=name, host_name=host, method=ConnectionMethod.ODIM, options=options
    )


def behind(name: str, host: str, front: str) -> Source:
    options = SourceOptions(plugin=front)
    return Source(
        id=name, host_name=host, method=ConnectionMethod.ODIM, options=options
    )


@asynccontextmanager
async def reading(
    bus: Bus, store: Store, group: str, news: TaskNews | None = None, **settings: Any
) -> AsyncIterator[None]:
    """Read the bus while the block runs."""
    values = {"kafka_brokers": bus.address, "kafka_group": group, **settings}
    consumer = PluginBus(
        Settings(**values), Sources(store), news or TaskNews(store), first_pause=0.05
    )
    async with consumer.reading():
        yield


async def told(store: Store) -> set[tuple[str, str]]:
    rows = await TaskNews(store).after(0, 1000)
    return {(row.source, row.name) for row in rows}


async def until_told(store: Store, *expected: tuple[str, str]) -> None:
    async def is_told() -> bool:
        return set(expected) <= await told(store)

    await until(is_told, SECONDS)


async def test_event_of_an_instance_is_its_plugins(bus: Bus, store: Store) -> None:
    bus.publish(envelope("t1", "t2"))
    async with reading(bus, store, "instance"):
        await until_told(store, ("one", "t1"), ("one", "t2"))
        bus.publish(envelope("t3"))
        await until_told(store, ("one", "t3"))
    assert {source for source, _ in await told(store)} == {"one"}


async def test_message_is_committed_only_when_its_news_are_kept(
    bus: Bus, store: Store
) -> None:
    """A worker that ends between has told nobody: the next one reads it again."""
    bus.publish(envelope("between"))
    held = HeldNews(store)
    async with reading(bus, store, "killed", held):
        await asyncio.wait_for(held.reached.wait(), SECONDS)
    assert await told(store) == set()
    async with reading(bus, store, "killed"):
        await until_told(store, ("one", "between"))


async def test_message_that_was_committed_is_not_read_again(
    bus: Bus, store: Store
) -> None:
    bus.publish(envelope("before"))
    async with reading(bus, store, "committed"):
        await until_told(store, ("one", "before"))
    async with store.write() as connection:
        await connection.exec_driver_sql("DELETE FROM task_news")
    async with reading(bus, store, "committed"):
        bus.publish(envelope("after"))
        await until_told(store, ("one", "after"))
    assert ("one", "before") not in await told(store)


async def test_bad_messages_are_skipped_and_not_shown(
    bus: Bus, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        b"",
        b"\xffs3cret",
        b'{"request": "s3cret!"}',
        b"[]",
        b'{"Events": "s3cret"}',
        b'{"Events": [], "Context": "s3cret\\ud800"}',
        envelope("\ud800s3cret"),
    ]
    with caplog.at_level(logging.WARNING, "activities.plugin_bus"):
        async with reading(bus, store, "bad"):
            bus.publish(*bad, envelope("good"))
            await until_told(store, ("one", "good"))
    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if "is skipped" in text]) == len(bad)
    assert not any("s3cret" in text for text in said)


async def test_message_that_fails_alone_is_skipped_and_committed(
    bus: Bus, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bus.publish(envelope("s3cret"), envelope("good"))
    async with reading(bus, store, "alone", ChoosyNews(store)):
        await until_told(store, ("one", "good"))
        bus.publish(envelope("later"))
        await until_told(store, ("one", "later"))
    assert ("one", "s3cret") not in await told(store)
    assert "are skipped" in caplog.text
    assert "s3cret" not in caplog.text


async def test_fault_of_any_kind_is_tried_again(
    bus: Bus, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The certificates of the broker's authority come later than the worker."""
    async with reading(
        bus,
        store,
        "faulty",
        kafka_security_protocol="SSL",
        kafka_ca=tmp_path / "ca.pem",
    ):
        await until(lambda: caplog.text.count("is not read") > 1, SECONDS)


async def test_old_messages_wake_nobody(bus: Bus, store: Store) -> None:
    async with reading(bus, store, "old"):
        bus.publish(envelope("old"), at=OLD)
        bus.publish(envelope("new"))
        await until_told(store, ("one", "new"))
    assert ("one", "old") not in await told(store)


async def test_broker_that_is_away_is_tried_again(
    bus: Bus, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "activities.plugin_bus"):
        async with reading(bus, store, "away", kafka_brokers="127.0.0.1:9"):
            await until(lambda: caplog.text.count("is not read") > 1, SECONDS)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (INSTANCE, {"one"}),
        ("10.42.0.2", {"other"}),
        ("10.24.0.4", {"one"}),
        ("192.0.2.9", {"one", "other"}),
        ("", {"one", "other"}),
    ],
)
def test_address_says_which_plugin(address: str, found: set[str]) -> None:
    known = [
        plugin("one", "http://10.42.0.1:45001", INSTANCE),
        plugin("other", "http://10.42.0.2:45001"),
        behind("node1", "10.24.0.4", "one"),
        Source(id="bmc", host_name="192.0.2.9", method=ConnectionMethod.REDFISH),
    ]
    assert plugins_at(address, known) == found


def test_password_is_not_shown() -> None:
    settings = Settings(kafka_password=SecretStr("s3cret"))
    assert "s3cret" not in repr(settings)
