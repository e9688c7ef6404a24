"""Sessions: logging in and out, timeouts, several processes, tokens of all kinds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from traceback import format_exception
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from taskfish.errors import ConfigurationError
from taskfish.settings import load_settings
from taskfish.store.tables import accounts
from taskfish.store.tables import sessions as table
from tests.api.accounts import ACCOUNTS, PASSWORD, account
from tests.api.answers import members, message_keys
from tests.api.sessions import (
    SESSION_SERVICE,
    SESSIONS,
    SYSTEMS,
    another_api,
    forget_sessions,
    log_in,
    status_of,
    token_of,
)
from tests.house import PASSWORD as ADMIN_PASSWORD
from tests.house import USER, House

ADMIN = (USER, ADMIN_PASSWORD)


@pytest.fixture
async def house(shared_house: House) -> AsyncIterator[House]:
    """Give a gateway without sessions, whose rules go back to the settings'."""
    await forget_sessions(shared_house)
    yield shared_house
    await forget_sessions(shared_house)


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an API process of its own, which has cached nothing."""
    async with another_api(house) as opened:
        yield opened


async def unused_for(house: House, seconds: float) -> None:
    """Put the last use of all sessions into the past."""
    used = datetime.now(UTC) - timedelta(seconds=seconds)
    async with house.store.write() as connection:
        await connection.execute(update(table).values(used_at=used))


async def lock(house: House, name: str) -> None:
    """Lock an account, as too many failed logins do."""
    until = datetime.now(UTC) + timedelta(minutes=1)
    async with house.store.write() as connection:
        locked = update(accounts).where(accounts.c.name == name)
        await connection.execute(locked.values(locked_until=until))


async def rows(house: House) -> list[Any]:
    async with house.store.read() as connection:
        return list((await connection.execute(select(table))).all())


async def test_login_gives_a_session_and_its_token(
    house: House, client: httpx.AsyncClient
) -> None:
    async with account(house, "Operator") as user:
        made = await log_in(client, user, Context="rack 7")
        uri = made.headers["Location"]
        token = {"X-Auth-Token": made.headers["X-Auth-Token"]}
        shown = await client.get(uri, headers=token)
        listed = members(await client.get(SESSIONS, headers=token))
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    assert uri.startswith(f"{SESSIONS}/")
    body = made.json()
    assert body["@odata.type"].startswith("#Session.v1_")
    assert (body["@odata.id"], body["UserName"]) == (uri, user[0])
    assert (body["Password"], body["SessionType"]) == (None, "Redfish")
    assert body["ClientOriginIPAddress"] == "192.0.2.7"
    assert body["Context"] == "rack 7"
    age = datetime.now(UTC) - datetime.fromisoformat(body["CreatedTime"])
    assert timedelta(0) <= age < timedelta(seconds=30)
    assert "Oem" not in body
    assert shown.json() == body
    assert shown.headers["Allow"] == "GET, HEAD, DELETE"
    assert listed == [uri]


async def test_members_is_another_name_of_the_collection(
    client: httpx.AsyncClient,
) -> None:
    body = {"UserName": USER, "Password": ADMIN_PASSWORD, "Context": None}
    made = await client.post(f"{SESSIONS}/Members", json=body)
    assert made.status_code == 201
    assert "Context" not in made.json()


async def test_root_leads_to_the_sessions(house: House) -> None:
    root = (await house.client.get("/redfish/v1", auth=None)).json()
    service = (await house.client.get(SESSION_SERVICE)).json()
    assert root["SessionService"] == {"@odata.id": SESSION_SERVICE}
    assert root["Links"]["Sessions"] == service["Sessions"] == {"@odata.id": SESSIONS}


async def test_token_and_password_are_not_in_the_store(
    house: House, client: httpx.AsyncClient
) -> None:
    token = await token_of(client, ADMIN)
    content = str(await rows(house))
    files = Path(house.settings.database_url.partition(":///")[2])
    stored = files.read_bytes() + files.with_name("taskfish.db-wal").read_bytes()
    for secret in (token["X-Auth-Token"], ADMIN_PASSWORD):
        assert secret not in content
        assert secret.encode() not in stored


async def test_tokens_are_long_and_never_the_same(client: httpx.AsyncClient) -> None:
    tokens = {(await token_of(client, ADMIN))["X-Auth-Token"] for _ in range(5)}
    assert len(tokens) == 5
    assert all(len(bytes.fromhex(token)) == 32 for token in tokens)


async def test_session_counts_in_every_process(house: House) -> None:
    async with (
        account(house, "ReadOnly") as user,
        another_api(house) as one,
        another_api(house) as other,
    ):
        token = await token_of(one, user)
        listed = members(await other.get(SESSIONS, headers=token))
        assert await status_of(other, token) == 200
        gone = await other.delete(listed[0], headers=token)
        assert gone.status_code == 204
        assert [await status_of(each, token) for each in (one, other)] == [401, 401]


async def test_logout_ends_only_that_session(
    house: House, client: httpx.AsyncClient
) -> None:
    first, second = [await log_in(client, ADMIN) for _ in range(2)]
    tokens = [
        {"X-Auth-Token": each.headers["X-Auth-Token"]} for each in (first, second)
    ]
    uri = first.headers["Location"]
    assert (await client.delete(uri, headers=tokens[0])).status_code == 204
    assert await status_of(client, tokens[0]) == 401
    assert await status_of(client, tokens[1]) == 200
    again = await client.delete(uri, headers=tokens[1])
    assert again.status_code == 404
    assert message_keys(again) == ["ResourceMissingAtURI"]
    assert len(await rows(house)) == 1


@pytest.mark.parametrize(
    "change",
    [{"Password": "another-one-8"}, {"Password": PASSWORD}, {"Enabled": False}],
)
async def test_change_of_the_account_ends_its_sessions_at_once(
    house: House, client: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    async with account(house, "ReadOnly") as user:
        token, others = await token_of(client, user), await token_of(client, ADMIN)
        changed = await house.client.patch(f"{ACCOUNTS}/{user[0]}", json=change)
        assert changed.status_code == 200
        assert await status_of(client, token) == 401
        await house.client.patch(f"{ACCOUNTS}/{user[0]}", json={"Enabled": True})
        assert await status_of(client, token) == 401
        assert await status_of(client, others) == 200
        assert len(await rows(house)) == 1


async def test_other_changes_of_the_account_leave_its_sessions(
    house: House, client: httpx.AsyncClient
) -> None:
    async with account(house, "Operator") as user:
        uri, token = f"{ACCOUNTS}/{user[0]}", await token_of(client, user)
        assert (await client.patch(f"{SYSTEMS}/x.1", json={}, headers=token)).is_error
        await house.client.patch(uri, json={"RoleId": "ReadOnly"})
        refused = await client.patch(f"{SYSTEMS}/x.1", json={}, headers=token)
        assert refused.status_code == 403
        await lock(house, user[0])
        assert (await house.client.get(uri)).json()["Locked"] is True
        assert await status_of(client, token) == 200


async def test_session_of_a_removed_account_is_none(
    house: House, client: httpx.AsyncClient
) -> None:
    async with account(house, "ReadOnly") as (name, password):
        token = await token_of(client, (name, password))
        await house.client.delete(f"{ACCOUNTS}/{name}")
        assert await status_of(client, token) == 401
        body = {"UserName": name, "Password": password, "RoleId": "Administrator"}
        assert (await house.client.post(ACCOUNTS, json=body)).status_code == 201
        assert await status_of(client, token) == 401
    assert await rows(house) == []


async def test_other_password_of_the_settings_ends_their_sessions(
    house: House, client: httpx.AsyncClient
) -> None:
    token = await token_of(client, ADMIN)
    changed = SecretStr("another-one-8")
    async with (
        another_api(house, admin_password=changed) as other,
        another_api(house, admin_username="root") as renamed,
        another_api(house, admin_password=None) as without,
    ):
        for each in (other, renamed, without):
            assert await status_of(each, token) == 401
    assert await status_of(client, token) == 200


async def test_hidden_account_lets_no_session_of_the_administrator_in(
    house: House, client: httpx.AsyncClient
) -> None:
    async with account(house, "ReadOnly") as (name, password):
        token = await token_of(client, (name, password))
        async with another_api(house, admin_username=name) as other:
            assert await status_of(other, token) == 401
        assert await status_of(client, token) == 200


async def test_session_expires_when_it_is_not_used(
    house: House, client: httpx.AsyncClient
) -> None:
    token = await token_of(client, ADMIN)
    await unused_for(house, 1799)
    assert await status_of(client, token) == 200
    await unused_for(house, 1806)
    assert await status_of(client, token) == 401
    listed = await house.client.get(SESSIONS)
    gone = await house.client.get(f"{SESSIONS}/{(await rows(house))[0].id}")
    assert (members(listed), gone.status_code) == ([], 404)
    await token_of(client, ADMIN)
    assert len(await rows(house)) == 1


async def test_use_is_noted_once_in_a_while(
    house: House, client: httpx.AsyncClient
) -> None:
    token = await token_of(client, ADMIN)
    first = (await rows(house))[0].used_at
    await status_of(client, token)
    assert (await rows(house))[0].used_at == first
    await unused_for(house, 100)
    await status_of(client, token)
    assert (await rows(house))[0].used_at > first


async def test_shorter_timeout_counts_for_open_sessions(
    house: House, client: httpx.AsyncClient
) -> None:
    token = await token_of(client, ADMIN)
    shown = await client.get(SESSION_SERVICE, headers=token)
    assert shown.json()["SessionTimeout"] == 1800
    await unused_for(house, 60)
    etag = {"If-Match": shown.headers["ETag"]}
    changed = await client.patch(
        SESSION_SERVICE, json={"SessionTimeout": 30}, headers=etag, auth=ADMIN
    )
    assert changed.status_code == 200
    assert changed.json()["SessionTimeout"] == 30
    assert changed.headers["ETag"] == changed.json()["@odata.etag"] != etag["If-Match"]
    assert await status_of(client, token) == 401
    stale = await client.patch(
        SESSION_SERVICE, json={"SessionTimeout": 40}, headers=etag, auth=ADMIN
    )
    assert stale.status_code == 412
    longer = {"SessionTimeout": 86400}
    await client.patch(SESSION_SERVICE, json=longer, auth=ADMIN)
    assert await status_of(client, token) == 401


async def test_disabled_service_opens_and_ends_no_session(
    house: House, client: httpx.AsyncClient
) -> None:
    made = await log_in(client, ADMIN)
    token = {"X-Auth-Token": made.headers["X-Auth-Token"]}
    for enabled in (False, True):
        changed = await client.patch(
            SESSION_SERVICE, json={"ServiceEnabled": enabled}, headers=token
        )
        assert changed.json()["ServiceEnabled"] is enabled
        state = "Enabled" if enabled else "Disabled"
        assert changed.json()["Status"]["State"] == state
        if not enabled:
            for refused in (
                await log_in(client, ADMIN),
                await client.delete(made.headers["Location"], headers=token),
            ):
                assert refused.status_code == 503
                assert message_keys(refused) == ["ServiceDisabled"]
    assert await status_of(client, token) == 200
    assert (await client.get(SYSTEMS, auth=ADMIN)).status_code == 200
    assert (await log_in(client, ADMIN)).status_code == 201


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "NoOperation"),
        ({"SessionTimeout": 29}, "PropertyValueOutOfRange"),
        ({"SessionTimeout": 86401}, "PropertyValueOutOfRange"),
        ({"SessionTimeout": "60"}, "PropertyValueTypeError"),
        ({"SessionTimeout": None}, "PropertyValueTypeError"),
        ({"ServiceEnabled": None}, "PropertyValueTypeError"),
        ({"Sessions": {}}, "PropertyNotWritable"),
        ({"SessionTimeout": 60, "Bogus": 1}, "PropertyUnknown"),
    ],
)
async def test_bad_rules_are_refused(
    house: House, body: dict[str, Any], key: str
) -> None:
    before = (await house.client.get(SESSION_SERVICE)).json()
    answer = await house.client.patch(SESSION_SERVICE, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    assert (await house.client.get(SESSION_SERVICE)).json() == before


@pytest.mark.parametrize("value", ["29", "86401", "soon"])
def test_setting_out_of_the_schemas_range_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TASKFISH_SESSION_TIMEOUT", value)
    with pytest.raises(ConfigurationError, match="TASKFISH_SESSION_TIMEOUT"):
        load_settings()


async def test_there_are_not_more_sessions_than_allowed(house: House) -> None:
    async with (
        account(house, "ReadOnly") as eve,
        account(house, "ReadOnly") as adam,
        another_api(house, max_sessions=2) as one,
        another_api(house, max_sessions=2) as other,
    ):
        logins = [log_in(one, ADMIN), log_in(other, eve), log_in(one, adam)]
        answers = await asyncio.gather(*logins)
        (refused,) = [each for each in answers if each.status_code != 201]
        assert refused.status_code == 503
        assert message_keys(refused) == ["SessionLimitExceeded"]
        assert "X-Auth-Token" not in refused.headers
        wrong = await log_in(one, (USER, "wrong-password"))
        assert wrong.status_code == 401
        await unused_for(house, 2000)
        assert (await log_in(one, ADMIN)).status_code == 201


async def test_account_takes_its_share_of_the_sessions_only(house: House) -> None:
    async with (
        account(house, "ReadOnly") as user,
        another_api(house, max_sessions=20) as client,
    ):
        others = await token_of(client, ADMIN)
        first = await token_of(client, user)
        second = await token_of(client, user)
        await unused_for(house, 60)
        assert await status_of(client, first) == 200
        third = await token_of(client, user)
        tokens = (others, first, second, third)
        assert [await status_of(client, each) for each in tokens] == [
            *(200, 200, 401, 200)
        ]
        for _ in range(20):
            await token_of(client, user)
        assert len(await rows(house)) == 3
        assert (await log_in(client, ADMIN)).status_code == 201


@pytest.mark.parametrize("password", ["", "x", "seven-7"])
def test_short_password_of_the_administrator_is_refused(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("TASKFISH_ADMIN_PASSWORD", password)
    problem = "TASKFISH_ADMIN_PASSWORD: .*at least 8 characters"
    with pytest.raises(ConfigurationError, match=problem) as refused:
        load_settings()
    shown = "".join(format_exception(refused.value))
    assert not password or repr(password) not in shown


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (USER, "wrong-password"),
        (USER, ""),
        ("nobody", ADMIN_PASSWORD),
        ("", ""),
        ("a\x00b", "wrong-password"),
        ("jürgen", "pässword"),
        ("x" * 5000, "x" * 5000),
    ],
)
async def test_wrong_credentials_are_401(
    house: House, client: httpx.AsyncClient, name: str, password: str
) -> None:
    answer = await log_in(client, (name, password))
    assert answer.status_code == 401
    assert message_keys(answer) == ["AccessUnauthorized"]
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert "X-Auth-Token" not in answer.headers
    assert await rows(house) == []


async def test_disabled_and_locked_accounts_get_no_session(
    house: House, client: httpx.AsyncClient
) -> None:
    async with account(house, "ReadOnly", Enabled=False) as user:
        assert (await log_in(client, user)).status_code == 401
    async with account(house, "ReadOnly") as user:
        await lock(house, user[0])
        assert (await log_in(client, user)).status_code == 401


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"UserName": None}, "PropertyValueTypeError"),
        ({"UserName": 5}, "PropertyValueTypeError"),
        ({"Password": ["hush-hush-1"]}, "PropertyValueTypeError"),
        ({"Context": "x" * 256}, "PropertyValueFormatError"),
        ({"Context": "a\x00b"}, "PropertyValueFormatError"),
        ({"Context": 7}, "PropertyValueTypeError"),
        ({"SessionType": "KVMIP"}, "PropertyNotWritable"),
        ({"Token": "123456"}, "PropertyNotWritable"),
        ({"Bogus": 1}, "PropertyUnknown"),
    ],
)
async def test_wrong_body_is_400(
    house: House, client: httpx.AsyncClient, change: dict[str, Any], key: str
) -> None:
    body = {"UserName": USER, "Password": ADMIN_PASSWORD, **change}
    answer = await client.post(SESSIONS, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    assert "hush-hush-1" not in answer.text
    assert await rows(house) == []


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{}", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"UserName": "\\ud800", "Password": "x"}', "application/json", 400),
        (b"UserName=admin&Password=x", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_body_that_is_no_login_is_refused(
    client: httpx.AsyncClient, content: bytes, media_type: str, status: int
) -> None:
    headers = {"Content-Type": media_type}
    answer = await client.post(SESSIONS, content=content, headers=headers)
    assert answer.status_code == status
    assert message_keys(answer)


async def test_wrong_token_lets_nobody_in(
    house: House, client: httpx.AsyncClient
) -> None:
    token = (await token_of(client, ADMIN))["X-Auth-Token"]
    (stored,) = await rows(house)
    for wrong in (
        *("", " ", "0" * 64, "0" * 100_000, token[:-1], f"{token}0", token.upper()),
        *(f"{token}, {token}", stored.token, stored.id, stored.credential),
    ):
        answer = await client.get(SYSTEMS, headers={"X-Auth-Token": wrong})
        assert answer.status_code in (401, 431)
        assert message_keys(answer)
    odd = [(b"X-Auth-Token", f"{token}é".encode())]
    assert (await client.get(SYSTEMS, headers=odd)).status_code == 401
    twice = [("X-Auth-Token", token), ("X-Auth-Token", token)]
    assert (await client.get(SYSTEMS, headers=twice)).status_code == 401
    assert await status_of(client, {"X-Auth-Token": token}) == 200


async def test_wrong_token_is_not_rescued_by_basic(client: httpx.AsyncClient) -> None:
    token = await token_of(client, ADMIN)
    both = await client.get(SYSTEMS, headers={"X-Auth-Token": "0" * 64}, auth=ADMIN)
    other = await client.get(SYSTEMS, headers=token, auth=(USER, "wrong-password"))
    assert (both.status_code, other.status_code) == (401, 200)
    assert both.headers["WWW-Authenticate"].startswith("Basic ")


async def test_token_is_not_shown_again(client: httpx.AsyncClient) -> None:
    made = await log_in(client, ADMIN)
    token = made.headers["X-Auth-Token"]
    assert token not in made.text
    for uri in (made.headers["Location"], SESSIONS, SESSION_SERVICE):
        answer = await client.get(uri, headers={"X-Auth-Token": token})
        assert token not in answer.text
        assert "X-Auth-Token" not in answer.headers


async def test_login_needs_no_valid_credentials_beside_its_own(
    client: httpx.AsyncClient,
) -> None:
    body = {"UserName": USER, "Password": ADMIN_PASSWORD}
    stale = {"X-Auth-Token": "0" * 64}
    wrong = (USER, "wrong-password")
    made = await client.post(SESSIONS, json=body, headers=stale, auth=wrong)
    assert made.status_code == 201


async def test_session_of_another_needs_configure_manager(
    house: House, client: httpx.AsyncClient
) -> None:
    async with account(house, "Operator") as user, account(house, "ReadOnly") as other:
        made = await log_in(client, user)
        uri = made.headers["Location"]
        stranger = await token_of(client, other)
        for method in ("GET", "HEAD", "DELETE"):
            refused = await client.request(method, uri, headers=stranger)
            assert refused.status_code == 403
        assert uri in members(await client.get(SESSIONS, headers=stranger))
        by_password = await client.get(uri, auth=user)
        assert by_password.status_code == 200
        again = await log_in(client, user)
        own = await client.delete(again.headers["Location"], auth=user)
        assert own.status_code == 204
        assert (await client.get(uri, auth=ADMIN)).status_code == 200
        assert (await client.delete(uri, auth=ADMIN)).status_code == 204
        token = {"X-Auth-Token": made.headers["X-Auth-Token"]}
        assert await status_of(client, token) == 401


async def test_password_that_must_change_gets_a_session_for_that_only(
    house: House, client: httpx.AsyncClient
) -> None:
    async with account(house, "Administrator", PasswordChangeRequired=True) as user:
        own = f"{ACCOUNTS}/{user[0]}"
        made = await log_in(client, user)
        assert made.status_code == 201
        (info,) = made.json()["@Message.ExtendedInfo"]
        assert info["MessageId"].endswith(".PasswordChangeRequired")
        assert info["MessageArgs"] == [own]
        token = {"X-Auth-Token": made.headers["X-Auth-Token"]}
        for method, uri in (
            ("GET", SESSIONS),
            ("GET", made.headers["Location"]),
            ("DELETE", made.headers["Location"]),
            ("PATCH", SESSION_SERVICE),
            ("DELETE", own),
        ):
            refused = await client.request(method, uri, json={}, headers=token)
            assert refused.status_code == 403
            assert message_keys(refused) == ["PasswordChangeRequired"]
        body = {"Password": "another-one-8"}
        changed = await client.patch(own, json=body, headers=token)
        assert changed.status_code == 200
        assert await status_of(client, token) == 401
        fresh = await log_in(client, (user[0], "another-one-8"))
        assert "@Message.ExtendedInfo" not in fresh.json()
        token = {"X-Auth-Token": fresh.headers["X-Auth-Token"]}
        assert await status_of(client, token) == 200


async def test_store_that_is_away_is_503(house: House, tmp_path: Path) -> None:
    away = f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'taskfish.db'}"
    async with another_api(house, database_url=away) as client:
        for answer in (
            await client.get(SYSTEMS, headers={"X-Auth-Token": "0" * 64}),
            await log_in(client, ADMIN),
        ):
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
            assert message_keys(answer) == ["ServiceTemporarilyUnavailable"]


async def test_method_that_sessions_have_not_is_405(house: House) -> None:
    for method, uri, allowed in (
        ("PATCH", SESSIONS, "GET, HEAD, POST"),
        ("POST", SESSION_SERVICE, "GET, HEAD, PATCH"),
        ("PUT", f"{SESSIONS}/x", "DELETE, GET, HEAD"),
    ):
        answer = await house.client.request(method, uri, json={})
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


async def test_query_option_at_a_login_is_501(client: httpx.AsyncClient) -> None:
    body = {"UserName": USER, "Password": ADMIN_PASSWORD}
    answer = await client.post(f"{SESSIONS}?$select=Id", json=body)
    assert answer.status_code == 501
