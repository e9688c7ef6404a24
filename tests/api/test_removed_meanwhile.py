"""A task that is removed between two reads of one request is gone, and no fault."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    OutboundInterceptor,
    WorkflowExecutionDescription,
)

from activities.removal import TaskRemoval
from api.app import create_app
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.turns import Turns
from tests.api.answers import message_keys
from tests.house import PASSWORD, USER, House, client_of


class Removing(Interceptor):
    """Has a run removed as soon as it was described."""

    def __init__(self, removal: TaskRemoval) -> None:
        self._removal = removal

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Put the removal before the answer of each description."""
        return _RemovingDescriptions(next, self._removal)


class _RemovingDescriptions(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, removal: TaskRemoval) -> None:
        super().__init__(next)
        self._removal = removal

    async def describe_workflow(
        self, input: DescribeWorkflowInput
    ) -> WorkflowExecutionDescription:
        found = await super().describe_workflow(input)
        assert await self._removal.remove_run(found.id, found.run_id)
        return found


@asynccontextmanager
async def removing_client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a gateway whose descriptions are the last of their run."""
    store = house.store
    removal = TaskRemoval(
        house.temporal,
        Journal(store),
        MonitorReads(store),
        Requests(store),
        Turns(store),
        EventLog(store),
    )
    config = house.temporal.config()
    config["interceptors"] = [Removing(removal)]
    app = create_app(house.settings, Client(**config))
    async with client_of(app, (USER, PASSWORD)) as client:
        yield client


async def test_killed_task_that_goes_while_it_is_read_is_404(house: House) -> None:
    house.emulator.set_modes("bmc1", pause_at=50)
    accepted = await house.create_volume("bmc1.1")
    await house.until(accepted, "Suspended")
    await house.workflow(accepted).terminate()
    async with removing_client(house) as client:
        answer = await client.get(accepted.json()["@odata.id"])
    assert answer.status_code == 404, answer.text
    assert message_keys(answer) == ["ResourceMissingAtURI"]


async def test_monitor_of_a_task_that_goes_while_it_is_read_is_404(
    house: House,
) -> None:
    accepted = await house.create_volume("bmc1.1")
    await house.ended(accepted)
    async with removing_client(house) as client:
        answer = await client.get(accepted.headers["Location"])
    assert answer.status_code == 404, answer.text
    assert message_keys(answer) == ["ResourceMissingAtURI"]


async def test_task_with_words_of_its_own_needs_one_read_only(house: House) -> None:
    accepted = await house.create_volume("bmc1.1")
    await house.ended(accepted)
    uri = accepted.json()["@odata.id"]
    async with removing_client(house) as client:
        assert (await client.get(uri)).status_code == 200
    assert (await house.client.get(uri)).status_code == 404
