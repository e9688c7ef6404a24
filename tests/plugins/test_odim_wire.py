"""What the ODIM adapter sends and takes, byte by byte (southbound.md A)."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import JsonValue

from taskfish.errors import (
    AbortRefusedError,
    CredentialsRefusedError,
    ForeignUriError,
    PluginTaskGoneError,
    SourceBusyError,
    SourceUnreachableError,
    TaskfishError,
    UnreadableAnswerError,
)
from taskfish.plugins.protocol import Accepted, Answered, Change
from taskfish.redfish.task import PluginTask, TaskState
from tests.plugins.adapters import ADDRESS, behind
from tests.plugins.scripted_service import ScriptedService, http, scripted

SYSTEM = "/redfish/v1/Systems/1"
VOLUMES = f"{SYSTEM}/Storage/1/Volumes"
RESET_URI = f"{SYSTEM}/Actions/ComputerSystem.Reset"
RESET = Change(method="POST", uri=RESET_URI, body={"ResetType": "ForceRestart"})
CREATE = Change(method="POST", uri=VOLUMES, body={"RAIDType": "RAID1"})
# The worked example of southbound.md A7.
PASSWORD = "UGFzc3cwcmQh"
PLUGIN_BASIC = "Basic cGx1Z2luOnMzY3JldA=="


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with scripted() as service:
        yield service


def post_body(service: ScriptedService) -> Any:
    return json.loads(base64.b64decode(service.asked[-1].body["PostBody"]))


async def test_reset_goes_out_as_odim_sends_it(service: ScriptedService) -> None:
    path = "/ODIM/v1/Systems/1/Actions/ComputerSystem.Reset"
    body: JsonValue = {"TaskState": "Running", "TaskStatus": "OK", "PercentComplete": 0}
    forwarded = {"X_Forwarded_For": "10.42.0.17, 10.0.0.1"}
    service.on(f"POST {path}", http(202, body, Location="/taskmon/t1", **forwarded))
    async with behind(service.url) as plugin:
        submission = await plugin.submit(RESET)
    (asked,) = service.asked
    assert asked.body == {
        "ManagerAddress": ADDRESS,
        "UserName": "admin",
        "Password": PASSWORD,
        "PostBody": "eyJSZXNldFR5cGUiOiJGb3JjZVJlc3RhcnQifQ==",
        "DeviceUUID": "",
        "PluginID": "",
    }
    assert asked.headers["authorization"] == PLUGIN_BASIC
    assert asked.headers["odataid"] == path
    assert asked.headers["content-type"] == "application/json"
    assert isinstance(submission, Accepted)
    assert submission.task == PluginTask(monitor="/taskmon/t1", instance="10.42.0.17")
    assert (submission.report.state, submission.report.percent) == ("Running", 0)


async def test_read_carries_the_device_and_maps_links(service: ScriptedService) -> None:
    body: JsonValue = {
        "@odata.id": "/ODIM/v1/Systems/1",
        "Name": "/ODIM/v1/Systems/1",
        "Bios": {"@odata.id": f"{service.url}/ODIM/v1/Systems/1/Bios"},
        "Actions": {"#ComputerSystem.Reset": {"target": "/ODIM/v1/Systems/1/Reset"}},
        "Oem": {"@odata.id": "/ODIM/v12"},
    }
    service.on("GET /ODIM/v1/Systems/1", http(200, body))
    async with behind(service.url) as plugin:
        answer = await plugin.read(SYSTEM)
    assert service.asked[0].body == {
        "ManagerAddress": ADDRESS,
        "UserName": "admin",
        "Password": PASSWORD,
    }
    assert answer.body == {
        "@odata.id": SYSTEM,
        "Name": "/ODIM/v1/Systems/1",
        "Bios": {"@odata.id": f"{SYSTEM}/Bios"},
        "Actions": {"#ComputerSystem.Reset": {"target": f"{SYSTEM}/Reset"}},
        "Oem": {"@odata.id": "/ODIM/v12"},
    }


async def test_bodies_keep_the_links_that_plugins_expect(
    service: ScriptedService,
) -> None:
    drives: JsonValue = {"Drives": [{"@odata.id": f"{SYSTEM}/Storage/1/Drives/0"}]}
    update = "UpdateService/Actions/UpdateService.SimpleUpdate"
    async with behind(service.url) as plugin:
        await plugin.submit(CREATE.model_copy(update={"body": {"Links": drives}}))
        assert post_body(service) == {"Links": drives}
        image: dict[str, JsonValue] = {"ImageURI": "http://10.0.0.9/redfish/v1/fw.bin"}
        body: JsonValue = {**image, "Targets": [SYSTEM]}
        await plugin.submit(
            Change(method="POST", uri=f"/redfish/v1/{update}", body=body)
        )
        assert post_body(service) == {**image, "Targets": ["/ODIM/v1/Systems/1"]}
        await plugin.submit(Change(method="DELETE", uri=f"{VOLUMES}/2"))
        assert service.asked[-1].body["PostBody"] == ""


async def test_subscriptions_lie_at_the_root_of_the_plugin(
    service: ScriptedService,
) -> None:
    collection = "/redfish/v1/EventService/Subscriptions"
    created = http(201, None, Location="/ODIM/v1/EventService/Subscriptions/7")
    service.on("POST /ODIM/v1/Subscriptions", created)
    service.on("DELETE /ODIM/v1/Subscriptions", http(200))
    async with behind(service.url) as plugin:
        made = await plugin.submit(Change(method="POST", uri=collection, body={}))
        assert service.asked[-1].body["Location"] == ""
        await plugin.submit(Change(method="DELETE", uri=f"{collection}/7"))
    assert isinstance(made, Answered)
    assert made.answer.header("Location") == f"{collection}/7"
    assert service.asked[-1].body["Location"] == f"https://{ADDRESS}{collection}/7"


@pytest.mark.parametrize(
    "answer",
    [http(200), http(201, b""), http(204), http(200, b"OK"), http(206, {"Id": "1"})],
)
async def test_every_2xx_is_good(service: ScriptedService, answer: bytes) -> None:
    service.on("POST /ODIM/v1/Systems/1/Actions/ComputerSystem.Reset", answer)
    async with behind(service.url) as plugin:
        submission = await plugin.submit(RESET)
    assert isinstance(submission, Answered)
    assert submission.answer.succeeded


async def test_plugin_session_is_renewed_after_401(service: ScriptedService) -> None:
    first, second = (
        http(201, None, X_Auth_Token="t1"),
        http(200, None, X_Auth_Token="t2"),
    )
    service.on("POST /ODIM/v1/Sessions", first, second)
    service.on(
        "POST /ODIM/v1/Systems/1/Actions/ComputerSystem.Reset", http(401), http(200)
    )
    async with behind(service.url, plugin_auth="XAuthToken") as plugin:
        assert isinstance(await plugin.submit(RESET), Answered)
    assert service.asked[0].body == {"UserName": "plugin", "Password": "s3cret"}
    tokens = [asked.headers.get("x-auth-token") for asked in service.asked]
    assert tokens == [None, "t1", None, "t2"]


@pytest.mark.parametrize("instance", ["10.42.0.17", "elsewhere", "[::1", "127.0.0.2"])
async def test_unknown_instance_gets_no_request(
    service: ScriptedService, instance: str
) -> None:
    task = PluginTask(monitor="/taskmon/t1", instance=instance)
    async with behind(service.url) as plugin:
        for follow in (plugin.poll, plugin.abort):
            with pytest.raises(ForeignUriError, match="list it in Instances"):
                await follow(task)
    assert service.connections == 0


async def test_host_that_has_no_address_is_unreachable() -> None:
    async with behind("https://no-such-host.invalid") as plugin:
        with pytest.raises(SourceUnreachableError, match="cannot be resolved"):
            await plugin.poll(PluginTask(monitor="/taskmon/t1", instance="10.42.0.17"))


async def test_unnamed_task_is_neither_polled_nor_aborted(
    service: ScriptedService,
) -> None:
    service.on("POST /ODIM/v1/Systems/1/Actions/ComputerSystem.Reset", http(202))
    async with behind(service.url) as plugin:
        submission = await plugin.submit(RESET)
        assert isinstance(submission, Accepted)
        with pytest.raises(PluginTaskGoneError, match="named no task"):
            await plugin.poll(submission.task)
        with pytest.raises(AbortRefusedError):
            await plugin.abort(submission.task)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "options", [{"instances": ("127.0.0.1",)}, {"instances": ("::1", "127.0.0.1")}, {}]
)
async def test_known_instance_is_polled_with_a_body(
    service: ScriptedService, options: dict[str, Any]
) -> None:
    service.on("GET /taskmon/t1", http(202, {"TaskState": "Running"}))
    url = service.url.replace("127.0.0.1", "localhost")
    task = PluginTask(monitor="/taskmon/t1", instance="127.0.0.1")
    async with behind(url, **options) as plugin:
        assert (await plugin.poll(task)).state == TaskState.RUNNING
    assert service.asked[0].headers["host"] == url.removeprefix("http://")
    assert service.asked[0].body["ManagerAddress"] == ADDRESS


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (http(401), CredentialsRefusedError),
        (http(404), UnreadableAnswerError),
        (http(500, {"error": {}}), SourceUnreachableError),
        (http(503), SourceBusyError),
        (http(302, None, Location="http://elsewhere"), UnreadableAnswerError),
    ],
)
async def test_identify_needs_a_plugin_that_knows_the_bmc(
    service: ScriptedService, answer: bytes, raised: type[TaskfishError]
) -> None:
    service.on("POST /ODIM/v1/validate", answer)
    async with behind(service.url) as plugin:
        with pytest.raises(raised):
            await plugin.identify()
