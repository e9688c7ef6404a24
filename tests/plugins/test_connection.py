"""A connection: the emulator's machines and tasks in the gateway's own words."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue, SecretStr

from taskfish.errors import PauseRefusedError
from taskfish.plugins.abortable_actions import ODATA_TYPE
from taskfish.plugins.connection import Connection
from taskfish.plugins.connections import Connections
from taskfish.plugins.emulator import Emulator, serve
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.odim import client as odim
from taskfish.plugins.protocol import ABORTABLE_RESETS, Accepted, Answered, Change
from taskfish.plugins.redfish import client as redfish
from taskfish.redfish.sources import ConnectionMethod, Source, SourceOptions
from taskfish.redfish.task import Answer, PluginTask, TaskState
from taskfish.store.inventory import Inventory
from taskfish.store.sources import Sources
from tests.plugins.adapters import SETTINGS
from tests.store.stores import opened

PASSWORD = SecretStr("password")
ADAPTERS = {
    ConnectionMethod.REDFISH: redfish.connect,
    ConnectionMethod.ODIM: odim.connect,
}
MACHINES = {"bmc": "bmc1", "node": "node1"}
SLOW = Modes(seconds=60, answer="task", pausable=True)


class Gateway:
    """The connections to `bmc`, which speaks Redfish, and `node`, behind a plugin."""

    def __init__(
        self, emulator: Emulator, connections: Connections, inventory: Inventory
    ) -> None:
        self.emulator = emulator
        self.connections = connections
        self.inventory = inventory

    def mode(self, name: str, **changes: Any) -> None:
        self.emulator.set_modes(MACHINES[name], **changes)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    emulator = Emulator(1, 1, modes=SLOW)
    async with serve(emulator) as addresses, opened(tmp_path) as store:
        sources = Sources(store)
        hosts = {"plugin": addresses.plugin, "node": "node1", "bmc": addresses.bmcs[0]}
        for name, host in hosts.items():
            behind = "plugin" if name == "node" else None
            method = (
                ConnectionMethod.REDFISH if name == "bmc" else ConnectionMethod.ODIM
            )
            source = Source(
                id=name,
                host_name=host,
                method=method,
                user_name="admin",
                password=SecretStr("plugin") if name == "plugin" else PASSWORD,
                options=SourceOptions(plugin=behind),
            )
            await sources.add(source, "task-1")
        connections = Connections(sources, ADAPTERS, SETTINGS)
        yield Gateway(emulator, connections, Inventory(store))
        await connections.aclose()


async def oem_of(connection: Connection, uri: str) -> JsonValue:
    answer = await connection.read(uri)
    assert isinstance(answer.body, dict)
    return answer.body.get("Oem")


async def reset(connection: Connection, name: str) -> PluginTask:
    uri = f"/redfish/v1/Systems/{name}.1/Actions/ComputerSystem.Reset"
    change = Change(method="POST", uri=uri, body={"ResetType": "GracefulShutdown"})
    async with connection.turn():
        submission = await connection.submit(change)
    assert isinstance(submission, Accepted)
    assert submission.report.abortable is None
    return submission.task


async def final_answer(connection: Connection, change: Change) -> Answer:
    """Send a change and return what its source answers in the end."""
    async with connection.turn():
        submission = await connection.submit(change)
    if isinstance(submission, Answered):
        return submission.answer
    async with asyncio.timeout(10):
        while (report := await connection.poll(submission.task)).answer is None:
            await asyncio.sleep(0.02)
    return report.answer


@pytest.mark.parametrize("answer", ["sync", "task"])
@pytest.mark.parametrize("name", ["bmc", "node"])
async def test_changed_member_has_the_id_of_its_uri(
    gateway: Gateway, name: str, answer: str
) -> None:
    gateway.mode(name, answer=answer, seconds=0.1, empty_body=False)
    uri = f"/redfish/v1/Systems/{name}.1"
    change = Change(method="PATCH", uri=uri, body={"AssetTag": "7"})
    async with gateway.connections.open(name) as connection:
        final = await final_answer(connection, change)
    assert isinstance(final.body, dict)
    assert (final.body["@odata.id"], final.body["Id"]) == (uri, f"{name}.1")


@pytest.mark.parametrize("name", ["bmc", "node"])
async def test_what_is_made_below_a_member_keeps_its_id(
    gateway: Gateway, name: str
) -> None:
    gateway.mode(name, answer="sync", seconds=0, empty_body=False)
    uri = f"/redfish/v1/Systems/{name}.1/Storage/1/Volumes"
    change = Change(method="POST", uri=uri, body={"RAIDType": "RAID0"})
    async with gateway.connections.open(name) as connection:
        final = await final_answer(connection, change)
    assert isinstance(final.body, dict)
    assert final.body["@odata.id"] == f"{uri}/{final.body['Id']}"


@pytest.mark.parametrize("name", ["bmc", "node"])
async def test_system_shows_what_can_be_aborted(gateway: Gateway, name: str) -> None:
    system = f"/redfish/v1/Systems/{name}.1"
    shown = {"@odata.type": ODATA_TYPE, "AbortableActions": [*ABORTABLE_RESETS]}
    async with gateway.connections.open(name) as connection:
        assert await oem_of(connection, system) == {"Taskfish": shown}
        for other in (f"{system}/Bios", f"/redfish/v1/Managers/{name}.1"):
            assert await oem_of(connection, other) is None


async def test_source_without_tasks_can_abort_nothing(gateway: Gateway) -> None:
    async with gateway.connections.open("bmc") as connection:
        found = await connection.discover()
    assert found.identity.has_tasks
    await gateway.inventory.replace(
        "bmc", [], uuid=None, has_accounts=False, has_tasks=False, task_id="task-1"
    )
    async with gateway.connections.open("bmc", fresh=True) as connection:
        assert connection.plugin.abortable_resets == ()
        oem = await oem_of(connection, "/redfish/v1/Systems/bmc.1")
        shown = {"@odata.type": ODATA_TYPE, "AbortableActions": []}
        assert oem == {"Taskfish": shown}


async def test_device_behind_a_plugin_has_tasks(gateway: Gateway) -> None:
    async with gateway.connections.open("node") as connection:
        assert (await connection.discover()).identity.has_tasks
    async with gateway.connections.open("plugin") as connection:
        assert not (await connection.discover()).identity.has_tasks


@pytest.mark.parametrize("location", ["relative", "task", "none_with_body"])
@pytest.mark.parametrize("name", ["bmc", "node"])
async def test_task_is_paused_and_goes_on(
    gateway: Gateway, name: str, location: str
) -> None:
    gateway.mode(name, location=location)
    async with gateway.connections.open(name) as connection:
        task = await reset(connection, name)
        assert (await connection.poll(task)).pausable
        for _ in range(2):
            await connection.pause(task)
            assert (await connection.poll(task)).state == TaskState.SUSPENDED
        for _ in range(2):
            await connection.resume(task)
            assert (await connection.poll(task)).state == TaskState.RUNNING
    assert len(gateway.emulator.executions(MACHINES[name])) == 1


@pytest.mark.parametrize("name", ["bmc", "node"])
async def test_task_that_cannot_be_paused_says_so(gateway: Gateway, name: str) -> None:
    gateway.mode(name, pausable=False)
    async with gateway.connections.open(name) as connection:
        task = await reset(connection, name)
        assert not (await connection.poll(task)).pausable
        for act in (connection.pause, connection.resume):
            with pytest.raises(PauseRefusedError):
                await act(task)


@pytest.mark.parametrize(
    ("abort", "abortable"),
    [
        ("supported", True),
        ("refused", True),
        ("ignored", True),
        ("unsupported", False),
    ],
)
@pytest.mark.parametrize("location", ["relative", "task", "monitor"])
@pytest.mark.parametrize("name", ["bmc", "node"])
async def test_allow_says_whether_a_task_can_be_aborted(
    gateway: Gateway, name: str, location: str, abort: str, abortable: bool
) -> None:
    gateway.mode(name, abort=abort, location=location)
    async with gateway.connections.open(name) as connection:
        task = await reset(connection, name)
        assert (await connection.poll(task)).abortable is abortable
