"""The emulated Redfish BMC over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from taskfish.redfish.schema import SCHEMA
from tests.plugins.emulator_clients import (
    MIRROR,
    RESET,
    VOLUMES,
    Running,
    Served,
    renewed,
    served,
)

LOGIN = {"UserName": "admin", "Password": "password"}
SESSIONS = "/SessionService/Sessions"
CD = "/Managers/1/VirtualMedia/CD1"


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    async with served(systems=0) as found:
        yield found


@pytest.fixture
async def emulated(running: Running) -> AsyncIterator[Served]:
    async with renewed(running) as found:
        yield found


def modes(emulated: Served, **changes: Any) -> None:
    emulated.emulator.set_modes("bmc1", **changes)


async def crawl(emulated: Served) -> dict[str, httpx.Response]:
    found: dict[str, httpx.Response] = {}
    waiting = ["/redfish/v1"]
    while waiting:
        uri = waiting.pop()
        if uri not in found:
            found[uri] = await emulated.bmc.get(uri)
            waiting += links_of(found[uri].json())
    return found


def links_of(value: Any) -> list[str]:
    if isinstance(value, list):
        return [uri for item in value for uri in links_of(item)]
    if not isinstance(value, dict):
        return []
    own = [value["@odata.id"]] if "@odata.id" in value else []
    return own + [uri for item in value.values() for uri in links_of(item)]


async def test_every_link_leads_to_its_type(emulated: Served) -> None:
    await emulated.bmc.final(await emulated.bmc.post(VOLUMES, MIRROR))
    found = await crawl(emulated)
    assert len(found) > 35
    for uri, answer in found.items():
        kind = SCHEMA.kind_at(uri)
        assert kind is not None
        assert answer.status_code == 200
        body = answer.json()
        assert body["@odata.type"] == SCHEMA.odata_type(kind.type)
        assert body["@odata.id"] == uri
        assert set(answer.headers["Allow"].split(", ")) <= set(kind.allowed)


async def test_reset_is_accepted_then_done(emulated: Served) -> None:
    accepted = await emulated.bmc.reset("ForceOff")
    assert accepted.json()["TaskState"] == "Running"
    assert "TaskStatus" not in accepted.json()
    assert await emulated.bmc.power() == "PoweringOff"
    assert (await emulated.bmc.final(accepted)).status_code == 204
    assert await emulated.bmc.power() == "Off"
    task = (await emulated.bmc.get(accepted.json()["@odata.id"])).json()
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert task["EndTime"] >= task["StartTime"]


async def test_volume_answers_201_with_location(emulated: Served) -> None:
    accepted = await emulated.bmc.post(VOLUMES, MIRROR)
    final = await emulated.bmc.final(accepted)
    assert final.status_code == 201
    created = final.headers["Location"]
    assert (await emulated.bmc.get(created)).json()["Name"] == "mirror"
    task = (await emulated.bmc.get(accepted.json()["@odata.id"])).json()
    assert task["Links"]["CreatedResources"] == [{"@odata.id": created}]
    assert (await emulated.bmc.final(await emulated.bmc.delete(created))).is_success
    assert (await emulated.bmc.get(created)).status_code == 404


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("relative", "/redfish/v1/TaskService/TaskMonitors/0"),
        ("monitor", "/redfish/v1/TaskService/TaskMonitors/0"),
        ("absolute", "{origin}/redfish/v1/TaskService/TaskMonitors/0"),
        ("task", "/redfish/v1/TaskService/Tasks/0"),
        ("foreign", "http://foreign.invalid/redfish/v1/TaskService/TaskMonitors/0"),
        ("none", None),
        ("none_with_body", None),
    ],
)
async def test_location_has_every_form(
    emulated: Served, location: str, expected: str | None
) -> None:
    modes(emulated, location=location)
    accepted = await emulated.bmc.reset("ForceOff")
    origin = emulated.addresses.bmcs[0]
    wanted = expected.format(origin=origin) if expected else None
    assert accepted.headers.get("Location") == wanted
    assert bool(accepted.content) == (location != "none")


async def test_retry_after_is_repeated(emulated: Served) -> None:
    modes(emulated, retry_after="7")
    accepted = await emulated.bmc.reset("ForceOff")
    polled = await emulated.bmc.get(accepted.headers["Location"])
    assert [each.headers["Retry-After"] for each in (accepted, polled)] == ["7", "7"]


async def test_reads_can_be_refused(emulated: Served) -> None:
    accepted = await emulated.bmc.reset("ForceOff")
    modes(emulated, refuse_reads=503)
    assert (await emulated.bmc.get(accepted.headers["Location"])).status_code == 503
    assert (await emulated.bmc.get("/Systems/1")).status_code == 503


async def test_ended_monitor_can_be_removed(emulated: Served) -> None:
    accepted = await emulated.bmc.reset("ForceOff")
    await emulated.bmc.final(accepted)
    monitor = accepted.headers["Location"]
    assert (await emulated.bmc.delete(monitor)).status_code == 204
    assert (await emulated.bmc.get(monitor)).status_code == 404
    assert (await emulated.bmc.get(accepted.json()["@odata.id"])).is_success


async def test_monitor_can_be_read_once(emulated: Served) -> None:
    modes(emulated, one_shot_monitor=True)
    accepted = await emulated.bmc.reset("ForceOff")
    assert (await emulated.bmc.final(accepted)).status_code == 204
    gone = await emulated.bmc.get(accepted.headers["Location"])
    assert gone.status_code == 404
    assert (await emulated.bmc.get(accepted.json()["@odata.id"])).status_code == 200


async def test_failed_task_answers_error(emulated: Served) -> None:
    modes(emulated, fail=True, fail_status=409)
    accepted = await emulated.bmc.post(VOLUMES, MIRROR)
    final = await emulated.bmc.final(accepted)
    assert final.status_code == 409
    assert "OperationFailed" in final.json()["error"]["code"]
    task = (await emulated.bmc.get(accepted.json()["@odata.id"])).json()
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert "TaskAborted" in str(task["Messages"])


async def test_cancelled_monitor_is_gone(emulated: Served) -> None:
    modes(emulated, hang=True)
    accepted = await emulated.bmc.reset("ForceOff")
    monitor = accepted.headers["Location"]
    answer = await emulated.bmc.delete(monitor)
    assert answer.status_code == 202
    assert answer.json()["TaskState"] == "Cancelling"
    assert (await emulated.bmc.final(answer)).status_code == 404
    task = (await emulated.bmc.get(accepted.json()["@odata.id"])).json()
    assert task["TaskState"] == "Cancelled"
    assert emulated.emulator.executions()[0].outcome == "cancelled"


@pytest.mark.parametrize(
    ("abort", "shown", "status"),
    [
        ("supported", "GET, HEAD, DELETE", 202),
        ("ignored", "GET, HEAD, DELETE", 202),
        ("refused", "GET, HEAD, DELETE", 405),
        ("unsupported", "GET, HEAD", 405),
    ],
)
async def test_allow_shows_the_abort_but_for_late_refusals(
    emulated: Served, abort: str, shown: str, status: int
) -> None:
    modes(emulated, abort=abort, hang=True)
    accepted = await emulated.bmc.reset("ForceOff")
    for uri in (accepted.headers["Location"], accepted.json()["@odata.id"]):
        assert (await emulated.bmc.get(uri)).headers["Allow"] == shown
        answer = await emulated.bmc.delete(uri)
        assert answer.status_code == status
        assert answer.headers["Allow"] == ("GET, HEAD" if status == 405 else shown)


async def test_ended_task_can_always_be_removed(emulated: Served) -> None:
    modes(emulated, abort="unsupported")
    accepted = await emulated.bmc.reset("ForceOff")
    await emulated.bmc.final(accepted)
    task = accepted.json()["@odata.id"]
    assert "DELETE" in (await emulated.bmc.get(task)).headers["Allow"]
    assert (await emulated.bmc.delete(task)).status_code == 204


async def test_task_offers_to_suspend_itself(emulated: Served) -> None:
    modes(emulated, pausable=True, seconds=60)
    accepted = await emulated.bmc.reset("ForceOff")
    task = accepted.json()["@odata.id"]
    actions = (await emulated.bmc.get(task)).json()["Actions"]["Oem"]
    suspend, resume = (
        actions[f"#Taskfish.{name}"]["target"] for name in ("Suspend", "Resume")
    )
    assert suspend == f"{task}/Actions/Oem/Taskfish.Suspend"
    for target, state in ((suspend, "Suspended"), (resume, "Running")):
        assert (await emulated.bmc.post(target, {})).status_code == 204
        shown = await emulated.bmc.get(accepted.headers["Location"])
        assert (shown.status_code, shown.json()["TaskState"]) == (202, state)
    refused = await emulated.bmc.get(suspend)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    assert len(emulated.emulator.executions()) == 1


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Taskfish.Suspend"),
        ({"pausable": True}, "Taskfish.Explode"),
        ({"pausable": True, "seconds": 0}, "Taskfish.Suspend"),
    ],
)
async def test_action_that_is_not_offered_is_404(
    emulated: Served, changes: dict[str, Any], name: str
) -> None:
    modes(emulated, **changes)
    task = (await emulated.bmc.reset("ForceOff")).json()["@odata.id"]
    for uri in (f"{task}/Actions/Oem/{name}", f"{task[:-1]}9/Actions/Oem/{name}"):
        assert (await emulated.bmc.post(uri, {})).status_code == 404


@pytest.mark.parametrize("state", ["Service", "Stopping", "Starting", "Suspended"])
async def test_shown_state_is_what_the_mode_says(emulated: Served, state: str) -> None:
    modes(emulated, shows_state=state)
    accepted = await emulated.bmc.reset("ForceOff")
    assert accepted.json()["TaskState"] == state
    assert (await emulated.bmc.final(accepted)).status_code == 204
    task = (await emulated.bmc.get(accepted.json()["@odata.id"])).json()
    assert task["TaskState"] == "Completed"


async def test_service_root_names_the_tasks(emulated: Served) -> None:
    root = (await emulated.bmc.get("/redfish/v1")).json()
    assert (await emulated.bmc.get(root["Tasks"]["@odata.id"])).is_success


async def test_ended_task_can_be_removed(emulated: Served) -> None:
    accepted = await emulated.bmc.reset("ForceOff")
    await emulated.bmc.final(accepted)
    task = accepted.json()["@odata.id"]
    assert (await emulated.bmc.delete(task)).status_code == 204
    assert (await emulated.bmc.get(task)).status_code == 404


async def test_task_list_can_be_hidden(emulated: Served) -> None:
    accepted = await emulated.bmc.reset("ForceOff")
    tasks = "/TaskService/Tasks"
    assert (await emulated.bmc.get(tasks)).json()["Members@odata.count"] == 1
    modes(emulated, task_list=False)
    assert (await emulated.bmc.get(tasks)).json()["Members"] == []
    assert (await emulated.bmc.get(accepted.json()["@odata.id"])).is_success


async def test_refusals_can_be_counted(emulated: Served) -> None:
    modes(emulated, refuse=503, refuse_times=2)
    answers = [await emulated.bmc.reset("ForceOff") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 202]
    assert answers[0].headers["Retry-After"] == "1"
    assert len(emulated.emulator.executions()) == 1


@pytest.mark.parametrize("status", [400, 409, 429, 500])
async def test_refusal_is_redfish_error(emulated: Served, status: int) -> None:
    modes(emulated, refuse=status)
    answer = await emulated.bmc.post(VOLUMES, MIRROR)
    assert answer.status_code == status
    assert answer.json()["error"]["@Message.ExtendedInfo"]
    assert emulated.emulator.executions() == []


async def test_vanished_bmc_drops_connections(emulated: Served) -> None:
    modes(emulated, vanish=True)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await emulated.bmc.get("/Systems/1")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await emulated.bmc.reset("ForceOff")
    modes(emulated, vanish=False)
    assert await emulated.bmc.power() == "On"
    assert emulated.emulator.executions() == []


@pytest.mark.parametrize("answer", ["sync", "task"])
async def test_lost_answer_is_executed(emulated: Served, answer: str) -> None:
    modes(emulated, lose_answer=1, answer=answer)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await emulated.bmc.post(VOLUMES, MIRROR)
    await asyncio.sleep(0.2)
    assert (await emulated.bmc.get(VOLUMES)).json()["Members@odata.count"] == 1
    assert len(emulated.emulator.executions("bmc1", "POST")) == 1
    assert (await emulated.bmc.post(VOLUMES, MIRROR)).is_success


async def test_slow_answer_outlasts_client(emulated: Served) -> None:
    modes(emulated, answer_delay=1.0)
    with pytest.raises(httpx.ReadTimeout):
        await emulated.bmc.http.post(
            f"/redfish/v1{RESET}", json={"ResetType": "ForceOff"}, timeout=0.1
        )
    assert [each.outcome for each in emulated.emulator.executions()] == ["accepted"]


async def test_slow_sync_answers_at_end(emulated: Served) -> None:
    modes(emulated, slow_sync=True)
    asking = asyncio.create_task(emulated.bmc.post(VOLUMES, MIRROR))
    await asyncio.sleep(0.05)
    assert (await emulated.bmc.get(VOLUMES)).json()["Members"] == []
    assert (await asking).status_code == 201


async def test_restart_drops_waiting_request(emulated: Served) -> None:
    modes(emulated, slow_sync=True, hang=True)
    asking = asyncio.create_task(emulated.bmc.post(VOLUMES, MIRROR))
    await asyncio.sleep(0.05)
    emulated.emulator.restart("bmc1")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await asking


@pytest.mark.parametrize(
    ("empty_body", "status"), [(None, 204), (True, 204), (False, 200)]
)
async def test_bodies_follow_mode(
    emulated: Served, empty_body: bool | None, status: int
) -> None:
    modes(emulated, answer="sync", empty_body=empty_body)
    answer = await emulated.bmc.reset("ForceOff")
    assert answer.status_code == status
    assert bool(answer.content) == (status == 200)


async def test_session_token_is_used_up(emulated: Served) -> None:
    login = await emulated.bmc.http.post(
        f"/redfish/v1{SESSIONS}", json=LOGIN, auth=httpx.NetRCAuth(file="/dev/null")
    )
    assert login.status_code == 201
    modes(emulated, token_requests=1)
    headers = {"X-Auth-Token": login.headers["X-Auth-Token"]}
    async with httpx.AsyncClient(
        verify=False, base_url=emulated.addresses.bmcs[0]
    ) as other:
        answers = [
            await other.get("/redfish/v1/Systems", headers=headers) for _ in range(2)
        ]
    assert [answer.status_code for answer in answers] == [200, 401]


async def test_session_can_be_ended(emulated: Served) -> None:
    login = await emulated.bmc.post(SESSIONS, LOGIN)
    session = login.headers["Location"]
    assert (await emulated.bmc.get(session)).json()["UserName"] == "admin"
    assert (await emulated.bmc.delete(session)).status_code == 204
    assert (await emulated.bmc.delete(session)).status_code == 404
    assert emulated.emulator.executions() == []


@pytest.mark.parametrize("headers", [{}, {"X-Auth-Token": "x"}, {"Authorization": "?"}])
async def test_login_is_required(emulated: Served, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(
        verify=False, base_url=emulated.addresses.bmcs[0]
    ) as other:
        assert (await other.get("/redfish/v1", headers=headers)).status_code == 200
        refused = await other.get("/redfish/v1/Systems", headers=headers)
        assert refused.status_code == 401
        modes(emulated, auth_required=False)
        allowed = await other.get("/redfish/v1/Systems", headers=headers)
        assert allowed.status_code == 200


async def test_wrong_password_opens_no_session(emulated: Served) -> None:
    answer = await emulated.bmc.post(SESSIONS, LOGIN | {"Password": "wrong"})
    assert answer.status_code == 401


async def test_stale_etag_is_412(emulated: Served) -> None:
    system = await emulated.bmc.get("/Systems/1")
    headers = {"If-Match": system.headers["ETag"]}
    change = {"AssetTag": "rack 7"}
    first = await emulated.bmc.patch("/Systems/1", change, headers=headers)
    assert first.json()["AssetTag"] == "rack 7"
    second = await emulated.bmc.patch("/Systems/1", change, headers=headers)
    assert second.status_code == 412
    assert len(emulated.emulator.executions()) == 1


async def test_new_account_can_log_in(emulated: Served) -> None:
    account = {"UserName": "guest", "Password": "guest-pass", "RoleId": "ReadOnly"}
    made = await emulated.bmc.post("/AccountService/Accounts", account)
    assert made.status_code == 201
    assert made.json()["Password"] is None
    credentials = ("guest", "guest-pass")
    answer = await emulated.bmc.get("/Systems/1", auth=credentials)
    assert answer.status_code == 200
    assert (await emulated.bmc.delete(made.headers["Location"])).status_code == 204
    assert (await emulated.bmc.get("/Systems/1", auth=credentials)).status_code == 401


@pytest.mark.parametrize(
    "account",
    [
        {},
        {"UserName": "a", "Password": "short", "RoleId": "ReadOnly"},
        {"UserName": "admin", "Password": "long-enough", "RoleId": "ReadOnly"},
        {"UserName": "a", "Password": "long-enough", "RoleId": "King"},
        {"UserName": 1, "Password": "long-enough", "RoleId": "ReadOnly"},
    ],
)
async def test_bad_account_is_refused(
    emulated: Served, account: dict[str, Any]
) -> None:
    answer = await emulated.bmc.post("/AccountService/Accounts", account)
    assert answer.status_code == 400
    assert emulated.emulator.executions() == []


async def test_media_is_inserted_and_ejected(emulated: Served) -> None:
    insert, eject = (f"{CD}/Actions/VirtualMedia.{n}Media" for n in ("Insert", "Eject"))
    assert (await emulated.bmc.post(insert, {})).status_code == 400
    image = {"Image": "http://10.0.0.9/boot.iso"}
    assert (await emulated.bmc.post(insert, image)).status_code == 204
    assert (await emulated.bmc.get(CD)).json()["Inserted"] is True
    assert (await emulated.bmc.post(insert, image)).status_code == 409
    assert (await emulated.bmc.post(eject, {})).status_code == 204
    assert (await emulated.bmc.get(CD)).json()["Image"] is None


async def test_manager_reset_goes_away_and_forgets(emulated: Served) -> None:
    accepted = await emulated.bmc.reset("ForceOff")
    await emulated.bmc.final(accepted)
    reset = "/Managers/1/Actions/Manager.Reset"
    answer = await emulated.bmc.post(reset, {"ResetType": "ForceRestart"})
    assert answer.status_code == 204
    await asyncio.sleep(0.08)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await emulated.bmc.get("/Systems/1")
    await asyncio.sleep(0.1)
    assert await emulated.bmc.power() == "Off"
    gone = await emulated.bmc.get(accepted.json()["@odata.id"])
    assert gone.status_code == 404


@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe", b'"text"', b"[1]", b"null", b"12"]
)
async def test_malformed_body_is_400(emulated: Served, content: bytes) -> None:
    answer = await emulated.bmc.http.post(f"/redfish/v1{RESET}", content=content)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert emulated.emulator.executions() == []


async def test_large_body_is_413(emulated: Served) -> None:
    answer = await emulated.bmc.post(VOLUMES, {"Name": "x" * 1024 * 1024})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "uri", "status", "allow"),
    [
        ("GET", "/redfish/v1/Nothing", 404, None),
        ("POST", "/redfish/v1/Systems/2", 404, None),
        ("GET", "/elsewhere", 404, None),
        ("POST", "/redfish/v1/Systems/1", 405, "GET, HEAD, PATCH"),
        ("DELETE", "/redfish/v1/Systems/1", 405, "GET, HEAD, PATCH"),
        ("GET", f"/redfish/v1{RESET}", 405, "POST"),
        ("PUT", f"/redfish/v1{SESSIONS}", 405, "GET, HEAD, POST"),
        ("FROB", "/redfish/v1/Systems/1", 405, "GET, HEAD, POST, PATCH, PUT, DELETE"),
    ],
)
async def test_wrong_request_is_refused(
    emulated: Served, method: str, uri: str, status: int, allow: str | None
) -> None:
    answer = await emulated.bmc.http.request(method, uri)
    assert answer.status_code == status
    assert answer.headers.get("Allow") == allow
    assert answer.json()["error"]["code"].startswith("Base.")


async def test_head_answers_without_body(emulated: Served) -> None:
    answer = await emulated.bmc.http.head("/redfish/v1/Systems/1")
    assert answer.status_code == 200
    assert answer.headers["ETag"]
    assert answer.content == b""
