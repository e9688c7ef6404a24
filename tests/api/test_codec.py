"""The codec endpoint: who gets payloads decrypted, and what the Web UI's pages may."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload

from api.app import create_app
from api.codec import MAX_BODY_BYTES, MAX_ITEMS, MAX_PAYLOADS
from api.login_cookies import COOKIE
from taskfish.encryption import Keyring, generate_key
from taskfish.temporal import EncryptionCodec
from tests.api.accounts import PASSWORD, User, account
from tests.api.answers import message_keys
from tests.conftest import KEY
from tests.house import PASSWORD as ADMIN_PASSWORD
from tests.house import USER, House

DECODE, ENCODE = "/codec/decode", "/codec/encode"
LOGIN, LOGOUT = "/codec/login", "/codec/logout"
OURS = "http://gateway"
UI = "http://127.0.0.1:8233"
CODEC = EncryptionCodec(Keyring([KEY]))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"Said": "hush-hush"}')


@asynccontextmanager
async def another_api(
    house: House, **changes: Any
) -> AsyncIterator[httpx.ASGITransport]:
    """Open a second API of the house."""
    app = create_app(house.settings.model_copy(update=changes), house.temporal)
    async with app.router.lifespan_context(app):
        yield httpx.ASGITransport(app)


@pytest.fixture(scope="module")
async def api(shared_house: House) -> AsyncIterator[httpx.ASGITransport]:
    """Open an API that knows the origin of the Web UI."""
    async with another_api(shared_house, temporal_ui_origin=UI) as opened:
        yield opened


@pytest.fixture
async def client(api: httpx.ASGITransport) -> httpx.AsyncClient:
    """Give a client of it, not logged in."""
    return httpx.AsyncClient(transport=api, base_url=OURS)


@pytest.fixture(scope="module")
async def users(shared_house: House) -> AsyncIterator[dict[str, User]]:
    """Give an account of each role."""
    async with AsyncExitStack() as stack:
        yield {
            role: await stack.enter_async_context(account(shared_house, role))
            for role in ("Administrator", "Operator", "ReadOnly")
        }


async def sealed(payload: Payload = PLAIN, codec: EncryptionCodec = CODEC) -> Payload:
    return (await codec.encode([payload]))[0]


def body_of(*payloads: Payload) -> dict[str, Any]:
    return {"payloads": [MessageToDict(payload) for payload in payloads]}


async def ask(
    client: httpx.AsyncClient,
    path: str,
    *payloads: Payload,
    user: User | None = None,
    **headers: str,
) -> httpx.Response:
    headers.setdefault("X-Namespace", "default")
    auth = user or httpx.USE_CLIENT_DEFAULT
    return await client.post(path, json=body_of(*payloads), auth=auth, headers=headers)


async def logged_in(
    client: httpx.AsyncClient, user: str = USER, password: str = ADMIN_PASSWORD
) -> httpx.Response:
    """Log in by the form, as a browser does."""
    form = {"user": user, "password": password}
    return await client.post(LOGIN, data=form, headers={"Origin": OURS})


async def test_decode_is_for_those_who_may_read_every_answer(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    answer = await ask(client, DECODE, await sealed(), user=users["Administrator"])
    assert answer.status_code == 200
    assert answer.json() == body_of(PLAIN)
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("role", ["Operator", "ReadOnly"])
async def test_decode_is_for_nobody_else(
    client: httpx.AsyncClient, users: dict[str, User], role: str
) -> None:
    refused = await ask(client, DECODE, await sealed(), user=users[role])
    assert refused.status_code == 403
    assert message_keys(refused) == ["InsufficientPrivilege"]
    assert "hush" not in refused.text


async def test_payloads_keep_their_order_and_what_is_not_ours(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    other = Payload(metadata={"encoding": b"binary/plain"}, data=b"\x00\xff")
    given = (PLAIN, await sealed(other), other, await sealed())
    answer = await ask(client, DECODE, *given, user=users["Administrator"])
    assert answer.json() == body_of(PLAIN, other, other, PLAIN)


async def test_encoded_payload_is_one_of_our_workers(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    answer = await ask(client, ENCODE, PLAIN, user=users["Operator"])
    assert answer.status_code == 200
    assert "hush" not in answer.text
    back = await client.post(DECODE, json=answer.json(), auth=users["Administrator"])
    assert back.json() == body_of(PLAIN)


async def test_encode_is_for_those_who_may_change(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    answer = await ask(client, ENCODE, PLAIN, user=users["ReadOnly"])
    assert answer.status_code == 403
    assert message_keys(answer) == ["InsufficientPrivilege"]


@pytest.mark.parametrize("path", [DECODE, ENCODE])
async def test_codec_needs_a_login(client: httpx.AsyncClient, path: str) -> None:
    payload = await sealed()
    for user in (None, (USER, "wrong")):
        answer = await ask(client, path, payload, user=user)
        assert answer.status_code == 401
        assert "hush" not in answer.text


async def test_account_with_a_new_password_to_choose_decodes_nothing(
    shared_house: House, client: httpx.AsyncClient
) -> None:
    async with account(
        shared_house, "Administrator", PasswordChangeRequired=True
    ) as user:
        answer = await ask(client, DECODE, await sealed(), user=user)
        assert answer.status_code == 403
        await logged_in(client, *user)
        page = await client.get(LOGIN)
        assert "changed your password" in " ".join(page.text.split())


async def test_payload_of_an_unknown_key_hides_no_other(
    client: httpx.AsyncClient, users: dict[str, User], caplog: pytest.LogCaptureFixture
) -> None:
    lost = Keyring([SecretStr(generate_key())])
    foreign = await sealed(codec=EncryptionCodec(lost))
    broken = await sealed()
    broken.data = broken.data[:-1]
    given = (foreign, await sealed(), broken)
    answer = await ask(client, DECODE, *given, user=users["Administrator"])
    assert answer.json() == body_of(foreign, PLAIN, broken)
    assert lost.first.hex() in caplog.text


async def test_value_of_the_store_is_not_decrypted(
    shared_house: House, client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    value = shared_house.store.keyring.seal(PLAIN.SerializeToString())
    stolen = Payload(metadata={"encoding": b"binary/aes-256-gcm"}, data=value)
    answer = await ask(client, DECODE, stolen, user=users["Administrator"])
    assert answer.json() == body_of(stolen)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"payloads": {}}',
        b'{"payloads": [1]}',
        b'{"payloads": [{"data": 1}]}',
        b'{"payloads": [{"data": "a"}]}',
        b'{"payloads": [{"metadata": []}]}',
        b'{"payloads": [{"metadata": {"encoding": {}}}]}',
        b"[" * MAX_ITEMS,
        b'{"payloads": [' + b'{"externalPayloads":' * 15_000,
        b"\xff\xfe",
    ],
)
async def test_what_is_no_payloads_is_refused(
    client: httpx.AsyncClient, users: dict[str, User], body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post(
        DECODE, content=body, auth=users["Administrator"], headers=headers
    )
    assert answer.status_code == 400
    assert message_keys(answer)


async def test_newer_properties_of_a_payload_are_passed_over(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    body = body_of(await sealed())
    body["payloads"][0]["storedAt"] = {"later": True}
    path = f"{DECODE}?preserveStorageRefs=true"
    answer = await client.post(path, json=body, auth=users["Administrator"])
    assert answer.json() == body_of(PLAIN)


async def test_longest_event_is_decoded_and_no_longer_one(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    longest = Payload(metadata={"encoding": b"json/plain"}, data=b"x" * (4 << 20))
    whole = await ask(
        client, DECODE, await sealed(longest), user=users["Administrator"]
    )
    assert whole.status_code == 200
    more = b'{"payloads": [' + b" " * MAX_BODY_BYTES + b"]}"
    headers = {"Content-Type": "application/json"}
    answer = await client.post(
        DECODE, content=more, auth=users["Administrator"], headers=headers
    )
    assert answer.status_code == 413


async def test_most_payloads_are_decoded_and_no_more(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    payloads = [await sealed()] * MAX_PAYLOADS
    whole = await ask(client, DECODE, *payloads, user=users["Administrator"])
    assert whole.json() == body_of(*[PLAIN] * MAX_PAYLOADS)
    for path, role in ((DECODE, "Administrator"), (ENCODE, "Operator")):
        answer = await ask(client, path, *payloads, PLAIN, user=users[role])
        assert answer.status_code == 413
        assert message_keys(answer) == ["PayloadTooLarge"]


@pytest.mark.parametrize(
    ("start", "each", "end"),
    [
        (b'{"payloads": [', b"{}", b"]}"),
        (b'{"payloads": [{"metadata": {', b'"a": ""', b"}}]}"),
        (b'{"payloads": [], "more": [', b"[]", b"]}"),
    ],
)
async def test_body_of_many_small_parts_is_refused_unread(
    client: httpx.AsyncClient,
    users: dict[str, User],
    monkeypatch: pytest.MonkeyPatch,
    start: bytes,
    each: bytes,
    end: bytes,
) -> None:
    monkeypatch.setattr("api.codec.json", None)
    number = (MAX_BODY_BYTES - 100) // (len(each) + 1)
    answer = await client.post(
        ENCODE,
        content=start + b",".join([each] * number) + end,
        auth=users["Operator"],
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413


async def test_payloads_of_one_lost_key_are_one_line_of_the_log(
    client: httpx.AsyncClient, users: dict[str, User], caplog: pytest.LogCaptureFixture
) -> None:
    lost = [Keyring([SecretStr(generate_key())]) for _ in range(2)]
    foreign = [await sealed(codec=EncryptionCodec(keyring)) for keyring in lost] * 3
    answer = await ask(client, DECODE, *foreign, user=users["Administrator"])
    assert answer.json() == body_of(*foreign)
    said = [each.getMessage() for each in caplog.records if each.name == "api.codec"]
    assert len(said) == 2
    for keyring in lost:
        assert keyring.first.hex() in "".join(said)


async def test_form_of_another_site_is_no_codec_request(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    text = json.dumps(body_of(await sealed()))
    headers = {"Content-Type": "text/plain"}
    answer = await client.post(
        DECODE, content=text, auth=users["Administrator"], headers=headers
    )
    assert answer.status_code == 415


async def test_codec_has_no_other_methods(
    client: httpx.AsyncClient, users: dict[str, User]
) -> None:
    answer = await client.get(DECODE, auth=users["Administrator"])
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


def preflight(origin: str) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace",
    }


@pytest.mark.parametrize("path", [DECODE, ENCODE])
async def test_preflight_of_the_web_ui_needs_no_login(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.options(path, headers=preflight(UI))
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == UI
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert {"content-type", "x-namespace"} <= set(allowed.split(", "))
    assert "authorization" not in allowed


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:8234", "https://127.0.0.1:8233", "null", f"{UI}.evil"]
)
async def test_other_origins_get_no_leave(
    client: httpx.AsyncClient, origin: str
) -> None:
    answer = await client.options(DECODE, headers=preflight(origin))
    assert answer.status_code == 400
    assert "Access-Control-Allow-Origin" not in answer.headers
    await logged_in(client)
    sent = await ask(client, DECODE, await sealed(), Origin=origin)
    assert sent.status_code == 403
    assert "Access-Control-Allow-Origin" not in sent.headers


@pytest.mark.parametrize("path", ["/redfish/v1/Systems", "/redfish/v1", LOGIN, LOGOUT])
async def test_only_the_codec_has_cors(
    client: httpx.AsyncClient, users: dict[str, User], path: str
) -> None:
    for method in ("OPTIONS", "GET"):
        headers = preflight(UI)
        answer = await client.request(
            method, path, headers=headers, auth=users["ReadOnly"]
        )
        assert not [name for name in answer.headers if "access-control" in name]


async def test_without_an_origin_there_is_no_cors(shared_house: House) -> None:
    async with another_api(shared_house) as api:
        client = httpx.AsyncClient(transport=api, base_url=OURS)
        answer = await client.options(DECODE, headers=preflight(UI))
        assert answer.status_code == 401
        assert not [name for name in answer.headers if "access-control" in name]


async def test_web_ui_sees_why_it_is_refused(client: httpx.AsyncClient) -> None:
    answer = await ask(client, DECODE, await sealed(), Origin=UI)
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == UI


async def test_browser_that_is_logged_in_decodes_from_the_web_ui(
    client: httpx.AsyncClient,
) -> None:
    form = await client.get(LOGIN)
    assert form.status_code == 200
    assert 'type="password"' in form.text
    answer = await logged_in(client)
    assert (answer.status_code, answer.headers["Location"]) == (303, LOGIN)
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    page = await client.get(LOGIN)
    assert f"logged in as {USER}" in page.text
    assert f"<code>{OURS}/codec</code>" in page.text
    decoded = await ask(client, DECODE, await sealed(), Origin=UI)
    assert decoded.json() == body_of(PLAIN)


async def test_cookie_of_the_web_ui_changes_nothing_else(
    client: httpx.AsyncClient,
) -> None:
    await logged_in(client)
    reset = "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset"
    body = {"ResetType": "ForceRestart"}
    answer = await client.post(reset, json=body, headers={"Origin": UI})
    assert answer.status_code == 403
    without = await ask(client, DECODE, await sealed())
    assert without.status_code == 403


async def test_login_page_says_where_no_browser_sends_the_cookie(
    api: httpx.ASGITransport, client: httpx.AsyncClient
) -> None:
    secure = httpx.AsyncClient(transport=api, base_url="https://gateway")
    for each, helps in ((client, True), (secure, False)):
        form = {"user": USER, "password": ADMIN_PASSWORD}
        origin = str(each.base_url).rstrip("/")
        await each.post(LOGIN, data=form, headers={"Origin": origin})
        page = (await each.get(LOGIN)).text
        assert ("Include cross-origin credentials" in page) is helps
        assert (UI in page) is not helps
        assert f"{origin}/codec" in page


async def test_logout_ends_the_session(client: httpx.AsyncClient) -> None:
    await logged_in(client)
    token = client.cookies[COOKIE]
    answer = await client.post(LOGOUT, headers={"Origin": OURS})
    assert (answer.status_code, answer.headers["Location"]) == (303, LOGIN)
    assert COOKIE not in client.cookies
    headers = {"X-Auth-Token": token}
    again = await client.get("/redfish/v1/Systems", headers=headers)
    assert again.status_code == 401


async def test_logout_without_a_session_is_no_fault(client: httpx.AsyncClient) -> None:
    answer = await client.post(LOGOUT, headers={"Origin": OURS})
    assert answer.status_code == 303


async def test_logout_waits_while_no_session_may_be_ended(
    client: httpx.AsyncClient,
) -> None:
    await logged_in(client)
    service, origin = "/redfish/v1/SessionService", {"Origin": OURS}
    admin = (USER, ADMIN_PASSWORD)
    await client.patch(service, json={"ServiceEnabled": False}, auth=admin)
    try:
        refused = await client.post(LOGOUT, headers=origin)
        assert refused.status_code == 503
        assert message_keys(refused) == ["ServiceDisabled"]
        assert f"logged in as {USER}" in (await client.get(LOGIN)).text
    finally:
        await client.patch(service, json={"ServiceEnabled": True}, auth=admin)
    assert (await client.post(LOGOUT, headers=origin)).status_code == 303


async def test_wrong_password_shows_the_form_again(client: httpx.AsyncClient) -> None:
    answer = await logged_in(client, "<b>nobody</b>", "guess-guess")
    assert answer.status_code == 403
    assert "is wrong" in answer.text
    assert "nobody" not in answer.text
    assert "guess" not in answer.text
    assert "WWW-Authenticate" not in answer.headers
    assert COOKIE not in client.cookies


@pytest.mark.parametrize("origin", [UI, "http://evil.example", "null", None])
@pytest.mark.parametrize("path", [LOGIN, LOGOUT])
async def test_form_sent_by_another_site_is_refused(
    client: httpx.AsyncClient, users: dict[str, User], path: str, origin: str | None
) -> None:
    form = {"user": users["ReadOnly"][0], "password": PASSWORD}
    headers = {"Origin": origin} if origin else {}
    answer = await client.post(path, data=form, headers=headers)
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"user=a&password=b", "text/plain", 415),
        (b"", "application/x-www-form-urlencoded", 400),
        (b"user=a", "application/x-www-form-urlencoded", 400),
        (b"user=a&user=b&password=c", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 500, "application/x-www-form-urlencoded", 400),
        (b"user=" + b"a" * 5000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_what_is_not_the_form_is_refused(
    client: httpx.AsyncClient, content: bytes, kind: str, status: int
) -> None:
    headers = {"Origin": OURS, "Content-Type": kind}
    answer = await client.post(LOGIN, content=content, headers=headers)
    assert answer.status_code == status
    assert message_keys(answer)


async def test_page_runs_no_script_and_stands_in_no_frame(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get(f"{LOGIN}?next=http://evil.example")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in answer.text
    assert "evil" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
