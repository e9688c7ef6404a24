"""Worker and API are killed in the middle of 200 tasks: subscribers get every event."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from taskfish.redfish.events import LoggedEvent
from taskfish.redfish.task_events import END
from taskfish.store.event_log import EventLog
from taskfish.store.tables import events
from tests.chaos.site import Site, open_site
from tests.conftest import KEY
from tests.subscriber import Listener, listening, subscribe
from tests.workflows.houses import until

TASKS = 200
AT_ONCE = 10
MACHINES = ("bmc1.1", "bmc2.1", "node1.1", "node2.1")
PAUSE = 0.1
PATIENCE = 120.0


@pytest.fixture
async def site(temporal_address: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a gateway of processes whose deliveries try again soon."""
    async with open_site(
        temporal_address, tmp_path, KEY, delivery_retry_interval=0.3, delivery_timeout=2
    ) as opened:
        yield opened


async def test_every_subscriber_gets_every_event(site: Site) -> None:
    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(listening()) for _ in range(3)]
        begin = await EventLog(site.house.store).newest()
        for each in listeners:
            await subscribe(site.house, each, retry_policy="RetryForever")
        tasks: set[str] = set()
        kills = asyncio.create_task(kill_meanwhile(site, listeners[0], tasks))
        await send_all(site, tasks)
        await kills
        await until(lambda: have_ended(site, tasks), PATIENCE)
        expected = await log_of(site, begin)
        await until(
            lambda: all(ids_of(each) >= set(expected) for each in listeners), PATIENCE
        )
        assert site.worker.deaths["killed"] == 2
        assert site.api.deaths["killed"] == 2
        check_log(list(expected.values()), tasks)
        for listener in listeners:
            check_events(listener, await log_of(site, begin))


async def kill_meanwhile(site: Site, down: Listener, tasks: set[str]) -> None:
    """Take one subscriber down for a while; kill worker and API, alone and together."""
    await until(lambda: len(tasks) >= TASKS // 8)
    await down.stop()
    site.worker.kill()
    await until(lambda: len(tasks) >= TASKS // 3)
    site.api.kill()
    await until(lambda: len(tasks) >= TASKS // 2)
    await site.until_ready()
    site.worker.kill()
    site.api.kill()
    await until(lambda: len(tasks) >= TASKS * 3 // 4)
    await down.start()


async def send_all(site: Site, tasks: set[str]) -> None:
    """Send all changes, some at a time, and note the Ids of their tasks."""
    numbers = iter(range(TASKS))

    async def send() -> None:
        for number in numbers:
            tasks.add(await send_one(site.client, MACHINES[number % len(MACHINES)]))

    await asyncio.gather(*(send() for _ in range(AT_ONCE)))


async def send_one(client: httpx.AsyncClient, machine: str) -> str:
    """Repeat a reset, with the same key each time, until its task is known."""
    uri = f"/redfish/v1/Systems/{machine}/Actions/ComputerSystem.Reset"
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"ResetType": "ForceRestart"}
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(httpx.TransportError):
                answer = await client.post(uri, json=body, headers=headers)
                if "Task-Id" in answer.headers and answer.status_code != 503:
                    return answer.headers["Task-Id"]
            await asyncio.sleep(PAUSE)


async def log_of(site: Site, begin: int) -> dict[str, LoggedEvent]:
    """Return what the log has behind a position, by EventId."""
    logged = await EventLog(site.house.store).after(begin, 100_000)
    return {each.event_id: each for each in logged}


async def have_ended(site: Site, tasks: set[str]) -> bool:
    """Say whether the log has the end of each task."""
    ends = select(events.c.task_id).where(events.c.step == END)
    async with site.house.store.read() as connection:
        return tasks <= {row.task_id for row in await connection.execute(ends)}


def ids_of(listener: Listener) -> set[str]:
    """Return the EventIds that a subscriber has accepted."""
    return {event["EventId"] for event in listener.events}


def check_log(logged: list[LoggedEvent], tasks: set[str]) -> None:
    """Fail unless each task was told of from its beginning to its one end."""
    told: defaultdict[str, list[str]] = defaultdict(list)
    for each in logged:
        if each.event.task is not None:
            told[each.event.task.task_id].append(each.event.task.step)
    assert set(told) == tasks
    for task_id, steps in told.items():
        assert len(set(steps)) == len(steps), (task_id, steps)
        assert steps[-1] == END, (task_id, steps)


def check_events(listener: Listener, expected: dict[str, LoggedEvent]) -> None:
    """Fail unless a subscriber got what the log has, in its order, repeats aside."""
    first: dict[str, dict[str, Any]] = {}
    for event in listener.events:
        without_place = {**event, "MemberId": "0"}
        assert first.setdefault(event["EventId"], without_place) == without_place
    assert list(first) == list(expected)
    for event_id, event in first.items():
        assert event == expected[event_id].record(0)
