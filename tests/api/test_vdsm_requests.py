"""Redfish.request: changes through VDSM's door, under the id of their call."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from taskfish.redfish.log_resources import AUDIT_ENTRIES
from tests.api.accounts import User, four_users
from tests.api.bulk import AGGREGATES, BOOT_ORDERS, references
from tests.api.bulk import RESET as RESET_MACHINES
from tests.api.sessions import another_api
from tests.api.test_service import without_temporal
from tests.api.vdsm import RESET, VDSM, a_call, a_change, code, post, task_of
from tests.house import METHODS, PASSWORD, SOURCES, TASKS, USER, House

ADMIN = (USER, PASSWORD)
ORDER = {"ResetType": "ForceRestart"}
MANAGER = "/redfish/v1/Managers/bmc1.1/Actions/Manager.Reset"
MACHINES = [RESET.partition("/Actions")[0].replace("node1", f"node{n}") for n in (1, 2)]
GROUP = f"{AGGREGATES}/group/Actions/Aggregate"
RUN_PLAN = "/redfish/v1/TaskService/Actions/Oem/Taskfish.RunPlan"
SET_TAGS = f"{TASKS}/{{}}/Actions/Oem/Taskfish.SetTags"


def plan_of(uri: str) -> dict[str, Any]:
    """Return the plan of one reset."""
    step = {"Name": "restart", "Method": "POST", "Uri": uri, "Body": ORDER}
    return {"Steps": [step]}


OF_MACHINES = {"TargetURIs": references(*MACHINES), **ORDER}
OPERATIONS = [
    (RESET_MACHINES, OF_MACHINES, ["node1", "node2"]),
    (BOOT_ORDERS, {"Systems": references(*MACHINES)}, ["node1", "node2"]),
    (f"{GROUP}.Reset", ORDER, ["node1", "node2"]),
    (f"{GROUP}.SetDefaultBootOrder", {}, ["node1", "node2"]),
    (RUN_PLAN, plan_of(RESET), ["node1"]),
]
"""Where an operation starts, its body, and the machines that get a POST."""


def new_id() -> str:
    return f"rpc-{uuid.uuid4().hex[:8]}"


async def change(house: House, call_id: Any, **request: Any) -> dict[str, Any]:
    """Start a change and return the record of its task."""
    client = request.pop("client", house.client)
    auth = request.pop("auth", httpx.USE_CLIENT_DEFAULT)
    headers = request.pop("headers", None)
    body = a_change(call_id, **request)
    answer = await post(house, body, client=client, auth=auth, headers=headers)
    assert answer["id"] == call_id
    assert "error" not in answer, answer
    found: dict[str, Any] = answer["result"]
    return found


@pytest.fixture(scope="module")
async def users(shared_house: House) -> AsyncIterator[dict[str, User]]:
    """Give two Operators, a ReadOnly account and an Administrator."""
    async with four_users(shared_house) as made:
        yield made


async def test_call_starts_a_task_under_its_id(house: House) -> None:
    house.emulator.set_modes("node1", seconds=2)
    call_id = new_id()
    record = await change(house, call_id, tags=["night", "spm"], timeout=600)
    assert record["id"] == call_id
    assert record["verb"] == "ComputerSystem.Reset"
    assert record["state"] in ("init", "preparing", "running")
    assert (record["result"], record["tag"]) == ("", "night,spm")
    task = await house.ended(task_of(house, record))
    assert task["TaskState"] == "Completed"
    assert task["Oem"]["Taskfish"]["Owner"] == USER
    assert [each.method for each in house.emulator.executions("node1")] == ["POST"]


async def test_number_is_an_id_as_text(house: House) -> None:
    number = int(uuid.uuid4().hex[:8], 16)
    record = await change(house, number)
    assert record["id"] == str(number)
    await house.ended(task_of(house, record))


async def test_deadline_is_kept(house: House) -> None:
    house.emulator.set_modes("node1", hang=True, abort_seconds=0)
    record = await change(house, new_id(), body=ORDER, timeout=1)
    assert (await house.ended(task_of(house, record)))["TaskState"] == "Exception"


async def test_null_id_gets_an_id_of_ours(house: House) -> None:
    record = await change(house, None)
    assert record["id"].startswith("ComputerSystem.Reset-node1.1-")
    await house.ended(task_of(house, record))


async def test_notification_starts_a_task_too(house: House) -> None:
    tag = new_id()
    notification = a_change(0, tags=tag)
    del notification["id"]
    answer = await house.client.post(VDSM, json=notification)
    assert answer.status_code == 204
    listed = await post(house, a_call("Host.getAllTasks", tag=tag))
    (record,) = listed["result"].values()
    assert record["id"].startswith("ComputerSystem.Reset-node1.1-")
    await house.ended(task_of(house, record))


@pytest.mark.parametrize(
    "call_id", ["", "-a", -1, "a b", "a/b", "a:b", "a\r\nX: y", "ä", "a" * 129, 10**200]
)
async def test_id_that_no_task_can_have_is_refused(house: House, call_id: Any) -> None:
    answer = await post(house, a_change(call_id))
    assert answer["error"]["code"] == -32602
    assert answer["id"] == call_id
    assert house.emulator.executions() == []


async def test_id_in_use_is_405(house: House) -> None:
    house.emulator.set_modes("node1", hang=True, abort_seconds=0)
    call_id = new_id()
    await change(house, call_id, body=ORDER)
    found = (await post(house, a_change(call_id, body=ORDER)))["error"]
    assert found["code"] == 405
    assert f"{TASKS}/{call_id}" in found["message"]
    assert found["data"]["status"] == 409


async def test_of_calls_with_one_id_at_once_one_starts(house: House) -> None:
    house.emulator.set_modes("node1", hang=True, abort_seconds=0)
    call_id = new_id()
    sent = [post(house, a_change(call_id, body=ORDER)) for _ in range(4)]
    answers = await asyncio.gather(*sent)
    codes = [each.get("error", {}).get("code") for each in answers]
    assert sorted(codes, key=str) == [405, 405, 405, None]


async def test_batch_starts_each_in_its_order(house: House) -> None:
    first, second = new_id(), new_id()
    batch = [
        a_change(first, tags=first),
        a_change(second, uri=RESET.replace("node1", "node2"), tags=first),
        a_call("Host.getAllTasks", tag=first),
    ]
    one, two, listed = await post(house, batch)
    assert (one["result"]["id"], two["result"]["id"]) == (first, second)
    assert set(listed["result"]) == {first, second}
    for answer in (one, two):
        await house.ended(task_of(house, answer["result"]))


async def test_settings_are_changed_at_once_too(house: House) -> None:
    uri = RESET.partition("/Actions")[0]
    body = {"Boot": {"BootSourceOverrideTarget": "Pxe"}}
    record = await change(house, new_id(), method="PATCH", uri=uri, body=body)
    assert record["verb"] == "ComputerSystem.Update"
    await house.ended(task_of(house, record))


@pytest.fixture
async def group(house: House) -> AsyncIterator[None]:
    """Make an aggregate of two machines."""
    body = {"Id": "group", "Elements": references(*MACHINES)}
    made = await house.client.post(AGGREGATES, json=body)
    assert made.status_code == 201, made.text
    yield
    await house.client.delete(f"{AGGREGATES}/group")


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(("uri", "body", "machines"), OPERATIONS)
async def test_operation_on_several_machines_is_one_task(
    house: House, uri: str, body: dict[str, Any], machines: list[str]
) -> None:
    call_id = new_id()
    record = await change(house, call_id, uri=uri, body=body)
    assert record["id"] == call_id
    assert record["verb"] == uri.rpartition("/")[2]
    task = await house.ended(task_of(house, record))
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    sent = house.emulator.executions()
    assert sorted(each.machine for each in sent) == machines


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(("uri", "body"), [each[:2] for each in OPERATIONS[:4]])
async def test_operation_needs_what_its_request_needs(
    house: House, users: dict[str, User], uri: str, body: dict[str, Any]
) -> None:
    sent = a_change(new_id(), uri, body=body)
    refused = (await post(house, sent, auth=users["reader"]))["error"]
    assert (refused["code"], refused["data"]["status"]) == (405, 403)
    assert house.emulator.executions() == []


async def test_plan_needs_what_its_steps_need(
    house: House, users: dict[str, User]
) -> None:
    for who, uri in (("reader", RESET), ("owner", MANAGER)):
        sent = a_change(new_id(), RUN_PLAN, body=plan_of(uri))
        refused = (await post(house, sent, auth=users[who]))["error"]
        assert (refused["code"], refused["data"]["status"]) == (405, 403)
    assert house.emulator.executions() == []


@pytest.mark.parametrize(
    "uri", [SET_TAGS, SET_TAGS.replace("/TaskService/", "/TaskServic%65/")]
)
async def test_tags_are_not_set_by_a_call(house: House, uri: str) -> None:
    """That becomes no task, however it is written."""
    record = await change(house, new_id())
    ended = task_of(house, record)
    await house.ended(ended)
    sent = a_change(new_id(), uri.format(record["id"]), body={"Tags": ["new"]})
    assert await code(house, sent) == -32602
    assert (await house.task(ended))["Oem"]["Taskfish"].get("Tags", []) == []


async def test_source_is_added_by_a_call(house: House) -> None:
    record = await change(
        house,
        new_id(),
        uri=SOURCES,
        body={
            "Id": "added",
            "HostName": "http://127.0.0.1:9",
            "Links": {"ConnectionMethod": {"@odata.id": f"{METHODS}/Redfish"}},
            "UserName": "admin",
            "Password": "hush-hush",
        },
    )
    assert record["verb"] == "AggregationSource.Create"
    await house.ended(task_of(house, record))


@pytest.mark.parametrize(
    "params",
    [
        {"method": "GET"},
        {"method": "post"},
        {"method": "FROB"},
        {"method": None},
        {"uri": 7},
        {"uri": ""},
        {"uri": "/redfish/v1/Systems"},
        {"uri": "/redfish/v1/AccountService/Accounts"},
        {"uri": "/redfish/v1/SessionService/Sessions"},
        {"uri": f"{SOURCES}/node1", "method": "DELETE"},
        {"uri": AGGREGATES},
        {"uri": f"{GROUP}.AddElements"},
        {"uri": f"{GROUP}.Reset?a=b"},
        {"uri": f"{AGGREGATES}/grö/Actions/Aggregate.Reset"},
        {"uri": "/redfish/v1/TaskService/Actions/TaskService.DeleteAllCompletedTasks"},
        {"uri": f"{RESET}?a=b"},
        {"uri": f"{RESET} "},
        {"uri": f"{RESET}\r\n"},
        {"uri": "/vdsm/jsonrpc"},
        {"uri": f"http://gateway{RESET}"},
        {"body": "text"},
        {"body": []},
        {"tags": "a,b"},
        {"tags": ""},
        {"tags": ["a", ""]},
        {"tags": ["a b"]},
        {"tags": ["a"] * 17},
        {"tags": ["x" * 65]},
        {"tags": {"a": "b"}},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": 1.5},
        {"timeout": "60"},
        {"timeout": True},
        {"timeout": 31_536_001},
        {"conflict": "queue"},
    ],
)
async def test_wrong_parameters_start_nothing(
    house: House, params: dict[str, Any]
) -> None:
    answer = await post(house, a_change(new_id(), **params))
    assert answer["error"]["code"] == -32602
    assert house.emulator.executions() == []


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"uri": RESET.replace("node1", "node7")}, 404),
        ({"uri": RESET.replace("/Systems/", "/Systems/../Systems/")}, 404),
        ({"uri": RESET.replace("node1.1", "node1%2e1")}, 404),
        ({"uri": RESET.replace("Reset", "Explode")}, 400),
        ({"uri": f"{RESET}/{'x' * 2000}"}, 404),
        ({"body": {"ResetType": "Gently"}}, 400),
        ({"body": {"ResetType": 7}}, 400),
        ({"method": "DELETE"}, 405),
        ({"uri": f"{GROUP}.Reset", "body": ORDER}, 404),
        ({"uri": RUN_PLAN, "method": "PATCH"}, 405),
        ({"uri": RUN_PLAN.replace("RunPlan", "Fly")}, 404),
        ({"uri": RESET_MACHINES, "body": ORDER}, 400),
    ],
)
async def test_refused_change_says_what_redfish_says(
    house: House, params: dict[str, Any], status: int
) -> None:
    found = (await post(house, a_change(new_id(), **params)))["error"]
    assert found["code"] == 405
    assert found["data"]["status"] == status
    told = found["data"]["error"]["@Message.ExtendedInfo"][0]["Message"]
    assert found["message"] == told
    assert house.emulator.executions() == []


async def test_change_needs_what_its_request_needs(
    house: House, users: dict[str, User]
) -> None:
    for who, uri in (("reader", RESET), ("owner", MANAGER)):
        sent = a_change(new_id(), uri, body=ORDER)
        answer = await post(house, sent, auth=users[who])
        assert answer["error"]["code"] == 405
        assert answer["error"]["data"]["status"] == 403
    assert house.emulator.executions() == []
    record = await change(house, new_id(), auth=users["owner"])
    task = await house.ended(task_of(house, record))
    assert task["Oem"]["Taskfish"]["Owner"] == users["owner"][0]


async def test_calls_of_a_batch_are_judged_one_by_one(
    house: House, users: dict[str, User]
) -> None:
    mine = await change(house, new_id(), auth=users["owner"])
    await house.ended(task_of(house, mine))
    batch = [
        a_call("Task.clear", 1, taskID=mine["id"]),
        a_call("Task.getInfo", 2, taskID=mine["id"]),
        a_change(new_id()),
    ]
    answers = await post(house, batch, auth=users["reader"])
    statuses = [each.get("error", {}).get("data", {}).get("status") for each in answers]
    assert statuses == [403, None, 403]


async def test_stop_and_clear_are_the_owners_and_managers(
    house: House, users: dict[str, User]
) -> None:
    house.emulator.set_modes("node1", hang=True, abort_seconds=0)
    for who in ("owner", "manager"):
        record = await change(house, new_id(), body=ORDER, auth=users["owner"])
        running = task_of(house, record)
        await house.until(running, "Running")
        stop = a_call("Task.stop", taskID=record["id"])
        assert await code(house, stop, auth=users["stranger"]) == -32000
        assert "error" not in await post(house, stop, auth=users[who])
        assert (await house.ended(running))["TaskState"] == "Cancelled"
        clear = a_call("Task.clear", taskID=record["id"])
        assert await code(house, clear, auth=users["stranger"]) == -32000
        assert "error" not in await post(house, clear, auth=users[who])


async def test_owner_only_mode_holds_for_every_verb(
    house: House, users: dict[str, User]
) -> None:
    async with another_api(house, owner_only=True) as client:
        tag = new_id()
        record = await change(
            house, new_id(), client=client, auth=users["owner"], tags=[tag, "spm"]
        )
        await house.ended(task_of(house, record))

        async def seen(who: str, verb: str, **params: Any) -> bool:
            body = a_call(verb, **params)
            answer = await post(house, body, client=client, auth=users[who])
            return record["id"] in answer["result"]

        for verb, params in (
            ("getAllTasks", {}),
            ("getAllTasks", {"tag": tag}),
            ("getAllTasksInfo", {}),
            ("getAllTasksStatuses", {}),
            ("getJobs", {}),
            ("getJobs", {"job_ids": [record["id"]]}),
        ):
            who_sees = {
                who for who in users if await seen(who, f"Host.{verb}", **params)
            }
            assert who_sees == {"owner", "manager"}, verb
        for verb in ("getInfo", "getStatus", "stop", "revert", "clear"):
            body = a_call(f"Task.{verb}", taskID=record["id"])
            assert await code(house, body, client=client, auth=users["stranger"]) == 401


async def audit_of(
    house: House, request_id: str
) -> list[tuple[str, str, int, str | None]]:
    """Return what the audit log has of a request, the oldest first."""
    answer = await house.client.get(AUDIT_ENTRIES)
    facts = [entry["Oem"]["Taskfish"] for entry in answer.json()["Members"]]
    return [
        (each["Method"], each["TargetResource"], each["StatusCode"], each.get("Task"))
        for each in reversed(facts)
        if each["RequestId"] == request_id and each["Event"] != "Login"
    ]


async def test_audit_log_has_each_change_with_its_task(
    house: House, users: dict[str, User]
) -> None:
    house.emulator.set_modes("node1", hang=True, abort_seconds=0)
    task_id, mark = new_id(), new_id()
    batch = [
        a_change(task_id, body=ORDER),
        a_change(task_id, body=ORDER),
        a_call("Host.getAllTasks", 3),
        a_call("Task.stop", 4, taskID=task_id),
    ]
    clear = a_call("Task.clear", taskID=task_id)
    async with another_api(house) as client:
        for auth, body in (
            (ADMIN, batch),
            (users["stranger"], clear),
            (ADMIN, clear),
        ):
            marked = {"X-Request-Id": mark}
            await post(house, body, client=client, auth=auth, headers=marked)
            if body is batch:
                await house.ended(task_of(house, {"id": task_id}))
    assert await audit_of(house, mark) == [
        ("POST", RESET, 202, task_id),
        ("POST", RESET, 409, None),
        ("DELETE", f"{TASKS}/{task_id}", 202, task_id),
        ("DELETE", f"{TASKS}/{task_id}", 403, task_id),
        ("DELETE", f"{TASKS}/{task_id}", 204, task_id),
    ]


async def test_reads_leave_the_audit_log_as_it_is(house: House) -> None:
    mark = new_id()
    read = a_call("Host.getAllTasks")
    await post(house, [read, read], headers={"X-Request-Id": mark})
    assert await audit_of(house, mark) == []


async def test_secrets_of_a_change_stay_where_they_are(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    uri = "/redfish/v1/Managers/bmc1.1/RemoteAccountService/Accounts"
    body = {"UserName": "new", "Password": "hush-hush", "RoleId": "ReadOnly"}
    caplog.set_level("DEBUG")
    answer = await post(house, a_change(new_id(), uri=uri, body=body))
    assert "hush-hush" not in str(answer)
    assert "hush-hush" not in caplog.text


async def test_request_id_ties_call_and_task(house: House) -> None:
    mark = new_id()
    record = await change(house, new_id(), headers={"X-Request-Id": mark})
    task = await house.ended(task_of(house, record))
    assert task["Oem"]["Taskfish"]["RequestId"] == mark


async def test_session_may_call_too(house: House) -> None:
    login = {"UserName": USER, "Password": PASSWORD}
    made = await house.client.post("/redfish/v1/SessionService/Sessions", json=login)
    headers = {"X-Auth-Token": made.headers["X-Auth-Token"]}
    record = await change(house, new_id(), auth=None, headers=headers)
    await house.ended(task_of(house, record))
    await house.client.delete(made.headers["Location"])


async def test_silent_temporal_is_told_in_every_call(house: House) -> None:
    async with without_temporal(house) as client:
        batch = [
            a_call("Host.getAllTasks", 1),
            a_call("Task.getInfo", 2, taskID="nobody-1"),
            a_change("nobody-1"),
        ]
        answers = await post(house, batch, client=client)
    found = [
        (each["error"]["code"], each["error"]["data"]["status"]) for each in answers
    ]
    assert found == [(-32000, 503), (-32000, 503), (405, 503)]
