"""Starts whose answer Temporal gave and nobody got: never twice, never forgotten."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.app import create_app
from api.task_starter import FIRST_TRY_SECONDS, TaskStarter
from taskfish.encryption import Keyring
from taskfish.errors import RequestRefusedError, TemporalUnavailableError
from taskfish.temporal import data_converter
from tests.api.answers import message_keys
from tests.api.refused_calls import refuse_call
from tests.api.test_task_id import a_start
from tests.conftest import KEY
from tests.house import PASSWORD, TASKS, USER, House, client_of
from tests.workflows.houses import until

RESET = "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset"
FORCE = {"ResetType": "ForceRestart"}
QUEUE = "nobody-works-here"
REFUSALS = [RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.PERMISSION_DENIED]


class Line:
    """A way to Temporal whose answers can be held back, lost and replaced.

    `client` goes over it. It holds answers back while `answers` is cleared.
    """

    client: Client

    def __init__(self, address: str) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self._address = address
        self._refusals: list[RPCStatusCode] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def cut(self, *refusals: RPCStatusCode) -> None:
        """Lose what is under way; the next calls get these refusals, then Temporal."""
        self._refusals += refusals
        calls, self._calls = self._calls, set()
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        self.answers.set()

    async def call(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass one connection on, or refuse what it is for."""
        if self._refusals:
            with closing(writer), suppress(ConnectionError):
                return await refuse_call(reader, writer, self._refusals.pop(0))
        host, _, port = self._address.partition(":")
        there = await asyncio.open_connection(host, int(port))
        always = asyncio.Event()
        always.set()
        pumps = (_pump(reader, there[1], always), _pump(there[0], writer, self.answers))
        self._calls.update(map(asyncio.create_task, pumps))


@asynccontextmanager
async def line_to(address: str) -> AsyncIterator[Line]:
    """Give a line that works until it is told not to."""
    line = Line(address)
    server = await asyncio.start_server(line.call, "127.0.0.1", 0)
    mine = "{}:{}".format(*server.sockets[0].getsockname()[:2])
    try:
        converter = data_converter(Keyring([KEY]))
        line.client = await Client.connect(mine, data_converter=converter)
        yield line
    finally:
        server.close()
        await line.cut()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may: asyncio.Event
) -> None:
    try:
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                await may.wait()
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()


@pytest.fixture
async def line(temporal_address: str) -> AsyncIterator[Line]:
    """Give a line of its own to the session's server."""
    async with line_to(temporal_address) as opened:
        yield opened


async def test_start_whose_answer_comes_late_is_the_same_run(
    line: Line, temporal: Client
) -> None:
    starter = TaskStarter(line.client, QUEUE)
    await starter.start(a_start("late-0", secrets.token_hex(16)))
    line.answers.clear()
    asyncio.get_running_loop().call_later(FIRST_TRY_SECONDS + 0.2, line.answers.set)
    run_id = await starter.start(a_start("late-1", secrets.token_hex(16)))
    run = await temporal.get_workflow_handle("late-1").describe()
    assert run.run_id == run_id
    for task_id in ("late-0", "late-1"):
        await temporal.get_workflow_handle(task_id).terminate()


async def test_start_that_nobody_can_tell_of_is_a_503_with_its_id(
    line: Line, temporal: Client
) -> None:
    starter = TaskStarter(line.client, QUEUE)
    await starter.start(a_start("lost-0", secrets.token_hex(16)))
    line.answers.clear()
    began = time.monotonic()
    with pytest.raises(RequestRefusedError) as refused:
        await starter.start(a_start("lost-1", secrets.token_hex(16)))
    assert time.monotonic() - began < 3.5
    assert refused.value.headers == {"Task-Id": "lost-1"}
    assert "lost-1" in refused.value.messages[0].message
    for task_id in ("lost-0", "lost-1"):
        await temporal.get_workflow_handle(task_id).terminate()


async def until_started(temporal: Client, task_id: str) -> None:
    """Wait until Temporal has the run of an Id."""

    async def is_there() -> bool:
        with suppress(RPCError):
            await temporal.get_workflow_handle(task_id).describe()
            return True
        return False

    await until(is_there)


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_lost_start_is_found_though_its_repetition_is_refused(
    line: Line, temporal: Client, refusal: RPCStatusCode
) -> None:
    starter, task_id = TaskStarter(line.client, QUEUE), f"refused-{refusal.name}"
    await starter.start(a_start(f"{task_id}-0", secrets.token_hex(16)))
    line.answers.clear()
    starting = asyncio.create_task(
        starter.start(a_start(task_id, secrets.token_hex(16)))
    )
    await until_started(temporal, task_id)
    await line.cut(refusal)
    run = await temporal.get_workflow_handle(task_id).describe()
    assert await starting == run.run_id
    for each in (task_id, f"{task_id}-0"):
        await temporal.get_workflow_handle(each).terminate()


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_lost_start_whose_repetition_is_refused_is_never_surely_not_started(
    line: Line, temporal: Client, refusal: RPCStatusCode
) -> None:
    starter, task_id = TaskStarter(line.client, QUEUE), f"unseen-{refusal.name}"
    await starter.start(a_start(f"{task_id}-0", secrets.token_hex(16)))
    line.answers.clear()
    starting = asyncio.create_task(
        starter.start(a_start(task_id, secrets.token_hex(16)))
    )
    await until_started(temporal, task_id)
    await line.cut(*[refusal] * 50)
    with pytest.raises(RequestRefusedError) as refused:
        await starting
    assert refused.value.headers == {"Task-Id": task_id}
    for each in (task_id, f"{task_id}-0"):
        await temporal.get_workflow_handle(each).terminate()


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_start_that_is_refused_at_once_has_surely_not_started(
    line: Line, temporal: Client, refusal: RPCStatusCode
) -> None:
    starter, task_id = TaskStarter(line.client, QUEUE), f"never-{refusal.name}"
    await starter.start(a_start(f"{task_id}-0", secrets.token_hex(16)))
    await line.cut(*[refusal] * 50)
    # A request on the connection that was cut would be lost, not refused.
    await until(lambda: is_refused(line.client, task_id, refusal))

    async def is_surely_not_started() -> bool:
        # Nor does a refusal count that took longer than a try may take.
        try:
            await starter.start(a_start(task_id, secrets.token_hex(16)))
        except TemporalUnavailableError:
            return True
        except RequestRefusedError:
            return False
        raise AssertionError("it has started")

    await until(is_surely_not_started)
    with pytest.raises(RPCError):
        await temporal.get_workflow_handle(task_id).describe()
    await temporal.get_workflow_handle(f"{task_id}-0").terminate()


async def is_refused(client: Client, task_id: str, refusal: RPCStatusCode) -> bool:
    """Say whether the client's calls are answered with that refusal by now."""
    try:
        await client.get_workflow_handle(task_id).describe()
    except RPCError as error:
        return error.status is refusal
    return False


@asynccontextmanager
async def gateway_over(house: House, line: Line) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a second API of the house, which has Temporal on this line."""
    app = create_app(house.settings, line.client)
    async with client_of(app, (USER, PASSWORD)) as client:
        yield client


async def test_task_that_runs_is_not_said_to_have_failed(
    house: House, line: Line
) -> None:
    async def has_run() -> bool:
        return house.executions("bmc1") == 1

    async with gateway_over(house, line) as client:
        await client.post(RESET.replace("bmc1", "node1"), json=FORCE)
        line.answers.clear()
        sending = asyncio.create_task(client.post(RESET, json=FORCE))
        await until(has_run)
        await line.cut(*[RPCStatusCode.PERMISSION_DENIED] * 50)
        lost = await sending
    assert lost.status_code == 503
    assert "Retry-After" not in lost.headers
    task = await house.client.get(f"{TASKS}/{lost.headers['Task-Id']}")
    assert task.json()["Payload"]["TargetUri"] == RESET


async def test_retry_with_its_key_finds_a_lost_start(house: House, line: Line) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    async with gateway_over(house, line) as client:
        first = await client.post(RESET.replace("bmc1", "node1"), json=FORCE)
        line.answers.clear()
        lost = await client.post(RESET, json=FORCE, headers=headers)
        line.answers.set()
        found = await client.post(RESET, json=FORCE, headers=headers)
    assert first.status_code == 202
    assert (lost.status_code, found.status_code) == (503, 202)
    assert message_keys(lost) == ["ServiceTemporarilyUnavailable"]
    assert "Retry-After" not in lost.headers
    assert lost.headers["Task-Id"] == found.headers["Task-Id"]
    assert (await house.ended(found))["TaskState"] == "Completed"
    assert house.executions("bmc1") == 1
