"""The ODIM adapter against an emulated plugin on a real socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from taskfish.errors import (
    AbortRefusedError,
    AnswerLostError,
    CredentialsRefusedError,
    PluginTaskGoneError,
    SourceUnreachableError,
)
from taskfish.plugins.emulator import Emulator, serve
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.protocol import Change, Plugin
from taskfish.redfish.sources import ConnectionMethod
from taskfish.redfish.task import TaskState
from tests.plugins.adapters import accepted, behind, connected_plugin, ended

SYSTEM = "/redfish/v1/Systems/1"
VOLUMES = f"{SYSTEM}/Storage/1/Volumes"
RESET_URI = f"{SYSTEM}/Actions/ComputerSystem.Reset"
RESET = Change(method="POST", uri=RESET_URI, body={"ResetType": "ForceRestart"})
CREATE = Change(method="POST", uri=VOLUMES, body={"RAIDType": "RAID1"})
QUICK = Modes(seconds=0.1, answer="task")
ODIM = ConnectionMethod.ODIM
# The worked example of southbound.md A7.
ADDRESS, PASSWORD = "10.24.0.4", "UGFzc3cwcmQh"
PLUGIN_BASIC = "Basic cGx1Z2luOnMzY3JldA=="


@dataclass
class Behind:
    """An emulated plugin with an adapter for the first machine behind it."""

    emulator: Emulator
    url: str
    plugin: Plugin

    def mode(self, **changes: Any) -> None:
        self.emulator.set_modes("node1", **changes)


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Emulator, str]]:
    emulator = Emulator(1, 0, modes=QUICK, plugin_credentials=("plugin", "s3cret"))
    async with serve(emulator) as addresses:
        yield emulator, addresses.plugin


@pytest.fixture
async def node(served: tuple[Emulator, str]) -> AsyncIterator[Behind]:
    emulator, url = served
    emulator.reset_modes(QUICK)
    emulator.restart("node1")
    emulator.restart("plugin")
    emulator.clear_executions()
    async with behind(url, "node1", "password") as plugin:
        yield Behind(emulator, url, plugin)


@pytest.mark.parametrize("as_task", [False, True])
@pytest.mark.parametrize(
    "location", ["relative", "absolute", "monitor", "task", "none_with_body"]
)
async def test_change_runs_to_its_end(
    node: Behind, location: str, as_task: bool
) -> None:
    node.mode(location=location, monitor_ends_with_task=as_task)
    report = await ended(node.plugin, await accepted(node.plugin, CREATE))
    assert report.state == TaskState.COMPLETED
    assert report.answer is not None
    assert report.answer.status == 201
    (created,) = report.created
    assert created.startswith(f"{VOLUMES}/")
    assert (await node.plugin.read(created)).status == 200


@pytest.mark.parametrize("as_task", [False, True])
async def test_failure_is_an_exception(node: Behind, as_task: bool) -> None:
    node.mode(fail=True, fail_status=409, monitor_ends_with_task=as_task)
    report = await ended(node.plugin, await accepted(node.plugin, CREATE))
    assert report.state == TaskState.EXCEPTION
    assert report.answer is not None
    assert report.answer.status == (500 if as_task else 409)
    assert report.messages


async def test_warning_shows_in_the_messages(node: Behind) -> None:
    node.mode(warn=True, monitor_ends_with_task=True)
    report = await ended(node.plugin, await accepted(node.plugin, CREATE))
    assert report.state == TaskState.COMPLETED
    assert "Warning" in {message.severity for message in report.messages}


async def test_abort_cancels_or_is_refused(node: Behind) -> None:
    node.mode(seconds=30, abort_seconds=0.05)
    task = await accepted(node.plugin, CREATE)
    await node.plugin.abort(task)
    assert (await ended(node.plugin, task)).state == TaskState.CANCELLED
    node.mode(abort="refused")
    with pytest.raises(AbortRefusedError):
        await node.plugin.abort(await accepted(node.plugin, CREATE))


async def test_restarted_plugin_forgets_the_task(node: Behind) -> None:
    task = await accepted(node.plugin, CREATE)
    node.emulator.restart("plugin")
    with pytest.raises(PluginTaskGoneError):
        await node.plugin.poll(task)


async def test_lost_answer_cannot_be_looked_up(node: Behind) -> None:
    node.mode(lose_answer=True)
    with pytest.raises(AnswerLostError):
        await node.plugin.submit(CREATE)
    assert not node.plugin.can_list_tasks
    assert [task async for task in node.plugin.list_tasks()] == []
    assert len(node.emulator.executions("node1", "POST")) == 1


async def test_vanished_plugin_is_unreachable(node: Behind) -> None:
    node.emulator.set_modes("plugin", vanish=True)
    with pytest.raises(SourceUnreachableError):
        await node.plugin.check()


async def test_identify_validates_the_bmc(node: Behind) -> None:
    identity = await node.plugin.identify()
    assert identity.uuid == node.emulator.machines["node1"].uuid
    assert (identity.has_accounts, identity.aggregates) == (True, True)
    async with behind(node.url, "node1", "wrong") as plugin:
        with pytest.raises(CredentialsRefusedError):
            await plugin.identify()


@pytest.mark.parametrize("plugin_auth", ["Basic", "XAuthToken"])
async def test_plugin_itself_has_no_systems(node: Behind, plugin_auth: str) -> None:
    options = {"user_name": "plugin", "plugin_auth": plugin_auth}
    async with connected_plugin(node.url, password="s3cret", **options) as plugin:
        identity = await plugin.identify()
        assert (identity.aggregates, identity.has_accounts) == (False, False)
        assert (await plugin.read("/redfish/v1/Managers")).status == 200
    async with connected_plugin(node.url, password="wrong", **options) as plugin:
        with pytest.raises(CredentialsRefusedError):
            await plugin.identify()
