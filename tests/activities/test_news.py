"""One loop reads the news of sources, and wakes those whom they are about."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete

from activities.news import NewsDesk
from taskfish.redfish.sources import ConnectionMethod, Source
from taskfish.redfish.task import PluginTask
from taskfish.store.database import Store
from taskfish.store.source_subscriptions import SourceSubscriptions
from taskfish.store.sources import Sources
from taskfish.store.tables import sources
from taskfish.store.task_news import TaskNews
from tests.store.stores import opened

SOON, AT_ONCE = 5.0, 0.3
TASK = PluginTask(monitor="/taskmon/t1", task="/redfish/v1/TaskService/Tasks/7")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Give a store that knows two sources."""
    async with opened(tmp_path) as found:
        for name in ("one", "other"):
            host, method = f"http://{name}", ConnectionMethod.REDFISH
            source = Source(id=name, host_name=host, method=method)
            await Sources(found).add(source, "task")
        yield found


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[NewsDesk]:
    """Give what reads the news of a store."""
    found = NewsDesk(TaskNews(store))
    yield found
    await found.close()


@pytest.mark.parametrize("name", ["t1", "7"])
async def test_news_of_monitor_or_task_wake(
    store: Store, desk: NewsDesk, name: str
) -> None:
    with desk.listening(TASK) as listening:
        listening.listen_to("one", None)
        await TaskNews(store).tell("one", [name])
        assert await listening.heard(SOON)


async def test_news_of_others_wake_nobody(store: Store, desk: NewsDesk) -> None:
    with desk.listening(TASK) as listening, desk.listening(TASK) as other:
        listening.listen_to("one")
        other.listen_to("other")
        await TaskNews(store).tell("one", ["t2", "70"])
        await TaskNews(store).tell("other", ["t1"])
        assert await other.heard(SOON)
        assert not await listening.heard(AT_ONCE)


async def test_each_news_is_heard_once(store: Store, desk: NewsDesk) -> None:
    with desk.listening(TASK) as listening:
        listening.listen_to("one")
        for _ in range(3):
            await TaskNews(store).tell("one", ["t1"])
            assert await listening.heard(SOON)
            listening.begin()
        assert not await listening.heard(AT_ONCE)


class Faulty(TaskNews):
    """News of which the first hints fail, as nobody has thought of."""

    faults = 1

    @asynccontextmanager
    async def hints(self, hint: Callable[[], None]) -> AsyncIterator[None]:
        """Fail, or give the hints."""
        if self.faults:
            self.faults -= 1
            raise KeyError("what")
        async with super().hints(hint):
            yield


async def test_unexpected_fault_is_told_of_and_ends_no_reading(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    desk = NewsDesk(Faulty(store))
    with desk.listening(TASK) as listening:
        listening.listen_to("one")
        await TaskNews(store).tell("one", ["t1"])
        assert await listening.heard(SOON)
    assert "KeyError('what')" in caplog.text
    await desk.close()


async def test_news_that_were_forgotten_again_stop_nothing(
    store: Store, desk: NewsDesk
) -> None:
    with desk.listening(TASK) as listening:
        listening.listen_to("one", "other")
        await TaskNews(store).tell("other", ["t1"])
        async with store.write() as connection:
            await connection.execute(delete(sources).where(sources.c.id == "other"))
        assert await TaskNews(store).after(0, 10) == []
        await listening.heard(AT_ONCE)
        listening.begin()
        await TaskNews(store).tell("one", ["t1"])
        assert await listening.heard(SOON)


async def test_who_comes_after_others_have_left_hears_too(
    store: Store, desk: NewsDesk
) -> None:
    for _ in range(2):
        with desk.listening(TASK) as listening:
            listening.listen_to("one")
            listening.begin()
            await TaskNews(store).tell("one", ["t1"])
            assert await listening.heard(SOON)


async def test_token_counts_until_the_next_one(store: Store) -> None:
    subscriptions = SourceSubscriptions(store)
    assert await subscriptions.begin("one", SecretStr("first"))
    assert await subscriptions.is_token_of("one", "first")
    assert not await subscriptions.is_token_of("other", "first")
    assert await subscriptions.begin("one", SecretStr("second"))
    assert not await subscriptions.is_token_of("one", "first")
    assert await subscriptions.made("one", "/redfish/v1/EventService/Subscriptions/1")
    await Sources(store).remove("one")
    assert await subscriptions.get("one") is None
    assert not await subscriptions.made("one", "/anywhere")
    assert not await subscriptions.begin("one", SecretStr("third"))


async def test_news_that_nobody_listens_for_are_overheard(
    store: Store, desk: NewsDesk
) -> None:
    with desk.overhearing("one") as overheard, desk.listening(TASK) as listening:
        listening.listen_to("one")
        await TaskNews(store).tell("other", ["t2"])
        await TaskNews(store).tell("one", ["t1"])
        assert await listening.heard(SOON)
        await TaskNews(store).tell("one", ["t3", "t4"])
        assert await overheard.heard(SOON) == {"t3", "t4"}
        assert await overheard.heard(AT_ONCE) == set()
