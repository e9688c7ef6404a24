"""How the Redfish adapter follows tasks and lists of services that misbehave."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import JsonValue

from taskfish.errors import (
    CredentialsRefusedError,
    ForeignUriError,
    PluginTaskGoneError,
    PrivilegeMissingError,
    SourceBusyError,
    SourceUnreachableError,
    TaskfishError,
    UnreadableAnswerError,
)
from taskfish.plugins.protocol import Plugin
from taskfish.plugins.redfish.client import ALWAYS_READ, MAX_LISTED
from taskfish.redfish.task import PluginTask, TaskState
from tests.plugins.adapters import connected
from tests.plugins.scripted_service import ScriptedService, http, scripted

TASKS = "/redfish/v1/TaskService/Tasks"
MONITOR = "/redfish/v1/TaskService/TaskMonitors/7"
BOTH = PluginTask(monitor=MONITOR, task=f"{TASKS}/7")
ONLY_MONITOR = PluginTask(monitor=MONITOR)
ERROR: JsonValue = {"error": {"code": "Base.1.8.GeneralError", "message": "no"}}


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[ScriptedService]:
    async with scripted() as service:
        yield service


@pytest.fixture
async def service(served: ScriptedService) -> ScriptedService:
    served.script.clear()
    served.asked.clear()
    return served


@pytest.fixture
async def plugin(service: ScriptedService) -> AsyncIterator[Plugin]:
    async with connected(service.url) as plugin:
        yield plugin


def task(state: str, **more: Any) -> bytes:
    kind = {"@odata.type": "#Task.v1_4_3.Task", "@odata.id": f"{TASKS}/7"}
    return http(200, {**kind, "TaskState": state, **more})


@pytest.mark.parametrize(
    ("monitor", "known", "state", "status"),
    [
        # bmcweb's monitor ends with 204 however the task ended.
        (http(204), task("Exception"), "Exception", 500),
        (http(204), task("Cancelled"), "Cancelled", 500),
        (http(204), task("Completed"), "Completed", 204),
        (http(200, {"Id": "1"}), task("Running"), "Completed", 200),
        (http(204), http(500), "Completed", 204),
        (http(400, ERROR), task("Completed"), "Exception", 400),
        (http(400, ERROR), task("Cancelled"), "Cancelled", 400),
        (http(400, ERROR), task("Running"), "Running", None),
        (http(500, ERROR), task("Running"), "Running", None),
        (http(500, ERROR), http(404), "Exception", 500),
        (http(500), task("Exception"), "Exception", 500),
        (http(503), task("Completed"), "Completed", 200),
        (http(404), task("Running"), "Running", None),
        (http(410), task("Killed"), "Killed", 500),
        (http(202, b"wait"), http(500), "Running", None),
        (http(202, {"TaskState": "Completed"}), http(404), "Completed", 200),
        (http(303, None, Location="/v/1"), http(404), "Completed", 200),
    ],
)
async def test_monitor_and_task_are_read_together(
    service: ScriptedService,
    plugin: Plugin,
    monitor: bytes,
    known: bytes,
    state: str,
    status: int | None,
) -> None:
    service.on(f"GET {MONITOR}", monitor)
    service.on(f"GET {TASKS}/7", known)
    service.on("GET /v/1", http(200, {"Id": "1"}))
    report = await plugin.poll(BOTH)
    assert report.state == state
    assert (report.answer.status if report.answer else None) == status


@pytest.mark.parametrize(
    ("monitor", "raised"),
    [
        (http(404), PluginTaskGoneError),
        (http(410), PluginTaskGoneError),
        (http(401), CredentialsRefusedError),
        (http(403), PrivilegeMissingError),
        (http(429), SourceBusyError),
        (http(503, ERROR), SourceBusyError),
        (http(502, ERROR), SourceUnreachableError),
        (http(500, b"oops"), SourceUnreachableError),
        (http(304), UnreadableAnswerError),
        (http(302, None, Location=MONITOR), UnreadableAnswerError),
        (http(302, None, Location="//elsewhere/x"), ForeignUriError),
    ],
)
async def test_monitor_that_says_nothing_raises(
    service: ScriptedService,
    plugin: Plugin,
    monitor: bytes,
    raised: type[TaskfishError],
) -> None:
    service.on(f"GET {MONITOR}", monitor)
    with pytest.raises(raised):
        await plugin.poll(ONLY_MONITOR)


async def test_task_that_cannot_be_read_raises(
    service: ScriptedService, plugin: Plugin
) -> None:
    service.on(f"GET {TASKS}/7", http(503, None, Retry_After="4"))
    with pytest.raises(SourceBusyError) as raised:
        await plugin.poll(PluginTask(task=f"{TASKS}/7"))
    assert raised.value.retry_after == 4
    service.on(f"GET {MONITOR}", http(204))
    service.on(f"GET {TASKS}/7", http(302, None, Location="http://elsewhere/"))
    assert (await plugin.poll(BOTH)).state == TaskState.COMPLETED


async def test_monitor_and_task_both_gone(
    service: ScriptedService, plugin: Plugin
) -> None:
    with pytest.raises(PluginTaskGoneError, match="no task at"):
        await plugin.poll(BOTH)
    assert service.lines() == [f"GET {MONITOR}", f"GET {TASKS}/7"]


async def test_final_answer_takes_messages_and_created_from_the_task(
    service: ScriptedService, plugin: Plugin
) -> None:
    created = http(201, {"Id": "2"}, Location=f"{service.url}/redfish/v1/v/2")
    service.on(f"GET {MONITOR}", created)
    links = {"CreatedResources": [{"@odata.id": "/redfish/v1/v/1"}]}
    messages = [{"MessageId": "A.1.0.Hot", "Message": "Hot", "Severity": "Warning"}]
    service.on(f"GET {TASKS}/7", task("Completed", Links=links, Messages=messages))
    report = await plugin.poll(BOTH)
    assert report.created == ("/redfish/v1/v/1", "/redfish/v1/v/2")
    assert [message.message for message in report.messages] == ["Hot"]
    assert report.answer is not None
    assert report.answer.body == {"Id": "2"}


async def test_silent_monitor_is_filled_from_the_task(
    service: ScriptedService, plugin: Plugin
) -> None:
    service.on(f"GET {MONITOR}", http(202, None, Retry_After="9"))
    service.on(f"GET {TASKS}/7", task("Suspended", PercentComplete=40))
    report = await plugin.poll(BOTH)
    assert (report.state, report.percent) == (TaskState.SUSPENDED, 40)
    assert report.retry_after == 9
    assert (await plugin.poll(ONLY_MONITOR)).state == TaskState.RUNNING


async def test_silent_monitor_keeps_the_end_of_the_task_to_itself(
    service: ScriptedService, plugin: Plugin
) -> None:
    service.on(f"GET {MONITOR}", http(202), http(201, None, Location="/redfish/v1/v"))
    service.on(f"GET {TASKS}/7", task("Completed"))
    assert (await plugin.poll(BOTH)).answer is None
    assert (await plugin.poll(BOTH)).created == ("/redfish/v1/v",)


@pytest.mark.parametrize(
    ("monitor", "known", "abortable"),
    [
        ({"Allow": "GET, DELETE"}, {"Allow": "GET"}, True),
        ({"Allow": "GET"}, {"Allow": "GET, DELETE"}, False),
        ({}, {"Allow": "GET, DELETE"}, True),
        ({}, {"Allow": "GET"}, False),
        ({}, {}, None),
    ],
)
async def test_allow_of_the_monitor_counts_before_the_tasks(
    service: ScriptedService,
    plugin: Plugin,
    monitor: dict[str, str],
    known: dict[str, str],
    abortable: bool | None,
) -> None:
    service.on(f"GET {MONITOR}", http(202, None, **monitor))
    service.on(f"GET {TASKS}/7", http(200, {"TaskState": "Running"}, **known))
    assert (await plugin.poll(BOTH)).abortable is abortable


async def test_start_time_of_another_task_is_noticed(
    service: ScriptedService, plugin: Plugin
) -> None:
    service.on(f"GET {TASKS}/7", task("Running", StartTime="2026-01-01T00:00:00Z"))
    known = PluginTask(task=f"{TASKS}/7")
    report = await plugin.poll(known)
    known = known.model_copy(update={"started": report.started})
    assert (await plugin.poll(known)).state == TaskState.RUNNING
    service.on(f"GET {TASKS}/7", task("Running", StartTime="2026-01-01T00:00:09Z"))
    with pytest.raises(PluginTaskGoneError, match="another task"):
        await plugin.poll(known)


async def test_oversized_final_answer_is_replaced(
    service: ScriptedService, plugin: Plugin
) -> None:
    service.on(f"GET {MONITOR}", http(200, b"x" * (1 << 21)))
    report = await plugin.poll(ONLY_MONITOR)
    assert report.answer is not None
    assert "longer than" in str(report.answer.body)
    service.on("GET /big", http(200, b"x" * (1 << 21)))
    with pytest.raises(UnreadableAnswerError, match="more than"):
        await plugin.read("/big")


async def test_tasks_are_listed_page_by_page(
    service: ScriptedService, plugin: Plugin
) -> None:
    payload = {"HttpOperation": "POST", "TargetUri": f"{service.url}/redfish/v1/x"}
    expanded: JsonValue = {
        "@odata.id": f"{TASKS}/2",
        "TaskState": "Completed",
        "Name": "two",
    }
    service.on(
        f"GET {TASKS}",
        http(
            200,
            {
                "Members": [{"@odata.id": f"{TASKS}/7"}, {"@odata.id": f"{TASKS}/1"}],
                "Members@odata.nextLink": f"{TASKS}?$skip=2",
            },
        ),
    )
    service.on(f"GET {TASKS}?$skip=2", http(200, {"Members": [expanded, "junk", {}]}))
    service.on(f"GET {TASKS}/7", task("Running", Payload=payload, TaskMonitor="/m"))
    listed = [task async for task in plugin.list_tasks()]
    assert [one.task.task for one in listed] == [f"{TASKS}/2", f"{TASKS}/7"]
    assert listed[0].report.answer is not None
    assert (listed[1].method, listed[1].target) == ("POST", "/redfish/v1/x")
    assert (listed[0].name, listed[1].task.monitor) == ("two", "/m")


async def test_of_many_tasks_the_first_and_the_last_are_listed(
    service: ScriptedService, plugin: Plugin
) -> None:
    many: list[JsonValue] = [
        {"@odata.id": f"{TASKS}/{number}", "TaskState": "Running"}
        for number in range(3 * MAX_LISTED)
    ]
    service.on(f"GET {TASKS}", http(200, {"Members": many}))
    listed = [task async for task in plugin.list_tasks()]
    assert len(listed) == MAX_LISTED
    assert listed[0].task.task == f"{TASKS}/{3 * MAX_LISTED - 1}"
    assert listed[-1].task.task == f"{TASKS}/0"


async def test_settled_tasks_are_not_read_again_but_for_the_newest(
    service: ScriptedService, plugin: Plugin
) -> None:
    uris = [f"{TASKS}/{number}" for number in range(3 * ALWAYS_READ)]
    members: list[JsonValue] = [{"@odata.id": uri} for uri in uris]
    service.on(f"GET {TASKS}", http(200, {"Members": members}))
    for uri in (*uris[:ALWAYS_READ], uris[7], *uris[-ALWAYS_READ:]):
        service.on(f"GET {uri}", task("Running"))
    settled = set(uris) - {uris[7]}
    listed = [one.task.task async for one in plugin.list_tasks(settled)]
    assert listed == [*uris[-1:-6:-1], uris[7], *uris[4::-1]]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (http(200, {"Members@odata.nextLink": "http://elsewhere/x"}), ForeignUriError),
        (http(500, ERROR), SourceUnreachableError),
        (http(503), SourceBusyError),
        (http(401), CredentialsRefusedError),
    ],
)
async def test_list_that_cannot_be_read_raises(
    service: ScriptedService,
    plugin: Plugin,
    answer: bytes,
    raised: type[TaskfishError],
) -> None:
    service.on(f"GET {TASKS}", answer)
    with pytest.raises(raised):
        [task async for task in plugin.list_tasks()]


async def test_missing_or_endless_list_ends(
    service: ScriptedService, plugin: Plugin
) -> None:
    assert [task async for task in plugin.list_tasks()] == []
    service.on(f"GET {TASKS}", http(200, {"Members@odata.nextLink": TASKS}))
    assert [task async for task in plugin.list_tasks()] == []
