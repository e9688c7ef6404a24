"""What is refused at once: no task is started and no source is asked."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import select, update
from temporalio.client import Client

from taskfish.store.tables import secret_bodies, sources
from tests.api.answers import message_keys
from tests.conftest import KEY
from tests.house import LONGEST_WAIT, PASSWORD, USER, House, open_house
from tests.serving import exchange, served

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/node1.1"
BMC = f"{ROOT}/Systems/bmc1.1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
VOLUMES = f"{SYSTEM}/Storage/1/Volumes"
SOURCES = f"{ROOT}/AggregationService/AggregationSources"
SIMPLE_UPDATE = f"{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate"
RESET_MACHINES = f"{ROOT}/AggregationService/Actions/AggregationService.Reset"
JSON = {"Content-Type": "application/json"}
RESET_BIOS = "/redfish/v1/Systems/bmc1.1/Bios/Actions/Bios.ResetBios"
IMAGE = {"ImageURI": "http://images/1.2.3.bin"}
ON = {"ResetType": "On"}


def requests(house: House) -> int:
    """Return how many requests the emulator has had."""
    return sum(house.emulator.report(None, None).requests.values())


async def started(house: House) -> int:
    """Return how many tasks of this gateway Temporal lists."""
    queue = house.settings.task_queue
    query = f"TaskQueue = '{queue}' AND TaskOperation IS NOT NULL"
    return (await house.temporal.count_workflows(query)).count


@pytest.fixture(scope="module")
async def idle_house(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give a gateway without a worker: what reaches a source then is the API's doing.

    At the end a change is accepted, and is the only one that was started here.
    """
    folder = tmp_path_factory.mktemp("idle_house")
    async with open_house(temporal, folder, KEY) as opened:
        await opened.add_sources()
        await opened.stop_worker()
        async with asyncio.timeout(LONGEST_WAIT):
            while await started(opened) < 4:
                await asyncio.sleep(0.05)
        yield opened
        await opened.reset("node1.1")
        async with asyncio.timeout(LONGEST_WAIT):
            while await started(opened) < 5:
                await asyncio.sleep(0.05)
        assert await started(opened) == 5


@pytest.fixture
async def house(idle_house: House) -> AsyncIterator[House]:
    """Give the gateway, and see that nothing was started and no source asked."""
    before = requests(idle_house), await started(idle_house)
    yield idle_house
    assert (requests(idle_house), await started(idle_house)) == before
    assert idle_house.emulator.executions() == []


@pytest.mark.parametrize(
    "uri",
    [
        "/",
        "/other",
        f"{ROOT}/Nothing",
        f"{ROOT}/Systems/node9.1",
        f"{ROOT}/Systems/nowhere.1",
        f"{ROOT}/Systems/node1.2",
        f"{ROOT}/Systems/node1",
        f"{ROOT}/Systems/node1.",
        f"{ROOT}/Systems/.1",
        f"{ROOT}/Systems/plugin.1",
        f"{ROOT}/Systems/Node1.1",
        f"{ROOT}/Systems/node2.9/Storage",
        f"{ROOT}/UpdateService/FirmwareInventory/node1.NIC",
        f"{ROOT}/TaskService/Tasks/none",
        f"{SOURCES}/none",
        f"{ROOT}/AggregationService/ConnectionMethods/IPMI",
        f"{ROOT}/AggregationService/ConnectionMethods/redfish",
    ],
)
async def test_unknown_uri_is_404_for_reads(house: House, uri: str) -> None:
    response = await house.client.get(uri)
    assert response.status_code == 404
    assert message_keys(response) == ["ResourceMissingAtURI"]


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("POST", f"{ROOT}/Systems/node9.1/Actions/ComputerSystem.Reset"),
        ("POST", f"{ROOT}/Systems/nowhere.1/Actions/ComputerSystem.Reset"),
        ("PATCH", f"{ROOT}/Systems/node1.2"),
        ("DELETE", f"{ROOT}/Systems/bmc2.1/Storage/1/Volumes/1"),
        ("PATCH", f"{ROOT}/Managers/node1.9"),
        ("PATCH", f"{SOURCES}/none"),
        ("DELETE", f"{SOURCES}/none"),
        ("POST", f"{ROOT}/UpdateService/Actions/UpdateService.StartUpdate"),
    ],
)
async def test_unknown_uri_is_404_for_changes(
    house: House, method: str, uri: str
) -> None:
    response = await house.client.request(method, uri, json=ON)
    assert response.status_code == 404
    assert message_keys(response) == ["ResourceMissingAtURI"]


@pytest.mark.parametrize(
    ("method", "uri", "allow"),
    [
        ("POST", ROOT, "GET, HEAD"),
        ("PUT", "/redfish", "GET, HEAD"),
        ("PATCH", f"{ROOT}/$metadata", "GET, HEAD"),
        ("DELETE", f"{ROOT}/Systems", "GET, HEAD"),
        ("POST", f"{ROOT}/Systems", "GET, HEAD"),
        ("POST", f"{ROOT}/TaskService/Tasks", "GET, HEAD"),
        ("POST", f"{ROOT}/TaskService", "GET, HEAD, PATCH"),
        ("PATCH", f"{ROOT}/AggregationService", "GET, HEAD"),
        ("PUT", SOURCES, "GET, HEAD, POST"),
        ("POST", f"{SOURCES}/bmc1", "DELETE, GET, HEAD, PATCH"),
        ("PUT", f"{SOURCES}/bmc1", "DELETE, GET, HEAD, PATCH"),
        ("GET", SIMPLE_UPDATE, "POST"),
        ("DELETE", f"{ROOT}/UpdateService", "GET, HEAD"),
        ("GET", RESET, "POST"),
        ("HEAD", RESET, "POST"),
        ("PATCH", RESET, "POST"),
        ("DELETE", RESET, "POST"),
        ("POST", SYSTEM, "DELETE, GET, HEAD, PATCH, PUT"),
        ("POST", f"{ROOT}/Managers/bmc1.1", "GET, HEAD, PATCH, PUT"),
        ("PATCH", VOLUMES, "GET, HEAD, POST"),
        ("DELETE", VOLUMES, "GET, HEAD, POST"),
        ("POST", f"{SYSTEM}/Bios/Settings", "GET, HEAD, PATCH, PUT"),
        ("DELETE", f"{SYSTEM}/Bios", "GET, HEAD, PATCH, PUT"),
        ("OPTIONS", f"{ROOT}/Systems", "GET, HEAD"),
        ("OPTIONS", SYSTEM, "DELETE, GET, HEAD, PATCH, PUT"),
        ("TRACE", f"{SYSTEM}/Oem/Part", "DELETE, GET, HEAD, PATCH, POST, PUT"),
        ("FAKEMETHODFORTEST", ROOT, "GET, HEAD"),
        ("FAKEMETHODFORTEST", f"{ROOT}/TaskService", "GET, HEAD, PATCH"),
        ("FAKEMETHODFORTEST", SOURCES, "GET, HEAD, POST"),
        ("FAKEMETHODFORTEST", SIMPLE_UPDATE, "POST"),
        ("FAKEMETHODFORTEST", RESET, "POST"),
        ("FAKEMETHODFORTEST", VOLUMES, "GET, HEAD, POST"),
        ("TRACE", f"{ROOT}/TaskService/Tasks", "GET, HEAD"),
    ],
)
async def test_method_that_is_not_there_is_405_with_allow(
    house: House, method: str, uri: str, allow: str
) -> None:
    response = await house.client.request(method, uri, json=ON)
    assert response.status_code == 405
    assert sorted(response.headers["Allow"].split(", ")) == allow.split(", ")
    if method != "HEAD":
        assert message_keys(response) == ["OperationNotAllowed"]


@pytest.mark.parametrize("uri", [f"{ROOT}/Nothing", f"{ROOT}/Systems/node9.1"])
async def test_unknown_method_of_an_unknown_uri_is_404(house: House, uri: str) -> None:
    response = await house.client.request("FAKEMETHODFORTEST", uri)
    assert response.status_code == 404
    assert message_keys(response) == ["ResourceMissingAtURI"]


@pytest.mark.parametrize("path", ["TaskService", "Systems/node1.1"])
async def test_unknown_method_needs_the_login(house: House, path: str) -> None:
    request = house.client.build_request("FAKEMETHODFORTEST", f"{ROOT}/{path}")
    response = await house.client.send(request, auth=None)
    assert response.status_code == 401
    assert "Allow" not in response.headers


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"{", "MalformedJSON"),
        (b'{"ResetType": "On"', "MalformedJSON"),
        (b"{'ResetType': 'On'}", "MalformedJSON"),
        (b'{"ResetType": "On"} {}', "MalformedJSON"),
        (b'\xff\xfe{"ResetType": 1}', "MalformedJSON"),
        (b'{"ResetType": "\xe9"}', "MalformedJSON"),
        (b'{"ResetType": NaN}', "MalformedJSON"),
        (b'{"Delay": -Infinity}', "MalformedJSON"),
        (b'{"ResetType": "On", "Delay": 1e999}', "MalformedJSON"),
        (b'{"ResetType": "On", "Delay": ' + b"9" * 5000 + b"}", "MalformedJSON"),
        (b'{"ResetType": "On", "Note": "\\ud800"}', "MalformedJSON"),
        (b'{"ResetType": "\\ud800"}', "MalformedJSON"),
        (b"[" * 100_000, "MalformedJSON"),
        (b'{"ResetType": "On", "ResetType": "ForceOff"}', "MalformedJSON"),
        (b"[]", "UnrecognizedRequestBody"),
        (b'["ResetType", "On"]', "UnrecognizedRequestBody"),
        (b'"On"', "UnrecognizedRequestBody"),
        (b"null", "UnrecognizedRequestBody"),
        (b"7", "UnrecognizedRequestBody"),
        (b'{"a": ' * 70 + b"1" + b"}" * 70, "UnrecognizedRequestBody"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "UnrecognizedRequestBody"),
    ],
)
async def test_body_that_is_no_json_object_is_400(
    house: House, content: bytes, key: str
) -> None:
    response = await house.client.post(RESET, content=content, headers=JSON)
    assert response.status_code == 400
    assert message_keys(response) == [key]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {**JSON, "Content-Encoding": "gzip"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": 'application/json;odata=x; Charset = "latin-1"'},
        {"Content-Type": "application/json; charset="},
        {"Content-Type": "application/json, text/plain"},
    ],
)
async def test_body_of_another_media_type_is_415(
    house: House, headers: dict[str, str]
) -> None:
    content = json.dumps(ON).encode()
    response = await house.client.post(RESET, content=content, headers=headers)
    assert response.status_code == 415
    assert message_keys(response) == ["HeaderInvalid"]


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", ""])
async def test_empty_body_of_another_media_type_is_415(house: House, kind: str) -> None:
    before = house.executions("bmc1")
    for content in (b"", b" \r\n"):
        response = await house.client.post(
            RESET_BIOS, content=content, headers={"Content-Type": kind}
        )
        assert response.status_code == 415
        assert message_keys(response) == ["HeaderInvalid"]
    assert house.executions("bmc1") == before


@pytest.mark.parametrize("headers", [{}, JSON])
async def test_empty_body_needs_no_media_type(
    house: House, headers: dict[str, str]
) -> None:
    uri = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
    response = await house.client.post(uri, headers=headers)
    assert response.status_code == 400
    assert message_keys(response) == ["ActionParameterMissing"]


@pytest.mark.parametrize(
    ("uri", "body", "key"),
    [
        (RESET, {"ResetType": 1}, "ActionParameterValueTypeError"),
        (RESET, {"ResetType": ["On"]}, "ActionParameterValueTypeError"),
        (RESET, {"ResetType": {}}, "ActionParameterValueTypeError"),
        (RESET, {"ResetType": "Explode"}, "ActionParameterValueNotInList"),
        (RESET, {"ResetType": "on"}, "ActionParameterValueNotInList"),
        (RESET, {"ResetType": ""}, "ActionParameterValueNotInList"),
        # In the schema, but not among the system's AllowableValues.
        (RESET, {"ResetType": "Suspend"}, "ActionParameterValueNotInList"),
        (f"{RESET}2", ON, "ActionNotSupported"),
        (f"{SYSTEM}/Actions/Manager.Reset", {}, "ActionNotSupported"),
        (
            f"{ROOT}/Managers/bmc1.1/Actions/Manager.Reset",
            {"ResetType": "On"},
            "ActionParameterValueNotInList",
        ),
        (VOLUMES, {"RAIDType": 5}, "PropertyValueTypeError"),
        (VOLUMES, {"RAIDType": "RAID9"}, "PropertyValueNotInList"),
        (VOLUMES, {"CapacityBytes": "1"}, "PropertyValueTypeError"),
        (VOLUMES, {"CapacityBytes": -1}, "PropertyValueOutOfRange"),
        (VOLUMES, {"Name": True}, "PropertyValueTypeError"),
        (VOLUMES, {"Links": []}, "PropertyValueTypeError"),
        (VOLUMES, {"Links": {"Drives": "1"}}, "PropertyValueTypeError"),
        (VOLUMES, {"Links": {"Drives": [{}]}}, "PropertyMissing"),
        (SIMPLE_UPDATE, {}, "ActionParameterMissing"),
        (SIMPLE_UPDATE, {"ImageURI": 1}, "ActionParameterValueTypeError"),
        (
            SIMPLE_UPDATE,
            {**IMAGE, "TransferProtocol": "GOPHER"},
            "ActionParameterValueNotInList",
        ),
        (SIMPLE_UPDATE, {**IMAGE, "Targets": {}}, "ActionParameterValueTypeError"),
        (SIMPLE_UPDATE, {**IMAGE, "Targets": [1]}, "ActionParameterValueTypeError"),
        # Three sources, and no word which of them is meant.
        (SIMPLE_UPDATE, IMAGE, "ActionParameterMissing"),
        (SIMPLE_UPDATE, {**IMAGE, "Targets": []}, "ActionParameterMissing"),
    ],
)
async def test_body_against_the_schema_is_400(
    house: House, uri: str, body: object, key: str
) -> None:
    response = await house.client.post(uri, json=body)
    assert response.status_code == 400
    assert message_keys(response) == [key]


async def test_update_of_an_unknown_target_is_refused(house: House) -> None:
    body = {**IMAGE, "Targets": [f"{ROOT}/UpdateService/FirmwareInventory/x.BIOS"]}
    response = await house.client.post(SIMPLE_UPDATE, json=body)
    assert response.status_code in (400, 404)
    assert message_keys(response) == ["ResourceMissingAtURI"]


@pytest.mark.parametrize("value", ["Suspend", "Explode"])
async def test_refusal_names_the_value_and_what_is_allowed(
    house: House, value: str
) -> None:
    """Of all that the schema has, what this very system takes."""
    response = await house.client.post(RESET, json={"ResetType": value})
    info = response.json()["error"]["@Message.ExtendedInfo"][0]
    assert info["MessageArgs"] == [value, "ResetType", "ComputerSystem.Reset"]
    assert "ForceRestart" in info["Resolution"]
    assert "Suspend" not in info["Resolution"]


@pytest.mark.parametrize(
    ("uri", "body", "said"),
    [
        (VOLUMES, {"RAIDType": "RAID9"}, ["RAID0", "RAID10"]),
        (VOLUMES, {"CapacityBytes": -1}, ["at least 0"]),
        (SIMPLE_UPDATE, IMAGE | {"TransferProtocol": "GOPHER"}, ["HTTPS", "SFTP"]),
        (RESET_MACHINES, {"ResetType": "Explode"}, ["ForceRestart"]),
        (RESET_MACHINES, {"BatchSize": -1}, ["at least 0"]),
        (RESET_MACHINES, {"TargetURIs": []}, ["of its elements must be at least 1"]),
    ],
)
async def test_refusal_names_what_the_schema_allows(
    house: House, uri: str, body: object, said: list[str]
) -> None:
    response = await house.client.post(uri, json=body)
    info = response.json()["error"]["@Message.ExtendedInfo"]
    for words in said:
        assert any(words in each["Resolution"] for each in info), info


async def test_every_fault_of_a_body_is_named(house: House) -> None:
    body = {"Name": 1, "RAIDType": "RAID9", "CapacityBytes": -1}
    response = await house.client.post(VOLUMES, json=body)
    assert response.status_code == 400
    assert sorted(message_keys(response)) == [
        "PropertyValueNotInList",
        "PropertyValueOutOfRange",
        "PropertyValueTypeError",
    ]


async def test_long_body_is_413_with_and_without_length(house: House) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (b" " * 65536 for _ in range(20))

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks():
            yield chunk

    whole = await house.client.post(RESET, content=b"".join(chunks()))
    streamed = await house.client.post(RESET, content=stream())
    assert (whole.status_code, streamed.status_code) == (413, 413)
    assert message_keys(whole) == message_keys(streamed) == ["PayloadTooLarge"]


async def test_body_at_the_limit_is_read(house: House) -> None:
    padding = " " * ((1 << 20) - len(json.dumps({"ResetType": "x"})))
    content = json.dumps({"ResetType": "x"}) + padding
    response = await house.client.post(RESET, content=content, headers=JSON)
    assert message_keys(response) == ["ActionParameterValueNotInList"]


@pytest.mark.parametrize(
    "uri",
    [
        ROOT,
        f"{ROOT}/Systems",
        SYSTEM,
        f"{ROOT}/TaskService",
        f"{ROOT}/Nothing",
    ],
)
@pytest.mark.parametrize("query", ["$filter=Id eq '1'", "$expand=.", "$unknown"])
async def test_odata_query_is_501(house: House, uri: str, query: str) -> None:
    response = await house.client.get(f"{uri}?{query}")
    assert response.status_code == 501
    assert message_keys(response) == ["QueryNotSupported"]


async def test_other_query_is_ignored(house: House) -> None:
    response = await house.client.get(f"{ROOT}/Systems?nothing=1")
    assert response.status_code == 200


@asynccontextmanager
async def raw_access(house: House) -> AsyncIterator["RawClient"]:
    """Give a client that sends paths just as they are given."""
    async with served(house) as url:
        yield RawClient(url)


class RawClient:
    """Sends requests that no HTTP library would send."""

    def __init__(self, url: str) -> None:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self._url = url
        self._headers = f"Host: gateway\r\nAuthorization: Basic {login}\r\n"

    async def send(self, method: str, path: str) -> tuple[int, bytes]:
        """Send a request with a good reset in its body; return status and body."""
        content = json.dumps({"ResetType": "ForceRestart"})
        head = (
            f"{method} {path} HTTP/1.1\r\n{self._headers}Connection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return await exchange(self._url, (head + content).encode("latin-1"))


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_ambiguous_path_reaches_no_source(house: House, method: str) -> None:
    action = "Actions/ComputerSystem.Reset"
    paths = [
        f"{ROOT}/Systems/node1.1%2f{action}",
        f"{ROOT}/Systems/node1.1%2F..%2F..%2FSystems%2Fbmc1.1/{action}",
        f"{ROOT}/Systems/node1.1/../bmc1.1/{action}",
        f"{ROOT}/Systems/node1.1/./{action}",
        f"{ROOT}/Systems/node1.1/..",
        f"{ROOT}/Systems/node1.1/%2e%2e/bmc1.1/{action}",
        f"{ROOT}/Systems/node1.1/%2E./bmc1.1/{action}",
        f"{ROOT}/Systems/node1.1//{action}",
        f"{ROOT}//Systems/node1.1/{action}",
        f"/{ROOT}/Systems/node1.1/{action}",
        f"{ROOT}/Systems/node1.1\\..\\bmc1.1/{action}",
        f"{ROOT}/Systems/node1.1%5c{action}",
        f"{ROOT}/Systems/node1.1%00/{action}",
        f"{ROOT}/Systems/node1%2e1/{action}",
        f"{ROOT}/Systems/n%6fde1.1/{action}",
        f"{ROOT}/Systems/node1.1%3f/{action}",
        f"{ROOT}/Systems/node1.1%23/{action}",
        f"http://elsewhere{ROOT}/Systems/node1.1/{action}",
    ]
    async with raw_access(house) as client:
        answers = [await client.send(method, path) for path in paths]
    assert [status for status, _ in answers] == [404] * len(paths)
    assert all(b"ResourceMissingAtURI" in body for _, body in answers)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_uri_longer_than_temporal_keeps_is_400(house: House, method: str) -> None:
    uri = f"{SYSTEM}/Oem/{'x' * 256}"
    response = await house.client.request(method, uri, json={"Password": "a secret"})
    assert response.status_code == 400
    assert message_keys(response) == ["ResourceMissingAtURI"]
    async with house.store.read() as connection:
        kept = await connection.execute(select(secret_bodies))
        assert kept.all() == []


@pytest.fixture
async def silent_source(idle_house: House) -> AsyncIterator[str]:
    """Have bmc1 be known to be silent for two minutes."""
    row = update(sources).where(sources.c.id == "bmc1")
    since = datetime.now(UTC) - timedelta(minutes=2)
    async with idle_house.store.write() as connection:
        await connection.execute(row.values(down_since=since))
    yield BMC
    async with idle_house.store.write() as connection:
        await connection.execute(row.values(down_since=None))


async def test_change_of_a_silent_source_is_503(
    house: House, silent_source: str
) -> None:
    uri = f"{silent_source}/Actions/ComputerSystem.Reset"
    response = await house.client.post(uri, json=ON)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert message_keys(response) == ["CouldNotEstablishConnection"]


@pytest.mark.parametrize(
    "login",
    [
        None,
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"admin").decode(),
        "Basic " + base64.b64encode(b"admin:wrong").decode(),
        "Basic " + base64.b64encode(b"root:gatekeeper").decode(),
        "Basic " + base64.b64encode(b"admin:gatekeeper ").decode(),
        "Basic " + base64.b64encode("admin:gatekeeper\xe9".encode("latin-1")).decode(),
        "Basic " + base64.b64encode("admin:gäte".encode()).decode(),
        "Bearer " + base64.b64encode(b"admin:gatekeeper").decode(),
    ],
)
@pytest.mark.parametrize(
    ("method", "uri"),
    [("POST", RESET), ("GET", SYSTEM), ("DELETE", f"{SOURCES}/bmc1"), ("GET", "/x")],
)
async def test_bad_login_is_401(
    house: House, login: str | None, method: str, uri: str
) -> None:
    headers = {"Authorization": login} if login else {}
    request = house.client.build_request(method, uri, headers=headers, json=ON)
    response = await house.client.send(request, auth=None)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert message_keys(response) == ["AccessUnauthorized"]


async def test_login_is_asked_for_before_the_body_is_read(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    request = house.client.build_request("POST", RESET, content=endless())
    response = await house.client.send(request, auth=None)
    assert response.status_code == 401


async def test_errors_have_the_headers_of_redfish(house: House) -> None:
    responses: list[httpx.Response] = [
        await house.client.get(f"{ROOT}/Nothing"),
        await house.client.post(RESET, content=b"{"),
        await house.client.delete(f"{ROOT}/Systems"),
        await house.client.get(f"{ROOT}//Systems"),
    ]
    for response in responses:
        assert response.headers["OData-Version"] == "4.0"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["Content-Type"] == "application/json"
