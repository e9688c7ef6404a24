"""What every request passes: versions of OData, hostile paths, hosts and headers."""

import base64

import httpx
import pytest
from starlette.types import Message

from api.app import create_app
from tests.api.answers import message_keys
from tests.house import PASSWORD, USER, House
from tests.serving import exchange, served

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/node1.1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HEAD = f"Host: gateway\r\nAuthorization: Basic {LOGIN}\r\nConnection: close\r\n\r\n"


async def sent(house: House, method: str, uri: str, **headers: str) -> httpx.Response:
    """Send a request without a login; `_` in a header's name stands for `-`."""
    named = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    request = house.client.build_request(method, uri, headers=named)
    return await house.client.send(request, auth=None)


@pytest.mark.parametrize("path", [f"{ROOT}/SessionService/Sessions", RESET])
async def test_client_that_goes_before_its_body_ends_is_no_fault(
    house: House, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level("DEBUG", "api.front")
    left: list[Message] = [
        {"type": "http.request", "body": b'{"ResetType":', "more_body": True},
        {"type": "http.disconnect"},
    ]
    answer: list[Message] = []
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "client": ("192.0.2.9", 1),
        "headers": [
            (b"host", b"gateway"),
            (b"content-type", b"application/json"),
            (b"authorization", f"Basic {LOGIN}".encode()),
        ],
    }

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        answer.append(message)

    app = create_app(house.settings, house.temporal)
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    assert answer[0]["status"] == 400
    said = [each for each in caplog.records if each.name == "api.front"]
    assert [(each.levelname, each.exc_info) for each in said] == [("DEBUG", None)]
    assert house.executions("node1") == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "NONSENSE"])
async def test_another_version_of_odata_is_412_before_the_login(
    house: House, method: str
) -> None:
    for uri in ("/redfish", ROOT, f"{ROOT}/$metadata", SYSTEM, RESET, f"{ROOT}/x"):
        answer = await sent(house, method, uri, OData_Version="4.1")
        assert answer.status_code == 412
        if method != "HEAD":
            assert message_keys(answer) == ["HeaderInvalid"]
            assert "OData-Version: 4.0" in answer.text


async def test_what_is_no_version_is_412(house: House) -> None:
    for version in ("", "4", "4.00", "4.0, 4.0", "3.0", "\xe9"):
        answer = await sent(house, "GET", ROOT, OData_Version=version)
        assert answer.status_code == 412
        assert answer.headers["OData-Version"] == "4.0"


async def test_two_versions_are_412(house: House) -> None:
    headers = [("OData-Version", "4.0"), ("OData-Version", "4.1")]
    assert (await house.client.get(ROOT, headers=headers)).status_code == 412


async def test_version_4_and_any_greatest_version_are_served(house: House) -> None:
    headers: list[dict[str, str]] = [
        {},
        {"OData_Version": "4.0"},
        *({"OData_MaxVersion": version} for version in ("4.0", "3.0", "nonsense")),
    ]
    for given in headers:
        answer = await sent(house, "GET", ROOT, **given)
        assert answer.status_code == 200
        assert answer.headers["OData-Version"] == "4.0"


async def test_change_with_another_version_is_not_made(house: House) -> None:
    answer = await house.client.post(
        RESET, json={"ResetType": "On"}, headers={"OData-Version": "4.1"}
    )
    assert answer.status_code == 412
    assert house.emulator.executions() == []


@pytest.mark.parametrize("member", ["node1.1", "bmc1.1"])
async def test_query_that_is_not_known_is_ignored(house: House, member: str) -> None:
    uri = f"{ROOT}/Systems/{member}"
    plain = (await house.client.get(uri)).json()
    for query in ("only", "excerpt", "a=1&a=2", "=", "only=%00", "a=%ff", "?"):
        answer = await house.client.get(f"{uri}?{query}")
        assert answer.status_code == 200
        assert answer.json() == plain


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE"])
async def test_query_of_odata_is_refused_before_any_source_is_asked(
    house: House, method: str
) -> None:
    house.emulator.clear_executions()
    for query in ("$top=1", "%24expand=*", "a=b&$select=Id", "$", "$=", "$filter=%ff"):
        answer = await house.client.request(method, f"{SYSTEM}?{query}")
        assert answer.status_code == 501
    assert house.emulator.report(None, None).requests["node1"] == 0
    assert house.emulator.executions() == []


LOOK_ALIKES = [
    "node1.1%3bx",
    "node1.1;x",
    "node1.1%3f",
    "node1%2e1",
    "n%6fde1.1",
    "node1%EF%BC%8E1",
    "node1%E2%80%A41",
    "%D0%BEode1.1",
    "node1.1%0d%0aX-Injected:%201",
    "node1.1%0a",
    "node1.1%00",
    "node1.1%20",
    "%20node1.1",
    "node1.1%ff",
    "node1.%31",
    "node1..1",
    "..",
    "%2e%2e",
    "..%2fnode1.1",
    "..;%2fnode1.1",
    "%252e%252e",
    "*",
    "node1.*",
    "node1.1,bmc1.1",
]


async def statuses(
    house: House, *requests: tuple[str, str]
) -> dict[tuple[str, str], int]:
    """Send methods and targets byte by byte as they are; return their statuses."""
    async with served(house) as url:
        return {
            (method, target): (
                await exchange(url, f"{method} {target} HTTP/1.1\r\n{HEAD}".encode())
            )[0]
            for method, target in requests
        }


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_name_that_looks_like_a_member_is_none(house: House, method: str) -> None:
    house.emulator.clear_executions()
    requests = [(method, f"{ROOT}/Systems/{member}/Bios") for member in LOOK_ALIKES]
    found = await statuses(house, *requests)
    assert found == dict.fromkeys(requests, 404)
    assert house.emulator.report(None, None).requests["node1"] == 0


async def test_dot_segments_are_404_everywhere(house: House) -> None:
    places = (
        f"{ROOT}/AggregationService/AggregationSources/bmc1",
        f"{ROOT}/TaskService/Tasks/x",
        f"{ROOT}/AccountService/Accounts/x",
        f"{ROOT}/Managers/bmc1.1/RemoteAccountService",
    )
    tails = ("..", "%2e%2e/bmc1.1", ".;/x", "%2F..%2Fbmc1.1")
    requests = [("DELETE", f"{place}/{tail}") for place in places for tail in tails]
    assert await statuses(house, *requests) == dict.fromkeys(requests, 404)


async def test_long_path_is_404_and_not_echoed_whole(house: House) -> None:
    for place in (SYSTEM, f"{ROOT}/TaskService/Tasks", ROOT, ""):
        for length in (300, 2000, 20_000):
            answer = await house.client.get(f"{place}/{'x' * length}")
            assert answer.status_code == 404
            assert len(answer.content) < 8000


async def test_strange_target_is_no_resource_elsewhere(house: House) -> None:
    expected = {
        ("GET", f"http://elsewhere{ROOT}"): 404,
        ("GET", f"https://gateway{ROOT}/Systems"): 404,
        ("OPTIONS", "*"): 404,
        ("CONNECT", "elsewhere:443"): 404,
        ("GET", "/"): 404,
        ("GET", f"{ROOT}?"): 200,
        ("GET", f"{ROOT}/?$"): 501,
    }
    assert await statuses(house, *expected) == expected


async def test_host_of_the_request_is_nowhere_in_the_answer(house: House) -> None:
    hosts = (b"elsewhere", b"[", b"a:b:c", b"a@b", b"a/../b", b"", b"\xe9", b"a?b#c")
    for host in hosts:
        names = {b"Host": host, b"X-Forwarded-Host": b"elsewhere"}
        body = {"ResetType": "On"}
        accepted = await house.client.post(RESET, json=body, headers=names)
        missing = await house.client.get(f"{ROOT}/Nothing", headers=names)
        assert (accepted.status_code, missing.status_code) == (202, 404)
        monitors = f"{ROOT}/TaskService/TaskMonitors/"
        assert accepted.headers["Location"].startswith(monitors)
        for text in (accepted.text, missing.text, accepted.headers["Link"]):
            assert "elsewhere" not in text


@pytest.mark.parametrize(
    "path", ["", "/v1", "/v1/$metadata", "/v1/odata", "/v1/openapi.yaml", "/v1/Systems"]
)
async def test_every_read_says_which_methods_there_are(house: House, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = await house.client.request(method, f"/redfish{path}")
        assert answer.headers["Allow"] == "GET, HEAD"
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "uri",
    ["/redfish", ROOT, f"{ROOT}/$metadata", f"{ROOT}/Systems", SYSTEM, f"{ROOT}/x"],
)
async def test_head_is_a_get_without_its_body(house: House, uri: str) -> None:
    async with served(house) as url, httpx.AsyncClient(auth=(USER, PASSWORD)) as client:
        get = await client.get(f"{url}{uri}")
        head = await client.head(f"{url}{uri}")
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert get.content
    for answer in (get, head):
        del answer.headers["X-Request-Id"]
    assert head.headers == get.headers
