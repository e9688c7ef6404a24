"""The emulated ODIM plugin over a real socket."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.plugins.emulator_clients import (
    MIRROR,
    RESET,
    VOLUMES,
    PluginClient,
    Running,
    Served,
    renewed,
    served,
)


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Running]:
    async with served(systems=2, bmcs=0) as found:
        yield found


@pytest.fixture
async def emulated(running: Running) -> AsyncIterator[Served]:
    async with renewed(running) as found:
        yield found


def modes(emulated: Served, **changes: Any) -> None:
    emulated.emulator.set_modes("node1", **changes)


async def test_links_have_plugin_form(emulated: Served) -> None:
    answer = await emulated.plugin.call("GET", "/Systems/1")
    body = answer.json()
    assert body["@odata.id"] == "/ODIM/v1/Systems/1"
    assert body["Actions"]["#ComputerSystem.Reset"]["target"] == f"/ODIM/v1{RESET}"
    assert "/redfish/v1" not in answer.text


async def test_reset_is_followed_at_taskmon(emulated: Served) -> None:
    accepted = await emulated.plugin.reset("ForceOff")
    assert accepted.headers["Location"] == "/taskmon/t1"
    assert accepted.headers["X-Forwarded-For"] == "127.0.0.1"
    assert accepted.json() == {
        "TaskState": "Running",
        "TaskStatus": "OK",
        "PercentComplete": 0,
    }
    final = await emulated.plugin.final(accepted)
    assert final.status_code == 200
    assert "Success" in final.json()["error"]["code"]
    assert emulated.emulator.machines["node1"].power_state == "Off"
    assert emulated.emulator.machines["node2"].power_state == "On"


async def test_volume_comes_and_goes(emulated: Served) -> None:
    links = {"Drives": [{"@odata.id": f"/ODIM/v1{VOLUMES}"[:-7] + "Drives/0"}]}
    body = {"RAIDType": "RAID0", "Links": links}
    final = await emulated.plugin.final(
        await emulated.plugin.call("POST", VOLUMES, body)
    )
    assert final.status_code == 201
    assert final.headers["Location"] == f"/ODIM/v1{VOLUMES}/1"
    assert final.json()["@odata.id"] == f"/ODIM/v1{VOLUMES}/1"
    deleted = await emulated.plugin.final(
        await emulated.plugin.call("DELETE", f"{VOLUMES}/1")
    )
    assert deleted.status_code == 200
    methods = [each.method for each in emulated.emulator.executions("node1")]
    assert methods == ["POST", "DELETE"]


async def test_volume_waits_for_reset(emulated: Served) -> None:
    body = MIRROR | {"@Redfish.OperationApplyTime": "OnReset"}
    accepted = await emulated.plugin.call("POST", VOLUMES, body)
    monitor = accepted.headers["Location"]
    await asyncio.sleep(0.2)
    pending = await emulated.plugin.http.get(monitor)
    assert (pending.status_code, pending.json()["TaskState"]) == (202, "Pending")
    await emulated.plugin.reset("ForceRestart")
    assert (await emulated.plugin.final(accepted)).status_code == 201


async def test_monitor_may_end_with_task(emulated: Served) -> None:
    modes(emulated, monitor_ends_with_task=True)
    final = await emulated.plugin.final(
        await emulated.plugin.call("POST", VOLUMES, MIRROR)
    )
    assert final.status_code == 200
    task = final.json()
    assert task["TaskState"] == "Completed"
    created = f"/ODIM/v1{VOLUMES}/1"
    assert task["Links"]["CreatedResources"] == [{"@odata.id": created}]


async def test_failed_task_is_error_or_task(emulated: Served) -> None:
    modes(emulated, fail=True, fail_status=400)
    accepted = await emulated.plugin.call("POST", VOLUMES, MIRROR)
    final = await emulated.plugin.final(accepted)
    assert final.status_code == 400
    modes(emulated, monitor_ends_with_task=True)
    task = (await emulated.plugin.http.get(accepted.headers["Location"])).json()
    assert task["TaskState"] == "Exception"
    assert "TaskAborted" in str(task["Messages"])


async def test_abort_ends_cancelled(emulated: Served) -> None:
    modes(emulated, hang=True)
    accepted = await emulated.plugin.reset("ForceOff")
    answer = await emulated.plugin.http.delete(accepted.headers["Location"])
    assert answer.status_code == 202
    final = await emulated.plugin.final(accepted)
    assert final.json()["TaskState"] == "Cancelled"
    assert emulated.emulator.machines["node1"].power_state == "On"


async def test_abort_may_be_refused(emulated: Served) -> None:
    modes(emulated, abort="refused")
    accepted = await emulated.plugin.reset("ForceOff")
    answer = await emulated.plugin.http.delete(accepted.headers["Location"])
    assert answer.status_code == 405
    assert (await emulated.plugin.final(accepted)).status_code == 200


@pytest.mark.parametrize(
    ("abort", "shown"),
    [("supported", "GET, HEAD, DELETE"), ("unsupported", "GET, HEAD")],
)
async def test_allow_shows_the_abort(emulated: Served, abort: str, shown: str) -> None:
    modes(emulated, abort=abort, hang=True)
    accepted = await emulated.plugin.reset("ForceOff")
    assert "Allow" not in accepted.headers
    monitor = accepted.headers["Location"]
    found = [await emulated.plugin.http.get(monitor)]
    for name in ("TaskMonitors", "Tasks"):
        found.append(await emulated.plugin.call("GET", f"/TaskService/{name}/0"))
    assert [answer.headers["Allow"] for answer in found] == [shown] * 3
    answer = await emulated.plugin.http.delete(monitor)
    assert answer.status_code == (405 if abort == "unsupported" else 202)


async def test_taskmon_offers_to_suspend_its_task(emulated: Served) -> None:
    modes(emulated, pausable=True, seconds=60, shows_state=None)
    accepted = await emulated.plugin.reset("ForceOff")
    monitor = accepted.headers["Location"]
    http = emulated.plugin.http
    for name, state in (("Suspend", "Suspended"), ("Resume", "Running")):
        actions = (await http.get(monitor)).json()["Actions"]["Oem"]
        target = actions[f"#Taskfish.{name}"]["target"]
        assert target == f"{monitor}/Actions/Oem/Taskfish.{name}"
        assert (await http.post(target, json={})).status_code == 204
        assert (await http.get(monitor)).json()["TaskState"] == state
    assert (await http.get(target)).status_code == 405


async def test_task_of_the_machine_offers_to_suspend_itself(emulated: Served) -> None:
    modes(emulated, pausable=True, seconds=60)
    await emulated.plugin.reset("ForceOff")
    task = (await emulated.plugin.call("GET", "/TaskService/Tasks/0")).json()
    monitor = (await emulated.plugin.call("GET", "/TaskService/TaskMonitors/0")).json()
    assert monitor["Actions"] == task["Actions"]
    target = task["Actions"]["Oem"]["#Taskfish.Suspend"]["target"]
    path = target.removeprefix("/ODIM/v1")
    assert (await emulated.plugin.call("POST", path, {})).status_code == 204
    task = (await emulated.plugin.call("GET", "/TaskService/Tasks/0")).json()
    assert task["TaskState"] == "Suspended"


@pytest.mark.parametrize("monitor", ["t1", "t9"])
async def test_action_that_is_not_offered_is_404(
    emulated: Served, monitor: str
) -> None:
    modes(emulated, hang=True)
    await emulated.plugin.reset("ForceOff")
    target = f"/taskmon/{monitor}/Actions/Oem/Taskfish.Suspend"
    assert (await emulated.plugin.http.post(target, json={})).status_code == 404


async def test_taskmon_shows_what_the_mode_says(emulated: Served) -> None:
    modes(emulated, shows_state="Service")
    accepted = await emulated.plugin.reset("ForceOff")
    assert accepted.json()["TaskState"] == "Service"
    assert (await emulated.plugin.final(accepted)).status_code == 200


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("absolute", "{origin}/taskmon/t1"),
        ("monitor", "/ODIM/v1/TaskService/TaskMonitors/0"),
        ("task", "/ODIM/v1/TaskService/Tasks/0"),
        ("foreign", "http://foreign.invalid/taskmon/t1"),
        ("none", None),
    ],
)
async def test_location_has_every_form(
    emulated: Served, location: str, expected: str | None
) -> None:
    modes(emulated, location=location)
    accepted = await emulated.plugin.reset("ForceOff")
    origin = emulated.addresses.plugin
    wanted = expected.format(origin=origin) if expected else None
    assert accepted.headers.get("Location") == wanted


async def test_machine_monitor_is_proxied(emulated: Served) -> None:
    modes(emulated, location="monitor")
    await emulated.plugin.reset("ForceOff")
    monitor = "/TaskService/TaskMonitors/0"
    assert (await emulated.plugin.call("GET", monitor)).status_code == 202
    await asyncio.sleep(0.2)
    assert (await emulated.plugin.call("GET", monitor)).status_code == 200
    task = (await emulated.plugin.call("GET", "/TaskService/Tasks/0")).json()
    assert task["TaskMonitor"] == f"/ODIM/v1{monitor}"


@pytest.mark.parametrize("name", ["UserName", "Username"])
async def test_session_token_opens_plugin(emulated: Served, name: str) -> None:
    async with httpx.AsyncClient(
        verify=False, base_url=emulated.addresses.plugin
    ) as http:
        login = await http.post(
            "/ODIM/v1/Sessions", json={name: "admin", "Password": "plugin"}
        )
        assert (login.status_code, login.content) == (201, b"")
        http.headers["X-Auth-Token"] = login.headers["X-Auth-Token"]
        client = PluginClient(http)
        assert (await client.call("GET", "/Systems/1")).status_code == 200
        emulated.emulator.set_modes("plugin", token_lifetime=0)
        assert (await client.call("GET", "/Systems/1")).status_code == 401


@pytest.mark.parametrize("path", ["/Status", "/Systems/1", "/validate", "/Managers"])
@pytest.mark.parametrize("auth", [None, ("admin", "wrong"), ("admin", "password")])
async def test_plugin_requires_its_login(
    emulated: Served, path: str, auth: tuple[str, str] | None
) -> None:
    async with httpx.AsyncClient(
        verify=False, base_url=emulated.addresses.plugin, auth=auth
    ) as http:
        assert (await PluginClient(http).call("GET", path)).status_code == 401
        assert (await http.get("/taskmon/t1")).status_code == 401


async def test_validate_tries_bmc_password(emulated: Served) -> None:
    answer = await emulated.plugin.call("POST", "/validate")
    machine = emulated.emulator.machines["node1"]
    assert answer.json() == {
        "ServerIP": "node1",
        "Username": "admin",
        "device_UUID": machine.uuid,
    }
    emulated.plugin.password = "wrong"
    assert (await emulated.plugin.call("POST", "/validate")).status_code == 401
    assert (await emulated.plugin.call("GET", "/Systems/1")).status_code == 401
    assert emulated.emulator.executions() == []


async def test_plugin_says_what_it_is(emulated: Served) -> None:
    http = emulated.plugin.http
    status = await http.request("GET", "/ODIM/v1/Status", json={"Name": ""})
    assert status.json()["Status"]["Available"] == "yes"
    managers = await http.request("GET", "/ODIM/v1/Managers", json={})
    uri = managers.json()["Members"][0]["@odata.id"]
    manager = (await http.request("GET", uri, json={})).json()
    assert manager["ManagerType"] == "Service"
    assert manager["UUID"]
    proxied = (await emulated.plugin.call("GET", "/Managers/1")).json()
    assert proxied["ManagerType"] == "BMC"


async def test_startup_names_subscriptions(emulated: Served) -> None:
    device = {"Address": "node1", "Operation": "add"}
    answer = await emulated.plugin.http.post(
        "/ODIM/v1/Startup", json={"RequestType": "full", "Devices": {"u": device}}
    )
    assert answer.json()["node1"].startswith("/redfish/v1/EventService/Subscriptions/")


async def test_subscription_is_stored_and_removed(emulated: Served) -> None:
    body = {"Destination": "https://client/ev", "Protocol": "Redfish"}
    made = await emulated.plugin.call("POST", "/Subscriptions", body)
    assert made.status_code == 201
    where = made.headers["Location"]
    shown = (
        await emulated.plugin.call("GET", where.removeprefix("/redfish/v1"))
    ).json()
    assert shown["Destination"] == body["Destination"]
    target = {
        "ManagerAddress": "node1",
        "UserName": "admin",
        "Password": base64.b64encode(b"password").decode(),
        "Location": f"https://node1{where}",
    }
    for status in (200, 404):
        answer = await emulated.plugin.http.request(
            "DELETE", "/ODIM/v1/Subscriptions", json=target
        )
        assert answer.status_code == status


async def test_unknown_machine_is_503(emulated: Served) -> None:
    emulated.plugin.address = "node9"
    answer = await emulated.plugin.call("GET", "/Systems/1")
    assert answer.status_code == 503
    assert "CouldNotEstablishConnection" in answer.text


async def test_lost_answer_is_executed(emulated: Served) -> None:
    emulated.emulator.set_modes("plugin", lose_answer=True)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await emulated.plugin.reset("ForceOff")
    assert len(emulated.emulator.executions("node1", "POST")) == 1


@pytest.mark.parametrize("target", ["plugin", "node1"])
async def test_vanished_target_drops_connections(emulated: Served, target: str) -> None:
    emulated.emulator.set_modes(target, vanish=True)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await emulated.plugin.reset("ForceOff")
    assert emulated.emulator.executions() == []
    control = await emulated.plugin.http.get("/emulator/executions")
    assert control.status_code == 200


@pytest.mark.parametrize("target", ["plugin", "node1"])
async def test_restart_forgets_monitors(emulated: Served, target: str) -> None:
    accepted = await emulated.plugin.reset("ForceOff")
    emulated.emulator.restart(target)
    gone = await emulated.plugin.http.get(accepted.headers["Location"])
    assert gone.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ManagerAddress": 5},
        {"ManagerAddress": "node1", "UserName": "admin", "Password": "not base64!"},
        {"ManagerAddress": "node1", "Password": "cGFzc3dvcmQ=", "PostBody": {}},
        {"ManagerAddress": "node1", "Password": "", "PostBody": "bm8ganNvbg=="},
    ],
)
async def test_bad_call_is_refused(emulated: Served, body: dict[str, Any]) -> None:
    answer = await emulated.plugin.http.post(f"/ODIM/v1{RESET}", json=body)
    assert answer.status_code == (400 if body.get("PostBody") != {} else 401)
    assert emulated.emulator.executions() == []


async def test_body_is_required(emulated: Served) -> None:
    answer = await emulated.plugin.http.get("/ODIM/v1/Systems/1")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Nothing", 404),
        ("PUT", "/Systems/1", 405),
        ("GET", "/validate", 405),
        ("POST", "/Status", 405),
    ],
)
async def test_wrong_request_is_refused(
    emulated: Served, method: str, path: str, status: int
) -> None:
    answer = await emulated.plugin.call(method, path)
    assert answer.status_code == status
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/taskmon/t9", "/redfish/v1/Systems/1", "/x"])
async def test_unknown_path_is_404(emulated: Served, path: str) -> None:
    body = {"ManagerAddress": "node1", "UserName": "admin", "Password": "cGFzc3dvcmQ="}
    answer = await emulated.plugin.http.request("GET", path, json=body)
    assert answer.status_code == 404
