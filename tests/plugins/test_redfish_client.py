"""The Redfish adapter against an emulated BMC on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from taskfish.errors import (
    AbortRefusedError,
    AnswerLostError,
    CredentialsRefusedError,
    ForeignUriError,
    PluginTaskGoneError,
    SourceBusyError,
    SourceUnreachableError,
    UnreadableAnswerError,
)
from taskfish.plugins.emulator import Emulator, serve
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.protocol import Accepted, Answered, Change, Plugin
from taskfish.redfish.task import TaskState
from tests.plugins.adapters import accepted, connected, ended
from tests.plugins.scripted_service import http, scripted

SYSTEM = "/redfish/v1/Systems/1"
VOLUMES = f"{SYSTEM}/Storage/1/Volumes"
CREATE = Change(method="POST", uri=VOLUMES, body={"RAIDType": "RAID1"})
RESET = Change(
    method="POST",
    uri=f"{SYSTEM}/Actions/ComputerSystem.Reset",
    body={"ResetType": "ForceRestart"},
)
QUICK = Modes(seconds=0.1, answer="task")


@dataclass
class Bmc:
    """An emulated BMC with an adapter that is connected to it."""

    emulator: Emulator
    url: str
    plugin: Plugin

    def mode(self, **changes: Any) -> None:
        self.emulator.set_modes("bmc1", **changes)

    def changes(self) -> int:
        return len(self.emulator.executions("bmc1", "POST"))


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Emulator, str]]:
    emulator = Emulator(systems=0, bmcs=1, modes=QUICK)
    async with serve(emulator) as addresses:
        yield emulator, addresses.bmcs[0]


@pytest.fixture
async def bmc(served: tuple[Emulator, str]) -> AsyncIterator[Bmc]:
    emulator, url = served
    emulator.reset_modes(QUICK)
    emulator.restart("bmc1")
    emulator.machines["bmc1"].storage.volumes.clear()
    emulator.clear_executions()
    async with connected(url, password="password") as plugin:
        yield Bmc(emulator, url, plugin)


@pytest.mark.parametrize(
    "location", ["relative", "absolute", "monitor", "task", "none_with_body"]
)
async def test_task_is_followed_wherever_its_location_points(
    bmc: Bmc, location: str
) -> None:
    bmc.mode(location=location)
    report = await ended(bmc.plugin, await accepted(bmc.plugin, CREATE))
    assert report.state == TaskState.COMPLETED
    (created,) = report.created
    assert created.startswith(f"{VOLUMES}/")
    assert report.answer is not None
    assert report.answer.status == 201
    assert report.answer.header("Location") == created


async def test_report_shows_progress_and_retry_after(bmc: Bmc) -> None:
    bmc.mode(pause_at=50, retry_after="7")
    submission = await bmc.plugin.submit(CREATE)
    assert isinstance(submission, Accepted)
    assert submission.task.started == submission.report.started is not None
    assert submission.report.retry_after == 7
    await asyncio.sleep(0.1)
    report = await bmc.plugin.poll(submission.task)
    assert (report.state, report.percent) == (TaskState.SUSPENDED, 50)


async def test_answer_without_a_task_is_final(bmc: Bmc) -> None:
    bmc.mode(answer="sync")
    submission = await bmc.plugin.submit(RESET)
    assert isinstance(submission, Answered)
    assert (submission.answer.status, submission.answer.body) == (204, None)


async def test_202_without_location_cannot_be_followed(bmc: Bmc) -> None:
    bmc.mode(location="none", empty_body=True)
    task = await accepted(bmc.plugin, CREATE)
    assert (task.monitor, task.task) == (None, None)
    with pytest.raises(PluginTaskGoneError):
        await bmc.plugin.poll(task)
    with pytest.raises(AbortRefusedError):
        await bmc.plugin.abort(task)


async def test_foreign_location_gets_no_request(bmc: Bmc) -> None:
    async with scripted() as elsewhere:
        bmc.mode(location="foreign", foreign_origin=elsewhere.url)
        task = await accepted(bmc.plugin, CREATE)
        for follow in (bmc.plugin.poll, bmc.plugin.abort):
            with pytest.raises(ForeignUriError):
                await follow(task.model_copy(update={"task": None}))
        assert elsewhere.connections == 0


async def test_second_read_of_a_one_shot_monitor_asks_the_task(bmc: Bmc) -> None:
    bmc.mode(one_shot_monitor=True)
    task = await accepted(bmc.plugin, CREATE)
    first = await ended(bmc.plugin, task)
    again = await bmc.plugin.poll(task)
    assert again.state == first.state == TaskState.COMPLETED
    assert again.created == first.created
    assert again.answer is not None
    assert again.answer.status == 201


async def test_failed_task_keeps_status_and_messages(bmc: Bmc) -> None:
    bmc.mode(fail=True, fail_status=409)
    report = await ended(bmc.plugin, await accepted(bmc.plugin, CREATE))
    assert report.state == TaskState.EXCEPTION
    assert report.answer is not None
    assert report.answer.status == 409
    ids = [message.message_id for message in report.messages]
    assert "TaskEvent.1.0.TaskAborted" in ids


async def test_final_503_of_a_known_task_is_its_end(bmc: Bmc) -> None:
    bmc.mode(fail=True, fail_status=503)
    report = await ended(bmc.plugin, await accepted(bmc.plugin, CREATE))
    assert report.state == TaskState.EXCEPTION


async def test_warning_is_seen_in_the_messages(bmc: Bmc) -> None:
    bmc.mode(warn=True)
    report = await ended(bmc.plugin, await accepted(bmc.plugin, CREATE))
    assert report.state == TaskState.COMPLETED
    assert "Warning" in {message.severity for message in report.messages}


async def test_abort_ends_the_task_as_cancelled(bmc: Bmc) -> None:
    bmc.mode(seconds=30, abort_seconds=0.1)
    task = await accepted(bmc.plugin, CREATE)
    await bmc.plugin.abort(task)
    assert (await bmc.plugin.poll(task)).state == TaskState.CANCELLING
    assert (await ended(bmc.plugin, task)).state == TaskState.CANCELLED


async def test_refused_abort_is_told(bmc: Bmc) -> None:
    bmc.mode(seconds=30, abort="refused")
    task = await accepted(bmc.plugin, CREATE)
    with pytest.raises(AbortRefusedError):
        await bmc.plugin.abort(task)


async def test_restart_of_the_bmc_loses_the_task(bmc: Bmc) -> None:
    task = await accepted(bmc.plugin, CREATE)
    bmc.emulator.restart("bmc1")
    with pytest.raises(PluginTaskGoneError):
        await bmc.plugin.poll(task)
    with pytest.raises(PluginTaskGoneError):
        await bmc.plugin.abort(task)


async def test_recycled_task_id_is_not_our_task(bmc: Bmc) -> None:
    bmc.mode(seconds=30)
    task = await accepted(bmc.plugin, CREATE)
    bmc.emulator.restart("bmc1", reset_ids=True)
    await asyncio.sleep(0.01)
    assert (await accepted(bmc.plugin, CREATE)).monitor == task.monitor
    with pytest.raises(PluginTaskGoneError, match="another task"):
        await bmc.plugin.poll(task)


async def test_abort_ends_no_task_of_others(bmc: Bmc) -> None:
    bmc.mode(seconds=30)
    task = await accepted(bmc.plugin, CREATE)
    bmc.emulator.restart("bmc1", reset_ids=True)
    await asyncio.sleep(0.01)
    other = await accepted(bmc.plugin, CREATE)
    with pytest.raises(PluginTaskGoneError, match="another task"):
        await bmc.plugin.abort(task)
    assert (await bmc.plugin.poll(other)).state == TaskState.RUNNING


async def test_abort_removes_no_task_that_has_ended(bmc: Bmc) -> None:
    bmc.mode(seconds=0)
    task = await accepted(bmc.plugin, CREATE)
    of_others = task.model_copy(update={"monitor": None})
    with pytest.raises(PluginTaskGoneError, match="is over"):
        await bmc.plugin.abort(of_others)
    assert (await bmc.plugin.poll(of_others)).state == TaskState.COMPLETED


async def test_lost_answer_leaves_a_task_to_be_found(bmc: Bmc) -> None:
    bmc.mode(lose_answer=True, seconds=30)
    with pytest.raises(AnswerLostError):
        await bmc.plugin.submit(CREATE)
    assert bmc.changes() == 1
    (listed,) = [listed async for listed in bmc.plugin.list_tasks()]
    assert (listed.method, listed.target) == ("POST", VOLUMES)
    assert listed.report.state == TaskState.RUNNING
    assert (await bmc.plugin.poll(listed.task)).started == listed.task.started


async def test_vanished_bmc_is_unreachable_for_polls(bmc: Bmc) -> None:
    task = await accepted(bmc.plugin, CREATE)
    bmc.mode(vanish=True)
    with pytest.raises(SourceUnreachableError):
        await bmc.plugin.poll(task)
    with pytest.raises(SourceUnreachableError):
        await bmc.plugin.check()


async def test_busy_source_did_nothing(bmc: Bmc) -> None:
    bmc.mode(refuse=503, refuse_times=1)
    with pytest.raises(SourceBusyError) as raised:
        await bmc.plugin.submit(RESET)
    assert raised.value.retry_after == 1
    assert bmc.changes() == 0
    await accepted(bmc.plugin, RESET)


@pytest.mark.parametrize("status", [400, 409, 412, 500, 501])
async def test_refused_change_is_answered(bmc: Bmc, status: int) -> None:
    bmc.mode(refuse=status)
    submission = await bmc.plugin.submit(RESET)
    assert isinstance(submission, Answered)
    assert submission.answer.status == status


async def test_precondition_of_the_caller_is_sent(bmc: Bmc) -> None:
    change = Change(
        method="PATCH",
        uri=SYSTEM,
        body={"AssetTag": "one"},
        headers={"If-Match": 'W/"stale"'},
    )
    submission = await bmc.plugin.submit(change)
    assert isinstance(submission, Answered)
    assert submission.answer.status == 412


async def test_identify_proves_the_credentials(bmc: Bmc) -> None:
    identity = await bmc.plugin.identify()
    assert identity.uuid == bmc.emulator.machines["bmc1"].uuid
    assert (identity.has_accounts, identity.has_tasks) == (True, True)
    assert identity.aggregates
    async with connected(bmc.url, password="wrong") as plugin:
        await plugin.check()
        with pytest.raises(CredentialsRefusedError) as raised:
            await plugin.identify()
        with pytest.raises(CredentialsRefusedError):
            await plugin.submit(RESET)
    assert "wrong" not in str(raised.value)
    assert bmc.changes() == 0


async def test_source_without_credentials_works(bmc: Bmc) -> None:
    bmc.mode(auth_required=False)
    async with connected(bmc.url, user_name=None) as plugin:
        await plugin.identify()
        await accepted(plugin, CREATE)


async def test_session_is_renewed_and_ended(bmc: Bmc) -> None:
    sessions = bmc.emulator.machines["bmc1"].sessions
    bmc.mode(token_requests=2)
    options = {"plugin_auth": "XAuthToken", "password": "password"}
    async with connected(bmc.url, **options) as plugin:
        for _ in range(5):
            assert (await plugin.read(SYSTEM)).status == 200
        task = await accepted(plugin, CREATE)
        await ended(plugin, task)
        assert sessions.by_id
    assert bmc.changes() == 1
    assert not sessions.by_id


async def test_service_root_without_tasks_has_none() -> None:
    async with scripted() as service:
        service.on("GET /redfish/v1", http(200, {"RedfishVersion": "1.6.0"}))
        service.on("GET /redfish/v1/Systems", http(200, {"Members": []}))
        async with connected(service.url) as plugin:
            identity = await plugin.identify()
    assert (identity.has_tasks, identity.has_accounts) == (False, False)


async def test_identify_wants_a_service_root() -> None:
    async with scripted() as service:
        service.on("GET /redfish/v1", http(200, {"hello": "world"}))
        async with connected(service.url) as plugin:
            with pytest.raises(UnreadableAnswerError, match="no Redfish ServiceRoot"):
                await plugin.identify()
