"""Gateways with as few sources as a test needs, and what to look for in them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from taskfish.errors import TemporalUnavailableError
from tests.house import LONGEST_WAIT, SOURCES, House, open_house

BMC = "/redfish/v1/Systems/bmc1.1"
NODE = "/redfish/v1/Systems/node1.1"
VOLUMES = "Storage/1/Volumes"
Result = TypeVar("Result")
FIRST, LAST = 0, -1
"""The workflow tasks that a workflow may be reset to."""


@asynccontextmanager
async def bmc_house(
    temporal: Client, folder: Path, key: SecretStr, **settings: Any
) -> AsyncIterator[House]:
    """Open a gateway that has bmc1, which speaks Redfish."""
    async with open_house(temporal, folder, key, **settings) as house:
        await add(house, "bmc1", house.addresses.bmcs[0], "Redfish", "password")
        yield house


@asynccontextmanager
async def node_house(
    temporal: Client, folder: Path, key: SecretStr, **settings: Any
) -> AsyncIterator[House]:
    """Open a gateway that has node1 and node2 behind an ODIM plugin."""
    async with open_house(temporal, folder, key, **settings) as house:
        plugin = {"Plugin": {"@odata.id": f"{SOURCES}/plugin"}}
        await add(house, "plugin", house.addresses.plugin, "ODIM", "plugin")
        for number, host in enumerate(house.addresses.systems, start=1):
            await add(house, f"node{number}", host, "ODIM", "password", plugin)
        yield house


async def add(house: House, *source: Any) -> None:
    """Add a source; fail unless it is there then."""
    answer = await house.add_source(*source)
    assert answer.status_code == 201, answer.text


async def create_account(house: House) -> httpx.Response:
    """Send the creation of an account at bmc1, with a password; return its 202."""
    managers = (await house.client.get("/redfish/v1/Managers")).json()["Members"]
    (manager,) = (uri for each in managers if "/bmc1." in (uri := each["@odata.id"]))
    uri = f"{manager}/RemoteAccountService/Accounts"
    body = {"UserName": "operator", "Password": "s3cret-w0rd", "RoleId": "Operator"}
    return await house.change("POST", uri, body)


async def until(
    condition: Callable[[], object | Awaitable[object]], seconds: float = LONGEST_WAIT
) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            holds, pause = condition(), 0.01
            if isinstance(holds, Awaitable):
                # It asks somebody: more often would only keep the machine busy.
                asked, holds, pause = holds, False, 0.1
                with _silence_of_temporal():
                    holds = await asked
            if holds:
                return
            await asyncio.sleep(pause)


async def answered(call: Callable[[], Awaitable[Result]]) -> Result:
    """Call until Temporal answers in its 3 seconds, which a test server on a machine
    at its limit sometimes does not: the worker calls again too. Return its result.
    """
    async with asyncio.timeout(LONGEST_WAIT):
        while True:
            with _silence_of_temporal():
                return await call()
            await asyncio.sleep(0.03)


@contextmanager
def _silence_of_temporal() -> Iterator[None]:
    """Bear that Temporal does not answer."""
    try:
        yield
    except TemporalUnavailableError:
        pass
    except ApplicationError as error:
        if error.type != TemporalUnavailableError.__name__:
            raise


async def until_executed(house: House, machine: str = "bmc1", times: int = 1) -> None:
    """Wait until the emulator has begun to carry out so many changes."""
    await until(lambda: house.executions(machine) >= times)


async def until_requested(house: House, machine: str, more: int = 1) -> None:
    """Wait until the emulated machine has got some more requests."""
    traffic = house.emulator.gate(machine).traffic
    before = traffic.requests
    await until(lambda: traffic.requests >= before + more)


async def until_begun(house: House, accepted: httpx.Response, activity: str) -> None:
    """Wait until an activity of the task has been started by a worker."""

    async def has_begun() -> bool:
        run = await house.workflow(accepted).describe()
        pending = run.raw_description.pending_activities
        # Between two attempts Temporal does not say when the last one was started.
        return any(
            each.activity_type.name == activity
            and (each.attempt > 1 or each.HasField("last_started_time"))
            for each in pending
        )

    await until(has_begun)


async def history_of(house: House, accepted: httpx.Response) -> list[HistoryEvent]:
    """Return the raw events of a task's history."""
    return list((await house.workflow(accepted).fetch_history()).events)


def event_names(events: list[HistoryEvent]) -> list[str]:
    """Return the types of events as Temporal's documents write them."""
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events
    ]


def words_of(task: dict[str, Any]) -> str:
    """Return all that a Task's Messages say."""
    return " ".join(
        f"{message['Message']} {message.get('Resolution', '')}"
        for message in task["Messages"]
    )


async def reset_workflow(house: House, accepted: httpx.Response, point: int) -> None:
    """Reset a task's workflow to its first or last workflow task."""
    run = await house.workflow(accepted).describe()
    completed = [
        event.event_id
        for event in await history_of(house, accepted)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    request = ResetWorkflowExecutionRequest(
        namespace=house.temporal.namespace,
        workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
        reason="test",
        workflow_task_finish_event_id=completed[point],
        request_id=str(uuid.uuid4()),
    )
    await house.temporal.workflow_service.reset_workflow_execution(request)
