"""The cookie that logs a browser in: from where it lets in what."""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import httpx
import pytest
from fastapi import Request
from fastapi.responses import Response

from api.login_cookies import COOKIE, clear_login_cookie, set_login_cookie
from tests.api.answers import message_keys
from tests.api.sessions import (
    SESSION_SERVICE,
    SESSIONS,
    SYSTEMS,
    another_api,
    forget_sessions,
    token_of,
)
from tests.house import PASSWORD, USER, House

ADMIN = (USER, PASSWORD)
OWN = {"Origin": "http://gateway"}
WEB_UI = "http://127.0.0.1:8233"
RESETS = (
    f"{SYSTEMS}/bmc1.1/Actions/ComputerSystem.Reset",
    f"{SYSTEMS}/bmc1.1/Bios/Actions/Bios.ResetBios",
)
PAYLOADS = {"payloads": [{"metadata": {}, "data": ""}]}


@pytest.fixture
async def client(shared_house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give a browser that is logged in by a cookie."""
    async with another_api(shared_house, temporal_ui_origin=WEB_UI) as opened:
        token = await token_of(opened, ADMIN)
        opened.cookies.set(COOKIE, token["X-Auth-Token"])
        yield opened
    await forget_sessions(shared_house)


async def test_cookie_reads_from_anywhere(client: httpx.AsyncClient) -> None:
    for headers in ({}, OWN, {"Origin": WEB_UI}):
        answer = await client.get(SYSTEMS, headers=headers)
        assert answer.status_code == 200
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_cookie_changes_from_our_own_pages_only(
    client: httpx.AsyncClient,
) -> None:
    body = {"SessionTimeout": 600}
    for headers in (
        *([], [("Origin", "null")], [("Origin", "")], [("Origin", WEB_UI)]),
        *([("Origin", f"http://gateway{end}")] for end in (":81", "/", ".example")),
        [("Origin", "https://gateway")],
        [("Origin", "http://gateway"), ("Origin", WEB_UI)],
    ):
        refused = await client.patch(SESSION_SERVICE, json=body, headers=headers)
        assert refused.status_code == 403
        assert message_keys(refused) == ["InsufficientPrivilege"]
    changed = await client.patch(SESSION_SERVICE, json=body, headers=OWN)
    assert changed.status_code == 200


@pytest.mark.parametrize("kind", ["password", "token", "both"])
async def test_no_login_lets_another_site_change_anything(
    client: httpx.AsyncClient, shared_house: House, kind: str
) -> None:
    before = shared_house.executions("bmc1")
    token = {} if kind == "password" else await token_of(client, ADMIN)
    auth = ADMIN if kind != "token" else httpx.USE_CLIENT_DEFAULT
    client.cookies.clear()
    for origin in ("https://evil.example", "null", "", WEB_UI, "https://gateway"):
        for uri in RESETS:
            headers = {**token, "Origin": origin}
            refused = await client.post(uri, auth=auth, headers=headers)
            assert refused.status_code == 403
            assert message_keys(refused) == ["InsufficientPrivilege"]
    assert shared_house.executions("bmc1") == before


async def test_password_and_token_change_without_an_origin_or_with_our_own(
    client: httpx.AsyncClient,
) -> None:
    body = {"SessionTimeout": 600}
    token = await token_of(client, ADMIN)
    client.cookies.clear()
    for origin in ({}, OWN):
        by_token = await client.patch(
            SESSION_SERVICE, json=body, headers={**token, **origin}
        )
        by_password = await client.patch(
            SESSION_SERVICE, json=body, headers=origin, auth=ADMIN
        )
        assert (by_token.status_code, by_password.status_code) == (200, 200)


async def test_reads_by_password_do_not_ask_for_the_origin(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Origin": "https://evil.example"}
    answer = await client.get(SYSTEMS, headers=headers, auth=ADMIN)
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_who_is_not_logged_in_is_told_so_wherever_from(
    client: httpx.AsyncClient,
) -> None:
    client.cookies.clear()
    answer = await client.post(RESETS[0], headers={"Origin": "https://evil.example"})
    assert answer.status_code == 401


async def test_web_ui_uses_the_codec_and_nothing_else(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Origin": WEB_UI}
    other = {"Origin": "http://127.0.0.1:8234"}
    for auth in (httpx.USE_CLIENT_DEFAULT, ADMIN):
        ours = await client.post(
            "/codec/decode", json=PAYLOADS, headers=headers, auth=auth
        )
        assert ours.status_code == 200
        stranger = await client.post(
            "/codec/decode", json=PAYLOADS, headers=other, auth=auth
        )
        assert stranger.status_code == 403


@pytest.mark.parametrize("value", ["", "0" * 64, "x", '"', "%00"])
async def test_wrong_cookie_lets_nobody_in(
    client: httpx.AsyncClient, value: str
) -> None:
    headers = {"Cookie": f"{COOKIE}={value}"}
    client.cookies.clear()
    assert (await client.get(SYSTEMS, headers=headers)).status_code == 401


async def test_cookie_counts_only_without_other_credentials(
    client: httpx.AsyncClient,
) -> None:
    wrong_token = await client.get(SYSTEMS, headers={"X-Auth-Token": "0" * 64})
    wrong_password = await client.get(SYSTEMS, auth=(USER, "wrong-password"))
    assert (wrong_token.status_code, wrong_password.status_code) == (401, 401)
    client.cookies.set(COOKIE, "0" * 64)
    body = {"SessionTimeout": 600}
    right = await client.patch(SESSION_SERVICE, json=body, auth=ADMIN)
    assert right.status_code == 200


async def test_cookie_ends_with_its_session(client: httpx.AsyncClient) -> None:
    (member,) = (await client.get(SESSIONS)).json()["Members"]
    gone = await client.delete(member["@odata.id"], headers=OWN)
    assert gone.status_code == 204
    assert (await client.get(SYSTEMS)).status_code == 401


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_cookie_is_for_the_browser_alone(scheme: str, secure: bool) -> None:
    request = Request({"type": "http", "scheme": scheme, "path": "/", "headers": []})
    answer = Response()
    set_login_cookie(request, answer, "0" * 64)
    cookie = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]
    assert cookie.value == "0" * 64
    assert (cookie["httponly"], cookie["samesite"]) == (True, "strict")
    assert bool(cookie["secure"]) is secure
    assert (cookie["path"], cookie["max-age"], cookie["domain"]) == ("/", "", "")


def test_cookie_can_be_taken_away() -> None:
    answer = Response()
    clear_login_cookie(answer)
    cookie = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]
    assert (cookie.value, cookie["max-age"]) == ("", "0")
