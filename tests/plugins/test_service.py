"""Credentials, sessions and redirects of one source."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import JsonValue

from taskfish.errors import (
    CredentialsRefusedError,
    ForeignUriError,
    SourceBusyError,
    SourceUnreachableError,
    TaskfishError,
    UnreadableAnswerError,
)
from taskfish.plugins.protocol import Answered, Change
from tests.plugins.adapters import connected
from tests.plugins.scripted_service import ScriptedService, http, scripted

LOGIN = "POST /redfish/v1/SessionService/Sessions"
SESSION = "/redfish/v1/SessionService/Sessions/1"
CHANGE = Change(method="POST", uri="/change", body={"Name": "é"})


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with scripted() as service:
        service.on(LOGIN, http(201, None, X_Auth_Token="t1", Location=SESSION))
        service.on("GET /x", http(200, {"Id": "x"}))
        service.on("POST /change", http(204))
        yield service


async def test_basic_is_sent_with_each_call_but_the_check(
    service: ScriptedService,
) -> None:
    async with connected(service.url, user_name="ad:min", password="pä") as plugin:
        await plugin.read("/x")
        await plugin.check()
    assert service.asked[0].headers["authorization"] == "Basic YWQ6bWluOnDDpA=="
    assert "authorization" not in service.asked[1].headers


async def test_check_wants_a_service_that_is_up(service: ScriptedService) -> None:
    service.on("GET /redfish/v1", http(503), http(401))
    async with connected(service.url) as plugin:
        with pytest.raises(SourceBusyError):
            await plugin.check()
        await plugin.check()


async def test_nothing_is_sent_without_a_user(service: ScriptedService) -> None:
    async with connected(
        service.url, user_name=None, plugin_auth="XAuthToken"
    ) as plugin:
        await plugin.read("/x")
    assert service.lines() == ["GET /x"]
    assert "authorization" not in service.asked[0].headers


async def test_concurrent_calls_share_one_login(service: ScriptedService) -> None:
    async with connected(service.url, plugin_auth="XAuthToken") as plugin:
        await asyncio.gather(*(plugin.read("/x") for _ in range(8)))
    assert service.lines().count(LOGIN) == 1
    assert service.lines()[-1] == f"DELETE {SESSION}"
    assert service.asked[0].body == {"UserName": "admin", "Password": "Passw0rd!"}


async def test_expired_token_is_renewed_once_for_all(service: ScriptedService) -> None:
    second = http(201, None, X_Auth_Token="t2", Location=SESSION)
    service.on(LOGIN, http(201, None, X_Auth_Token="t1"), second)
    async with connected(service.url, plugin_auth="XAuthToken") as plugin:
        await plugin.read("/x")
        service.on("GET /x", http(401), http(401), http(401), http(200, {}))
        await asyncio.gather(*(plugin.read("/x") for _ in range(3)))
    assert service.lines().count(LOGIN) == 2
    assert service.asked[-2].headers["x-auth-token"] == "t2"


async def test_second_401_refuses_the_credentials(service: ScriptedService) -> None:
    service.on("POST /change", http(401))
    async with connected(service.url, plugin_auth="XAuthToken") as plugin:
        with pytest.raises(CredentialsRefusedError, match="rack7 answered 401"):
            await plugin.submit(CHANGE)
    assert service.lines().count("POST /change") == 2
    assert service.lines().count(LOGIN) == 2


async def test_basic_401_is_not_tried_again(service: ScriptedService) -> None:
    service.on("POST /change", http(401))
    async with connected(service.url) as plugin:
        with pytest.raises(CredentialsRefusedError):
            await plugin.submit(CHANGE)
    assert service.lines() == ["POST /change"]


@pytest.mark.parametrize(
    ("login", "raised"),
    [
        (http(401), CredentialsRefusedError),
        (http(400), CredentialsRefusedError),
        (http(403), CredentialsRefusedError),
        (http(503), SourceUnreachableError),
        (http(500), SourceUnreachableError),
        (http(404), UnreadableAnswerError),
        (http(201), UnreadableAnswerError),
        (http(307, None, Location="http://elsewhere/"), UnreadableAnswerError),
    ],
)
async def test_change_is_not_sent_without_a_login(
    service: ScriptedService, login: bytes, raised: type[TaskfishError]
) -> None:
    service.on(LOGIN, login)
    async with connected(service.url, plugin_auth="XAuthToken") as plugin:
        with pytest.raises(raised) as caught:
            await plugin.submit(CHANGE)
    assert "Passw0rd!" not in str(caught.value)
    assert service.lines() == [LOGIN]


async def test_log_out_fails_silently(service: ScriptedService) -> None:
    service.on(LOGIN, http(201, None, X_Auth_Token="t1", Location="http://elsewhere/1"))
    async with connected(service.url, plugin_auth="XAuthToken") as plugin:
        await plugin.read("/x")
    assert service.lines() == [LOGIN, "GET /x"]


async def test_read_follows_three_redirects_at_home(service: ScriptedService) -> None:
    service.on("GET /a/1", http(301, None, Location="2"))
    service.on("GET /a/2", http(307, None, Location=f"{service.url}/a/3"))
    service.on("GET /a/3", http(302, None, Location="/x"))
    async with connected(service.url) as plugin:
        assert (await plugin.read("/a/1")).body == {"Id": "x"}
        service.on("GET /x", http(308, None, Location="/a/1"))
        with pytest.raises(UnreadableAnswerError, match="too often"):
            await plugin.read("/a/1")


async def test_foreign_redirect_gets_no_request(service: ScriptedService) -> None:
    async with scripted() as elsewhere, connected(service.url) as plugin:
        service.on("GET /x", http(302, None, Location=f"{elsewhere.url}/x"))
        with pytest.raises(ForeignUriError) as raised:
            await plugin.read("/x")
        for uri in (f"{elsewhere.url}/x", "//elsewhere/x", "ftp://x", "http://[x"):
            with pytest.raises(ForeignUriError):
                await plugin.read(uri)
        assert elsewhere.connections == 0
    assert "Passw0rd!" not in str(raised.value)


@pytest.mark.parametrize("status", [300, 301, 304, 307])
async def test_change_is_not_redirected(service: ScriptedService, status: int) -> None:
    service.on("POST /change", http(status, None, Location="/x"))
    async with connected(service.url) as plugin:
        with pytest.raises(UnreadableAnswerError):
            await plugin.submit(CHANGE)
    assert service.lines() == ["POST /change"]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (http(503, b"busy", Retry_After="9"), SourceBusyError),
        (http(502, b"<html>"), SourceUnreachableError),
        (http(504), SourceUnreachableError),
    ],
)
async def test_read_of_a_bare_gateway_error_raises(
    service: ScriptedService, answer: bytes, raised: type[TaskfishError]
) -> None:
    service.on("GET /x", answer)
    async with connected(service.url) as plugin:
        with pytest.raises(raised):
            await plugin.read("/x")


@pytest.mark.parametrize("status", [400, 404, 405, 500, 503])
async def test_error_with_a_body_is_an_answer(
    service: ScriptedService, status: int
) -> None:
    error: JsonValue = {"error": {"code": "Base.1.8.GeneralError", "message": "no"}}
    service.on("GET /x", http(status, error))
    service.on("POST /change", http(status, error))
    async with connected(service.url) as plugin:
        read = await plugin.read("/x")
        sent = await plugin.submit(CHANGE)
    assert (read.status, read.body) == (status, error)
    assert isinstance(sent, Answered)
    assert sent.answer == read


async def test_retry_after_tells_busy_from_answered(service: ScriptedService) -> None:
    service.on("POST /change", http(429, None, Retry_After="2"), http(503))
    async with connected(service.url) as plugin:
        with pytest.raises(SourceBusyError) as raised:
            await plugin.submit(CHANGE)
        sent = await plugin.submit(CHANGE)
    assert raised.value.retry_after == 2
    assert isinstance(sent, Answered)
    assert service.asked[0].body == {"Name": "é"}
