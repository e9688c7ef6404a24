"""How tasks of a source are paused and resumed, by what the source offers."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from pydantic import JsonValue

from taskfish.errors import (
    CredentialsRefusedError,
    ForeignUriError,
    PauseRefusedError,
    PluginTaskGoneError,
    PrivilegeMissingError,
    SourceBusyError,
    SourceUnreachableError,
    TaskfishError,
)
from taskfish.plugins.protocol import Plugin
from taskfish.plugins.task_actions import pause_actions
from taskfish.redfish.task import PluginTask, TaskState
from tests.plugins.adapters import behind, connected
from tests.plugins.scripted_service import ScriptedService, http, scripted

TASK = "/redfish/v1/TaskService/Tasks/7"
MONITOR = "/redfish/v1/TaskService/TaskMonitors/7"
BOTH = PluginTask(monitor=MONITOR, task=TASK)
PAUSE = {"target": f"{TASK}/Actions/Oem/Taskfish.Suspend"}
RESUME = {"target": f"{TASK}/Actions/Oem/Taskfish.Resume"}
OFFERED = {"Oem": {"#Taskfish.Suspend": PAUSE, "#Taskfish.Resume": RESUME}}

Act = Callable[[Plugin, PluginTask], Awaitable[None]]


async def pause(plugin: Plugin, task: PluginTask) -> None:
    await plugin.pause(task)


async def resume(plugin: Plugin, task: PluginTask) -> None:
    await plugin.resume(task)


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with scripted() as service:
        service.on(f"GET {TASK}", task("Running"))
        yield service


@pytest.fixture
async def plugin(service: ScriptedService) -> AsyncIterator[Plugin]:
    async with connected(service.url) as plugin:
        yield plugin


def task(state: str, actions: Any = OFFERED, status: int = 200, **more: Any) -> bytes:
    return http(status, {"TaskState": state, "Actions": actions, **more})


def posted(service: ScriptedService) -> list[str]:
    return [line for line in service.lines() if line.startswith("POST")]


@pytest.mark.parametrize(
    ("actions", "found"),
    [
        (OFFERED, True),
        ({"#Task.Pause": PAUSE, "#Task.Resume": RESUME}, True),
        ({"#Task.Pause": PAUSE, "Oem": {"#Vendor.Resume": RESUME}}, True),
        ({"Oem": {"#Taskfish.Suspend": PAUSE}}, False),
        ({"Oem": {"#Taskfish.Resume": RESUME}}, False),
        ({"#Task.Suspended": PAUSE, "#Task.Resume": RESUME}, False),
        ({"#Task.Suspend": {}, "#Task.Resume": RESUME}, False),
        ({"#Task.Suspend": {"target": 7}, "#Task.Resume": RESUME}, False),
        ({"#Task.Suspend": {"target": ""}, "#Task.Resume": RESUME}, False),
        ({"#Task.Suspend": "x", "#Task.Resume": "y"}, False),
        ({"Oem": []}, False),
        ([], False),
        (None, False),
    ],
)
def test_pair_of_actions_is_found_by_name(actions: JsonValue, found: bool) -> None:
    assert (pause_actions({"Actions": actions}) is not None) is found


@pytest.mark.parametrize("body", [None, "text", [], {}])
def test_body_without_actions_offers_nothing(body: JsonValue) -> None:
    assert pause_actions(body) is None


@pytest.mark.parametrize(
    ("act", "state", "target"),
    [(pause, "Running", PAUSE), (resume, "Suspended", RESUME)],
)
async def test_offered_action_is_posted_to(
    service: ScriptedService, plugin: Plugin, act: Act, state: str, target: Any
) -> None:
    service.on(f"GET {TASK}", task(state))
    service.on(f"POST {target['target']}", http(204))
    await act(plugin, BOTH)
    assert posted(service) == [f"POST {target['target']}"]
    assert service.asked[-1].body == {}
    assert f"GET {MONITOR}" not in service.lines()


async def test_monitor_shows_actions_where_there_is_no_task(
    service: ScriptedService, plugin: Plugin
) -> None:
    service.on(f"GET {MONITOR}", task("Running", status=202))
    service.on(f"POST {PAUSE['target']}", http(202))
    for found in (PluginTask(monitor=MONITOR), BOTH):
        await plugin.pause(found)
        service.on(f"GET {TASK}", http(404))
    assert len(posted(service)) == 2


@pytest.mark.parametrize("act", [pause, resume])
@pytest.mark.parametrize("actions", [None, {}, {"Oem": {"#Taskfish.Suspend": PAUSE}}])
async def test_task_that_offers_nothing_gets_no_request(
    service: ScriptedService, plugin: Plugin, actions: JsonValue, act: Act
) -> None:
    service.on(f"GET {TASK}", task("Running", actions))
    with pytest.raises(PauseRefusedError, match="offers no action to"):
        await act(plugin, BOTH)
    assert posted(service) == []


async def test_task_without_a_name_cannot_be_paused(plugin: Plugin) -> None:
    with pytest.raises(PauseRefusedError, match="did not name"):
        await plugin.pause(PluginTask())


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (http(400), PauseRefusedError),
        (http(403), PrivilegeMissingError),
        (http(405), PauseRefusedError),
        (http(409), PauseRefusedError),
        (http(501), PauseRefusedError),
        (http(401), CredentialsRefusedError),
        (http(404), PluginTaskGoneError),
        (http(410), PluginTaskGoneError),
        (http(429), SourceBusyError),
        (http(503, None, Retry_After="4"), SourceBusyError),
        (http(502), SourceUnreachableError),
    ],
)
async def test_refused_pause_is_told_by_its_status(
    service: ScriptedService,
    plugin: Plugin,
    answer: bytes,
    raised: type[TaskfishError],
) -> None:
    service.on(f"POST {PAUSE['target']}", answer)
    with pytest.raises(raised):
        await plugin.pause(BOTH)


@pytest.mark.parametrize(
    ("act", "state", "target"),
    [(pause, "Suspended", PAUSE), (resume, "Running", RESUME)],
)
async def test_refusal_of_what_is_so_already_is_none(
    service: ScriptedService, plugin: Plugin, act: Act, state: str, target: Any
) -> None:
    service.on(f"GET {TASK}", task(state))
    service.on(f"POST {target['target']}", http(409))
    await act(plugin, BOTH)
    service.on(f"POST {target['target']}", http(404))
    with pytest.raises(PluginTaskGoneError):
        await act(plugin, BOTH)


@pytest.mark.parametrize(
    ("shown", "raised"),
    [
        (http(404), PluginTaskGoneError),
        (task("Completed"), PluginTaskGoneError),
        (task("Running", StartTime="2026-01-01T00:00:09Z"), PluginTaskGoneError),
        (http(401), CredentialsRefusedError),
        (http(503), SourceBusyError),
        (http(500), SourceUnreachableError),
        (http(302, None, Location="//elsewhere/x"), ForeignUriError),
    ],
)
async def test_task_that_is_not_there_gets_no_request(
    service: ScriptedService,
    plugin: Plugin,
    shown: bytes,
    raised: type[TaskfishError],
) -> None:
    service.on(f"GET {TASK}", task("Running", StartTime="2026-01-01T00:00:00Z"))
    started = (await plugin.poll(PluginTask(task=TASK))).started
    service.on(f"GET {TASK}", shown)
    with pytest.raises(raised):
        await plugin.pause(BOTH.model_copy(update={"started": started}))
    assert posted(service) == []


async def test_action_on_another_host_gets_no_request(
    service: ScriptedService, plugin: Plugin
) -> None:
    async with scripted() as elsewhere:
        target = {"target": f"{elsewhere.url}{TASK}/pause"}
        actions = {"#Task.Pause": target, "#Task.Resume": target}
        service.on(f"GET {TASK}", task("Running", actions))
        for act in (plugin.pause, plugin.resume):
            with pytest.raises(ForeignUriError):
                await act(BOTH)
        assert elsewhere.connections == 0


async def test_pause_passes_the_limit_of_calls(
    service: ScriptedService, plugin: Plugin
) -> None:
    service.on(f"POST {PAUSE['target']}", http(204))
    async with asyncio.timeout(2):
        async with (
            plugin.turn(1),
            plugin.turn(1),
            plugin.turn(1),
            plugin.turn(1),
        ):
            await plugin.pause(BOTH)


async def test_odim_plugin_gets_the_action_as_a_call_of_its_device(
    service: ScriptedService,
) -> None:
    target = "/ODIM/v1/Taskmon/t1/Actions/Task.Pause"
    actions = {"#Task.Pause": {"target": target}, "#Task.Resume": RESUME}
    service.on("GET /taskmon/t1", task("Running", actions, status=202))
    service.on(f"POST {target}", http(200, {}))
    async with behind(service.url) as plugin:
        await plugin.pause(PluginTask(monitor="/taskmon/t1", instance="127.0.0.1"))
        with pytest.raises(ForeignUriError):
            await plugin.pause(PluginTask(monitor="/taskmon/t1", instance="10.9.9.9"))
    sent = service.asked[-1]
    assert (sent.line, sent.headers["odataid"]) == (f"POST {target}", target)
    assert json.loads(base64.b64decode(sent.body["PostBody"])) == {}
    assert sent.body["ManagerAddress"]


async def test_report_says_whether_a_task_can_be_paused(
    service: ScriptedService, plugin: Plugin
) -> None:
    report = await plugin.poll(PluginTask(task=TASK))
    assert (report.state, report.pausable) == (TaskState.RUNNING, True)
    service.on(f"GET {TASK}", task("Completed"))
    assert (await plugin.poll(PluginTask(task=TASK))).pausable is False
