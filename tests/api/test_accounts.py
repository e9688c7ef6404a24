"""Accounts: made, changed, removed; logins that fail, and what may not be said."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY
from sqlalchemy import select, update

from api import logins
from api.logins import Logins
from taskfish.errors import ConfigurationError, StoreUnavailableError
from taskfish.settings import load_settings
from taskfish.store.accounts import Account, Accounts, AccountSettings
from taskfish.store.tables import accounts as table
from tests.api.accounts import (
    ACCOUNT_SERVICE,
    ACCOUNTS,
    PASSWORD,
    account,
    account_body,
    logs_in,
)
from tests.api.answers import members, message_keys
from tests.api.sessions import another_api
from tests.house import PASSWORD as ADMIN_PASSWORD
from tests.house import USER, House

ADMIN = f"{ACCOUNTS}/{USER}"
ROLES = f"{ACCOUNT_SERVICE}/Roles"
POLICY = {
    "MinPasswordLength": 8,
    "AccountLockoutThreshold": 5,
    "AccountLockoutDuration": 60,
    "AccountLockoutCounterResetAfter": 60,
}
"""The rules for accounts by the settings."""


@pytest.fixture
async def house(shared_house: House) -> House:
    """Give a gateway as the test before left it: accounts need no machines."""
    return shared_house


@pytest.fixture
async def fresh(house: House) -> AsyncIterator[House]:
    """Give a house whose rules for accounts go back to the settings' in the end."""
    yield house
    assert (await change(house, ACCOUNT_SERVICE, POLICY)).status_code == 200


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the hashes that passwords are verified against, as it happens."""
    hashes: list[str] = []
    verify = PasswordHasher.verify

    def noted(hasher: PasswordHasher, kept: str, password: str) -> bool:
        hashes.append(kept)
        return verify(hasher, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    return hashes


@pytest.fixture
async def costly(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """Give the administrator's client of an API that hashes as the product does."""
    monkeypatch.setattr(logins, "PasswordHasher", PasswordHasher)
    async with another_api(house) as client:
        client.auth = httpx.BasicAuth(USER, ADMIN_PASSWORD)
        yield client


async def change(
    house: House, uri: str, body: dict[str, Any], **headers: str
) -> httpx.Response:
    return await house.client.patch(uri, json=body, headers=headers)


async def fail_to_log_in(house: House, name: str, times: int) -> None:
    for _ in range(times):
        assert not await logs_in(house, name, "wrong-password")


async def test_account_is_made_shown_and_removed(house: House) -> None:
    body = account_body("Operator")
    made = await house.client.post(ACCOUNTS, json=body)
    uri = f"{ACCOUNTS}/{body['UserName']}"
    assert (made.status_code, made.headers["Location"]) == (201, uri)
    shown = await house.client.get(uri)
    assert shown.json() == made.json()
    assert shown.headers["ETag"] == shown.json()["@odata.etag"] == made.headers["ETag"]
    assert shown.headers["Allow"] == "GET, HEAD, PATCH, DELETE"
    assert shown.json()["Id"] == shown.json()["UserName"] == body["UserName"]
    assert shown.json()["Links"]["Role"] == {"@odata.id": f"{ROLES}/Operator"}
    assert uri in members(await house.client.get(ACCOUNTS))
    assert await logs_in(house, body["UserName"])
    assert (await house.client.delete(uri)).status_code == 204
    assert (await house.client.get(uri)).status_code == 404
    assert uri not in members(await house.client.get(ACCOUNTS))
    assert not await logs_in(house, body["UserName"])


async def test_password_is_never_shown(house: House) -> None:
    async with account(house, "ReadOnly") as (name, password):
        shown = await house.client.get(f"{ACCOUNTS}/{name}")
        async with house.store.read() as connection:
            row = (await connection.execute(select(table))).one()
    assert shown.json()["Password"] is None
    assert password not in shown.text
    assert row.password.startswith("$argon2id$")
    assert password not in str(row)


async def test_passwords_are_hashed_as_argon2_recommends(
    house: House, costly: httpx.AsyncClient
) -> None:
    body = account_body("ReadOnly")
    made = await costly.post(ACCOUNTS, json=body)
    assert made.status_code == 201
    async with house.store.read() as connection:
        rows = (await connection.execute(select(table))).all()
    (kept,) = (row.password for row in rows if row.name == body["UserName"])
    assert extract_parameters(kept) == RFC_9106_LOW_MEMORY
    assert (await costly.delete(made.headers["Location"])).status_code == 204


async def test_refused_password_is_not_repeated(house: House) -> None:
    for body in (
        account_body("Nothing", Password="Xq7"),
        account_body("ReadOnly", Password="Xq7"),
        account_body("ReadOnly", Password=["Xq7-in-a-list"]),
    ):
        answer = await house.client.post(ACCOUNTS, json=body)
        assert answer.status_code == 400
        assert "Xq7" not in answer.text


async def test_members_is_another_name_of_the_collection(house: House) -> None:
    body = account_body("ReadOnly")
    made = await house.client.post(f"{ACCOUNTS}/Members", json=body)
    assert made.status_code == 201
    assert (await house.client.delete(made.headers["Location"])).status_code == 204


async def test_name_is_taken_once(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        for taken in (name, USER):
            body = account_body("Administrator") | {"UserName": taken}
            again = await house.client.post(ACCOUNTS, json=body)
            assert again.status_code == 409
            assert message_keys(again) == ["ResourceAlreadyExists"]
        assert (await house.client.get(f"{ACCOUNTS}/{name}")).json()[
            "RoleId"
        ] == "ReadOnly"


@pytest.mark.parametrize(
    ("change_of_body", "key", "said"),
    [
        ({"UserName": None}, "PropertyValueTypeError", "UserName"),
        ({"UserName": ""}, "PropertyValueFormatError", "UserName"),
        ({"UserName": "a/b"}, "PropertyValueFormatError", "UserName"),
        ({"UserName": "a b"}, "PropertyValueFormatError", "UserName"),
        ({"UserName": "a:b"}, "PropertyValueFormatError", "UserName"),
        ({"UserName": "-a"}, "PropertyValueFormatError", "UserName"),
        ({"UserName": "a\n"}, "PropertyValueFormatError", "UserName"),
        ({"UserName": "jürgen"}, "PropertyValueFormatError", "UserName"),
        ({"UserName": "a" * 65}, "PropertyValueFormatError", "UserName"),
        ({"UserName": 5}, "PropertyValueTypeError", "UserName"),
        ({"Password": None}, "PropertyValueTypeError", "Password"),
        ({"Password": 12345678}, "PropertyValueTypeError", "Password"),
        ({"Password": "1234567"}, "PasswordIncorrectLength", "8 to 128"),
        ({"Password": "x" * 129}, "PasswordIncorrectLength", "8 to 128"),
        ({"RoleId": "Root"}, "PropertyValueNotInList", "RoleId"),
        ({"RoleId": None}, "PropertyValueNotInList", "RoleId"),
        ({"Enabled": "yes"}, "PropertyValueTypeError", "Enabled"),
        ({"Locked": True}, "PropertyValueNotInList", "Locked"),
        ({"AccountTypes": ["IPMI"]}, "PropertyValueNotInList", "AccountTypes"),
        ({"AccountTypes": []}, "PropertyValueOutOfRange", "AccountTypes"),
        ({"Bogus": 1}, "PropertyUnknown", "Bogus"),
        ({"Id": "x"}, "PropertyNotWritable", "Id"),
        ({"Oem": {"Taskfish": {"Accepted": "odd"}}}, "PropertyValueNotInList", "odd"),
        ({"Oem": {"Taskfish": {"Bogus": 1}}}, "PropertyUnknown", "Bogus"),
    ],
)
async def test_bad_account_is_refused(
    house: House, change_of_body: dict[str, Any], key: str, said: str
) -> None:
    before = members(await house.client.get(ACCOUNTS))
    body = account_body("ReadOnly") | change_of_body
    answer = await house.client.post(ACCOUNTS, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    assert said in answer.text
    assert members(await house.client.get(ACCOUNTS)) == before


@pytest.mark.parametrize("missing", ["UserName", "Password", "RoleId"])
async def test_account_without_a_required_property_is_refused(
    house: House, missing: str
) -> None:
    body = account_body("ReadOnly")
    del body[missing]
    answer = await house.client.post(ACCOUNTS, json=body)
    assert answer.status_code == 400
    assert message_keys(answer) == ["PropertyMissing"]
    assert missing in answer.text


async def test_change_takes_effect_at_once(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        uri = f"{ACCOUNTS}/{name}"
        assert await logs_in(house, name)
        changed = await change(house, uri, {"Password": "another-one-8"})
        assert changed.status_code == 200
        assert not await logs_in(house, name)
        assert await logs_in(house, name, "another-one-8")
        await change(house, uri, {"Enabled": False})
        assert not await logs_in(house, name, "another-one-8")
        await change(house, uri, {"Enabled": True, "RoleId": "Operator"})
        shown = (await house.client.get(uri)).json()
        assert (shown["Enabled"], shown["RoleId"]) == (True, "Operator")
        assert await logs_in(house, name, "another-one-8")


async def test_accepted_form_is_kept_with_the_account(house: House) -> None:
    oem = {"Taskfish": {"Accepted": "sushy"}}
    async with account(house, "Operator", Oem=oem) as (name, _):
        uri = f"{ACCOUNTS}/{name}"
        shown = (await house.client.get(uri)).json()
        assert shown["Oem"]["Taskfish"]["Accepted"] == "sushy"
        await change(house, uri, {"Oem": {"Acme": {"Colour": "red"}}})
        assert (await house.client.get(uri)).json()["Oem"] == shown["Oem"]
        back = await change(house, uri, {"Oem": {"Taskfish": {"Accepted": None}}})
        assert "Accepted" not in back.json()["Oem"]["Taskfish"]


async def test_if_match_decides_which_version_is_changed(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        uri = f"{ACCOUNTS}/{name}"
        etag = (await house.client.get(uri)).headers["ETag"]
        refused = {"If-Match": '"other"'}
        stale = await house.client.delete(uri, headers=refused)
        assert stale.status_code == 412
        first = await change(house, uri, {"RoleId": "Operator"}, **{"If-Match": etag})
        assert first.status_code == 200
        second = await change(house, uri, {"Enabled": False}, **{"If-Match": etag})
        assert second.status_code == 412
        assert message_keys(second) == ["PreconditionFailed"]
        both = f"{etag}, {first.headers['ETag']}"
        assert (
            await change(house, uri, {"Enabled": False}, **{"If-Match": both})
        ).is_success
        assert (
            await change(house, uri, {"Enabled": True}, **{"If-Match": "*"})
        ).is_success


async def test_if_match_reads_as_that_of_the_task_service(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        uri = f"{ACCOUNTS}/{name}"
        for tag in ('"other", *', "*, *", 'W/"other"'):
            answer = await change(house, uri, {"Enabled": True}, **{"If-Match": tag})
            assert answer.status_code == 412
        etag = (await house.client.get(uri)).headers["ETag"]
        headers = [("If-Match", '"other"'), ("If-Match", f"W/{etag}")]
        ok = await house.client.patch(uri, json={"Enabled": True}, headers=headers)
        assert ok.status_code == 200


async def test_etag_is_another_after_each_change_of_the_password(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        uri = f"{ACCOUNTS}/{name}"
        etag = {"If-Match": (await house.client.get(uri)).headers["ETag"]}
        first = await change(house, uri, {"Password": "another-one-8"}, **etag)
        second = await change(house, uri, {"Password": "another-one-9"}, **etag)
        assert (first.status_code, second.status_code) == (200, 412)
        assert first.headers["ETag"] == (await house.client.get(uri)).headers["ETag"]
        assert await logs_in(house, name, "another-one-8")


async def test_etag_of_an_account_made_again_is_another(house: House) -> None:
    body = account_body("ReadOnly")
    made = []
    for _ in range(2):
        made.append(await house.client.post(ACCOUNTS, json=body))
        gone = await house.client.delete(made[-1].headers["Location"])
        assert gone.status_code == 204
    first, second = (answer.json() for answer in made)
    assert first.pop("@odata.etag") != second.pop("@odata.etag")
    assert first == second


async def test_head_of_an_account_tells_no_more_than_its_get(house: House) -> None:
    async with account(house, "ReadOnly") as user, account(house, "Operator") as other:
        for method in ("GET", "HEAD"):
            for name, status in ((user[0], 200), (other[0], 403), (USER, 403)):
                uri = f"{ACCOUNTS}/{name}"
                answer = await house.client.request(method, uri, auth=user)
                assert answer.status_code == status
                assert ("ETag" in answer.headers) is (status == 200)


async def test_only_one_of_two_changes_of_a_version_wins(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        uri = f"{ACCOUNTS}/{name}"
        etag = {"If-Match": (await house.client.get(uri)).headers["ETag"]}
        answers = await asyncio.gather(
            change(house, uri, {"RoleId": "Operator"}, **etag),
            change(house, uri, {"Enabled": False}, **etag),
        )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "NoOperation"),
        ({"@odata.id": "/x"}, "NoOperation"),
        ({"Bogus": 1}, "PropertyUnknown"),
        ({"Password": "another-one-8", "Bogus": 1}, "PropertyUnknown"),
        ({"UserName": "other"}, "PropertyNotWritable"),
        ({"Id": "other"}, "PropertyNotWritable"),
        ({"Password": "short"}, "PasswordIncorrectLength"),
        ({"Password": None}, "PropertyValueTypeError"),
        ({"Enabled": None}, "PropertyValueTypeError"),
        ({"Locked": True}, "PropertyValueNotInList"),
        ({"RoleId": "operator"}, "PropertyValueNotInList"),
    ],
)
async def test_bad_change_changes_nothing(
    house: House, body: dict[str, Any], key: str
) -> None:
    async with account(house, "ReadOnly") as (name, _):
        before = (await house.client.get(f"{ACCOUNTS}/{name}")).json()
        answer = await change(house, f"{ACCOUNTS}/{name}", body)
        assert answer.status_code == 400
        assert message_keys(answer) == [key]
        assert (await house.client.get(f"{ACCOUNTS}/{name}")).json() == before
        assert await logs_in(house, name)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_account_is_404(house: House, method: str) -> None:
    body = {"Enabled": False} if method == "PATCH" else None
    answer = await house.client.request(method, f"{ACCOUNTS}/nobody", json=body)
    assert answer.status_code == 404
    assert message_keys(answer) == ["ResourceMissingAtURI"]


async def test_administrator_of_the_settings_stays(house: House) -> None:
    shown = await house.client.get(ADMIN)
    assert shown.json()["RoleId"] == "Administrator"
    assert shown.headers["Allow"] == "GET, HEAD"
    assert ADMIN in members(await house.client.get(ACCOUNTS))
    for answer in (
        await house.client.delete(ADMIN),
        await change(house, ADMIN, {"Password": "another-one-8"}),
    ):
        assert answer.status_code == 405
        assert message_keys(answer) == ["OperationNotAllowed"]
        assert "TASKFISH_ADMIN_PASSWORD" in answer.text
    assert (await house.client.get(ADMIN)).status_code == 200


async def test_administrator_is_not_locked_out(house: House) -> None:
    await fail_to_log_in(house, USER, 7)
    assert (await house.client.get(ADMIN)).json()["Locked"] is False


async def test_without_its_password_there_is_no_administrator(house: House) -> None:
    async with (
        account(house, "Administrator") as user,
        another_api(house, admin_password=None) as client,
    ):
        for password in ("", "None"):
            answer = await client.get(ACCOUNTS, auth=(USER, password))
            assert answer.status_code == 401
        found = members(await client.get(ACCOUNTS, auth=user))
        missing = await client.get(ADMIN, auth=user)
    assert found == [f"{ACCOUNTS}/{user[0]}"]
    assert missing.status_code == 404


async def test_too_many_failures_lock_an_account(fresh: House) -> None:
    async with account(fresh, "Operator") as (name, _):
        uri = f"{ACCOUNTS}/{name}"
        assert await logs_in(fresh, name)
        await fail_to_log_in(fresh, name, 4)
        assert await logs_in(fresh, name)
        await fail_to_log_in(fresh, name, 1)
        assert (await fresh.client.get(uri)).json()["Locked"] is True
        assert not await logs_in(fresh, name)
        unlocked = await change(fresh, uri, {"Locked": False})
        assert unlocked.json()["Locked"] is False
        assert await logs_in(fresh, name)


async def test_lock_ends_after_its_duration(fresh: House) -> None:
    await change(fresh, ACCOUNT_SERVICE, {"AccountLockoutThreshold": 1})
    async with account(fresh, "Operator") as (name, _):
        await fail_to_log_in(fresh, name, 1)
        assert not await logs_in(fresh, name)
        async with fresh.store.write() as connection:
            ended = update(table).where(table.c.name == name)
            await connection.execute(ended.values(locked_until=datetime.now(UTC)))
        assert await logs_in(fresh, name)


async def test_failures_at_once_do_not_pass_the_lock(fresh: House) -> None:
    await change(fresh, ACCOUNT_SERVICE, {"AccountLockoutThreshold": 2})
    async with account(fresh, "Operator") as (name, _):
        wrong = [logs_in(fresh, name, f"wrong-password-{n}") for n in range(6)]
        assert await asyncio.gather(*wrong) == [False] * 6
        assert not await logs_in(fresh, name)


async def test_login_of_nobody_takes_as_long_as_a_wrong_one(
    costly: httpx.AsyncClient,
) -> None:
    async def seconds(name: str) -> float:
        begun = time.monotonic()
        answer = await costly.get(ROLES, auth=(name, "wrong-password"))
        assert answer.status_code == 401
        return time.monotonic() - begun

    body = account_body("Operator")
    made = await costly.post(ACCOUNTS, json=body)
    known = [await seconds(body["UserName"]) for _ in range(3)]
    unknown = [await seconds("nobody") for _ in range(3)]
    admin = [await seconds(USER) for _ in range(3)]
    assert (await costly.delete(made.headers["Location"])).status_code == 204
    assert min(unknown) > min(known) / 3
    assert min(admin) > min(known) / 3


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Bearer x", "Basic YQ==", ""])
async def test_header_that_says_nobody_is_401(house: House, header: str) -> None:
    request = house.client.build_request(
        "GET", ACCOUNTS, headers={"Authorization": header}
    )
    answer = await house.client.send(request, auth=None)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_password_is_verified_once_in_a_while(
    house: House, verified: list[str]
) -> None:
    async with account(house, "ReadOnly") as (name, password):
        for _ in range(5):
            assert await logs_in(house, name)
        assert len(verified) == 1
        async with another_api(house) as client:
            for _ in range(2):
                answer = await client.get(ROLES, auth=(name, password))
                assert answer.status_code == 200
        assert len(verified) == 2


async def test_wrong_password_is_verified_each_time(
    house: House, verified: list[str]
) -> None:
    async with account(house, "ReadOnly") as (name, _):
        await fail_to_log_in(house, name, 3)
        assert len(verified) == 3


async def test_new_password_is_verified_anew(house: House, verified: list[str]) -> None:
    async with account(house, "ReadOnly") as (name, _):
        assert await logs_in(house, name)
        await change(house, f"{ACCOUNTS}/{name}", {"Password": "another-one-8"})
        for _ in range(2):
            assert await logs_in(house, name, "another-one-8")
        assert len(set(verified)) == len(verified) == 2


async def test_password_is_not_remembered_for_longer_than_its_time(
    house: House, verified: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.logins.REMEMBERED_SECONDS", 0)
    async with account(house, "ReadOnly") as (name, _):
        for _ in range(2):
            assert await logs_in(house, name)
        assert len(verified) == 2


async def test_remembered_password_is_that_of_the_account(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        logins = Logins(kept_accounts(house), house.settings)
        assert await logins.account(name, PASSWORD)
        assert await logins.account(name, PASSWORD + "x") is None
        assert await logins.account(name + "o", PASSWORD[1:]) is None
        await change(house, f"{ACCOUNTS}/{name}", {"Password": "another-one-8"})
        assert await logins.account(name, PASSWORD) is None
        assert await logins.account(name, "another-one-8")


async def test_remembered_login_outlives_a_silent_store(house: House) -> None:
    async with account(house, "ReadOnly") as (name, _):
        kept = Silenced(house.store, AccountSettings(house.store, house.settings))
        logins = Logins(kept, house.settings)
        assert await logins.account(name, PASSWORD)
        kept.silent = True
        assert await logins.account(name, PASSWORD)
        assert await logins.account(USER, "gatekeeper")
        with pytest.raises(StoreUnavailableError):
            await logins.account(name, "wrong-password")


async def test_rules_are_shown_and_changed(fresh: House) -> None:
    shown = await fresh.client.get(ACCOUNT_SERVICE)
    assert shown.json().items() >= POLICY.items()
    assert shown.headers["Allow"] == "GET, HEAD, PATCH"
    body = {"MinPasswordLength": 12, "AccountLockoutThreshold": 3}
    etag = {"If-Match": shown.headers["ETag"]}
    changed = await change(fresh, ACCOUNT_SERVICE, body, **etag)
    assert [changed.json()[name] for name in POLICY] == [12, 3, 60, 60]
    again = await change(fresh, ACCOUNT_SERVICE, body, **etag)
    assert again.status_code == 412
    weak = await fresh.client.post(
        ACCOUNTS, json=account_body("ReadOnly", Password="only-eleven")
    )
    assert message_keys(weak) == ["PasswordIncorrectLength"]
    assert "12 to 128" in weak.text


async def test_only_one_of_four_changes_of_the_rules_wins(fresh: House) -> None:
    etag = {"If-Match": (await fresh.client.get(ACCOUNT_SERVICE)).headers["ETag"]}
    other = dict(zip(POLICY, (12, 3, 90, 30), strict=True))
    answers = await asyncio.gather(
        *(
            change(fresh, ACCOUNT_SERVICE, {name: value}, **etag)
            for name, value in other.items()
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    shown = (await fresh.client.get(ACCOUNT_SERVICE)).json()
    assert len([name for name in POLICY if shown[name] != POLICY[name]]) == 1


async def test_changes_at_once_make_no_rules_that_are_refused(fresh: House) -> None:
    answers = await asyncio.gather(
        change(fresh, ACCOUNT_SERVICE, {"AccountLockoutDuration": 120}),
        change(fresh, ACCOUNT_SERVICE, {"AccountLockoutCounterResetAfter": 90}),
        change(fresh, ACCOUNT_SERVICE, {"AccountLockoutDuration": 60}),
    )
    assert {answer.status_code for answer in answers} <= {200, 400}
    shown = (await fresh.client.get(ACCOUNT_SERVICE)).json()
    assert shown["AccountLockoutCounterResetAfter"] <= shown["AccountLockoutDuration"]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "NoOperation"),
        ({"MinPasswordLength": 7}, "PropertyValueOutOfRange"),
        ({"MinPasswordLength": 129}, "PropertyValueOutOfRange"),
        ({"MinPasswordLength": "8"}, "PropertyValueTypeError"),
        ({"AccountLockoutThreshold": -1}, "PropertyValueOutOfRange"),
        ({"AccountLockoutDuration": 59}, "PropertyValueConflict"),
        ({"AccountLockoutCounterResetAfter": 61}, "PropertyValueConflict"),
        ({"AccountLockoutDuration": None}, "PropertyValueTypeError"),
        ({"ServiceEnabled": False}, "PropertyNotWritable"),
        ({"Bogus": 1}, "PropertyUnknown"),
    ],
)
async def test_bad_rules_are_refused(
    fresh: House, body: dict[str, Any], key: str
) -> None:
    answer = await change(fresh, ACCOUNT_SERVICE, body)
    assert answer.status_code == 400
    assert message_keys(answer) == [key]
    shown = (await fresh.client.get(ACCOUNT_SERVICE)).json()
    assert shown.items() >= POLICY.items()


def test_setting_that_counts_longer_than_it_locks_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASKFISH_ACCOUNT_LOCKOUT_DURATION", "59")
    with pytest.raises(ConfigurationError, match="LOCKOUT_COUNTER_RESET_AFTER"):
        load_settings()
    monkeypatch.setenv("TASKFISH_ACCOUNT_LOCKOUT_DURATION", "0")
    assert load_settings().account_lockout_counter_reset_after == 60


async def test_roles_have_the_standard_privileges(house: House) -> None:
    found = members(await house.client.get(ROLES))
    assert found == [f"{ROLES}/{n}" for n in ("Administrator", "Operator", "ReadOnly")]
    operator = (await house.client.get(found[1])).json()
    assert operator["AssignedPrivileges"] == [
        "Login",
        "ConfigureComponents",
        "ConfigureSelf",
    ]
    assert operator["IsPredefined"] is True
    changed = await change(house, found[1], {"AssignedPrivileges": ["Login"]})
    assert changed.status_code == 405
    assert (await house.client.get(f"{ROLES}/Root")).status_code == 404


async def test_root_links_to_the_accounts(house: House) -> None:
    root = (await house.client.get("/redfish/v1")).json()
    assert root["AccountService"] == {"@odata.id": ACCOUNT_SERVICE}


class Silenced(Accounts):
    """Accounts whose store can be made to answer no more."""

    silent = False

    async def get(self, name: str) -> Account | None:
        """Return an account, or fail as a store does that is away."""
        if self.silent:
            raise StoreUnavailableError("the store does not answer")
        return await super().get(name)


def kept_accounts(house: House) -> Accounts:
    return Accounts(house.store, AccountSettings(house.store, house.settings))
