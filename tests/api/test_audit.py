"""The audit log: who did what, from where, and what came of it; and who may read it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from taskfish.redfish.log_resources import AUDIT, AUDIT_ENTRIES
from taskfish.store.audit import AuditLog, AuditRecord
from tests.api.accounts import ACCOUNTS, PASSWORD, account, account_body
from tests.api.answers import message_keys
from tests.api.test_service import ROOT
from tests.house import PASSWORD as ADMIN_PASSWORD
from tests.house import SOURCES, USER, House, client_of

SESSIONS = f"{ROOT}/SessionService/Sessions"
LONGEST_WAIT = 10.0
_numbers = itertools.count(1)


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Give the gateway by an API of its own, which has seen no refusals yet."""
    app, shared = create_app(house.settings, house.temporal), house.client
    async with client_of(app, (USER, ADMIN_PASSWORD)) as house.client:
        # With its first request the administrator logs in.
        await house.client.get(f"{ROOT}/Systems")
        yield house
    house.client = shared


def new_id() -> dict[str, str]:
    """Return the header that marks a request of this test."""
    return {"X-Request-Id": f"audit-{next(_numbers)}"}


async def entries(house: House, uri: str = AUDIT_ENTRIES) -> list[dict[str, Any]]:
    """Return the newest entries of the log."""
    answer = await house.client.get(uri)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["Members"]
    return found


async def noted(house: House, mark: dict[str, str]) -> list[dict[str, Any]]:
    """Return what is noted of the request that was marked."""
    return [
        entry
        for entry in await entries(house)
        if entry["Oem"]["Taskfish"]["RequestId"] == mark["X-Request-Id"]
    ]


async def the_one(house: House, mark: dict[str, str]) -> dict[str, Any]:
    """Return the only entry of the request that was marked."""
    (entry,) = await noted(house, mark)
    return entry


async def test_start_of_a_task_is_noted_with_who_and_which(house: House) -> None:
    mark = new_id()
    uri = f"{ROOT}/Systems/node1.1/Actions/ComputerSystem.Reset"
    started = await house.change("POST", uri, {"ResetType": "ForceOff"}, **mark)
    entry = await the_one(house, mark)
    facts = entry["Oem"]["Taskfish"]
    assert (facts["Method"], facts["TargetResource"]) == ("POST", uri)
    assert (facts["Event"], facts["StatusCode"]) == ("Change", 202)
    assert facts["Task"] == started.json()["Id"]
    assert entry["Username"] == USER
    assert entry["OriginAddress"] == "http://127.0.0.1"
    assert entry["Severity"] == "OK"
    age = datetime.now(UTC) - datetime.fromisoformat(entry["Created"])
    assert abs(age) < timedelta(minutes=1)
    assert uri in entry["Message"]
    await house.ended(started)


async def test_commands_to_a_task_are_noted_with_it(house: House) -> None:
    await house.stop_worker()
    started = await house.reset("node1.1")
    task, name = started.json()["@odata.id"], started.json()["Id"]
    sent = [
        ("POST", f"{task}/Actions/Oem/Taskfish.Suspend"),
        ("POST", f"{task}/Actions/Oem/Taskfish.Resume"),
        ("DELETE", task),
        ("POST", f"{task}/Actions/Oem/Taskfish.Kill"),
        ("DELETE", started.headers["Location"]),
    ]
    for method, uri in sent:
        mark = new_id()
        answer = await house.client.request(method, uri, headers=mark)
        facts = (await the_one(house, mark))["Oem"]["Taskfish"]
        assert facts["StatusCode"] == answer.status_code
        assert (facts["Method"], facts["TargetResource"]) == (method, uri)
        assert facts["Task"] == name


async def test_changes_of_accounts_and_services_are_noted(house: House) -> None:
    body = account_body("ReadOnly")
    own = f"{ACCOUNTS}/{body['UserName']}"
    for method, uri, sent in (
        ("POST", ACCOUNTS, body),
        ("PATCH", own, {"Password": "another-one-8"}),
        ("PATCH", own, {"RoleId": "Nobody"}),
        ("DELETE", own, None),
        ("PATCH", f"{ROOT}/AccountService", {"AccountLockoutThreshold": 5}),
        ("PATCH", f"{ROOT}/TaskService", {"ServiceEnabled": True}),
        ("PATCH", f"{SOURCES}/node1", {"UserName": "admin"}),
        ("DELETE", f"{SOURCES}/audited", None),
    ):
        mark = new_id()
        answer = await house.client.request(method, uri, json=sent, headers=mark)
        entry = await the_one(house, mark)
        assert entry["Oem"]["Taskfish"]["Event"] == "Change"
        assert entry["Oem"]["Taskfish"]["StatusCode"] == answer.status_code
        assert entry["Severity"] == ("OK" if answer.is_success else "Warning")


async def test_polling_a_task_is_not_noted(house: House) -> None:
    await house.stop_worker()
    started = await house.reset("node1.1")
    for uri in (started.headers["Location"], started.json()["@odata.id"]):
        mark = new_id()
        answer = await house.client.get(uri, headers=mark)
        assert answer.is_success, answer.text
        assert await noted(house, mark) == []


@pytest.mark.parametrize("status", [500, 403])
async def test_each_change_that_fails_inline_is_noted_with_its_task(
    house: House, status: int
) -> None:
    """Its source refused it: the gateway has sent it."""
    house.emulator.set_modes("bmc1", fail=True, fail_status=status)
    uri = f"{ROOT}/Systems/bmc1.1/Actions/ComputerSystem.Reset"
    for _ in range(2):
        mark = new_id()
        body = {"ResetType": "ForceOff"}
        headers = mark | {"Prefer": "wait=10"}
        answer = await house.client.post(uri, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        facts = (await the_one(house, mark))["Oem"]["Taskfish"]
        assert (facts["Event"], facts["StatusCode"]) == ("Change", status)
        assert facts["Task"] == answer.headers["Task-Id"]
        assert facts["Repeated"] == 0


async def test_use_of_the_codec_is_noted(house: House) -> None:
    body: dict[str, Any] = {"payloads": []}
    async with account(house, "Administrator") as user:
        for path, event in (
            ("/codec/encode", "Change"),
            ("/codec/decode", "Decode"),
        ):
            mark = new_id()
            answer = await house.client.post(path, json=body, auth=user, headers=mark)
            assert answer.status_code == 200, answer.text
            found = [
                entry
                for entry in await noted(house, mark)
                if entry["Oem"]["Taskfish"]["Event"] == event
            ]
            assert len(found) == 1
            assert found[0]["Username"] == user[0]
            assert found[0]["Oem"]["Taskfish"]["TargetResource"] == path
        mark = new_id()
        for path in ("/codec/decode", "/codec/d%65code"):
            await house.client.post(path, json=body, auth=user, headers=mark)
        assert await noted(house, mark) == []


async def test_logout_of_a_browser_is_noted(house: House) -> None:
    async with account(house, "ReadOnly") as (name, password):
        mark = new_id() | {"Origin": "http://gateway"}
        async with client_of(create_app(house.settings, house.temporal)) as client:
            form = {"user": name, "password": password}
            headers = {"Origin": "http://gateway"}
            await client.post("/codec/login", data=form, headers=headers)
            answer = await client.post("/codec/logout", headers=mark)
            assert answer.status_code == 303
        entry = await the_one(house, mark)
    assert entry["Oem"]["Taskfish"]["Event"] == "Logout"
    assert entry["Username"] == name


async def test_reads_are_not_noted(house: House) -> None:
    for uri in (ROOT, f"{ROOT}/Systems", f"{ROOT}/Nothing", "/healthz", AUDIT):
        mark = new_id()
        await house.client.get(uri, headers=mark)
        assert await noted(house, mark) == []


async def test_basic_login_is_noted_once_and_not_with_each_request(
    house: House,
) -> None:
    async with account(house, "ReadOnly") as user:
        first, second = new_id(), new_id()
        for mark in (first, second):
            await house.client.get(f"{ROOT}/Systems", auth=user, headers=mark)
        entry = await the_one(house, first)
        assert entry["Oem"]["Taskfish"]["Event"] == "Login"
        assert entry["Username"] == user[0]
        assert await noted(house, second) == []


async def test_session_is_noted_when_it_begins_and_ends(house: House) -> None:
    begun, used, ended = new_id(), new_id(), new_id()
    async with account(house, "Operator") as (name, password):
        body = {"UserName": name, "Password": password}
        request = house.client.build_request("POST", SESSIONS, json=body, headers=begun)
        opened = await house.client.send(request, auth=None)
        assert opened.status_code == 201, opened.text
        token = {"X-Auth-Token": opened.headers["X-Auth-Token"]}
        for method, uri, mark in (
            ("GET", f"{ROOT}/Systems", used),
            ("DELETE", opened.headers["Location"], ended),
        ):
            request = house.client.build_request(method, uri, headers=token | mark)
            await house.client.send(request, auth=None)
    for mark, event in ((begun, "Login"), (ended, "Logout")):
        entry = await the_one(house, mark)
        assert entry["Oem"]["Taskfish"]["Event"] == event
        assert entry["Username"] == name
        assert token["X-Auth-Token"] not in str(entry)
    assert await noted(house, used) == []


async def test_login_by_a_browsers_form_is_noted(house: House) -> None:
    async with account(house, "ReadOnly") as (name, password):
        for given, event in ((password, "Login"), ("wrong-one-9", "LoginFailed")):
            mark = new_id() | {"Origin": "http://gateway"}
            form = {"user": name, "password": given}
            request = house.client.build_request(
                "POST", "/codec/login", data=form, headers=mark
            )
            await house.client.send(request, auth=None)
            entry = await the_one(house, mark)
            assert entry["Oem"]["Taskfish"]["Event"] == event
            assert entry["Username"] == name
            assert given not in str(entry)


async def test_wrong_password_is_noted_with_the_name_of_an_account(
    house: House,
) -> None:
    async with account(house, "ReadOnly") as (name, _):
        mark = new_id()
        wrong = (name, "not-the-password")
        await house.client.get(f"{ROOT}/Systems", auth=wrong, headers=mark)
        entry = await the_one(house, mark)
    assert entry["Oem"]["Taskfish"]["Event"] == "LoginFailed"
    assert entry["Username"] == name
    assert entry["Severity"] == "Warning"
    assert "not-the-password" not in str(entry)


async def test_text_that_is_no_accounts_name_is_not_kept(house: House) -> None:
    """A password may have gone into the field of the name."""
    mark = new_id()
    wrong = ("oops-my-password-1", "oops-my-password-1")
    await house.client.get(f"{ROOT}/Systems", auth=wrong, headers=mark)
    body = {"UserName": wrong[0], "Password": wrong[1]}
    request = house.client.build_request("POST", SESSIONS, json=body)
    await house.client.send(request, auth=None)
    shown = await entries(house)
    assert any(
        entry["Oem"]["Taskfish"]["Event"] == "LoginFailed" and "Username" not in entry
        for entry in shown
    )
    assert wrong[0] not in str(shown)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Auth-Token": "not-a-token-1"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer not-a-token-1"},
        {"Cookie": "taskfish-session=not-a-token-1"},
    ],
)
async def test_credentials_of_any_kind_that_fail_are_noted(
    house: House, headers: dict[str, str]
) -> None:
    before = (await house.client.get(AUDIT_ENTRIES)).json()["Members"]
    uri = f"{ROOT}/Systems/audit{next(_numbers)}"
    request = house.client.build_request("GET", uri, headers=headers)
    assert (await house.client.send(request, auth=None)).status_code == 401
    entry = (await entries(house))[0]
    assert entry["@odata.id"] != before[0]["@odata.id"]
    assert entry["Oem"]["Taskfish"]["TargetResource"] == uri
    assert entry["Oem"]["Taskfish"]["Event"] == "LoginFailed"
    assert "not-a-token-1" not in str(entry)


async def test_who_gives_no_credentials_is_not_noted(house: House) -> None:
    mark = new_id()
    request = house.client.build_request("GET", f"{ROOT}/Systems", headers=mark)
    assert (await house.client.send(request, auth=None)).status_code == 401
    assert await noted(house, mark) == []


async def test_refused_request_is_noted(house: House) -> None:
    async with account(house, "ReadOnly") as user:
        for method, uri in (("GET", AUDIT_ENTRIES), ("POST", ACCOUNTS)):
            mark = new_id()
            await house.client.request(
                method, uri, auth=user, headers=mark, json={"UserName": "x"}
            )
            found = [
                entry
                for entry in await noted(house, mark)
                if entry["Oem"]["Taskfish"]["Event"] == "Refused"
            ]
            assert len(found) == 1
            assert found[0]["Username"] == user[0]
            assert found[0]["Oem"]["Taskfish"]["StatusCode"] == 403


async def test_flood_of_refusals_is_one_entry_with_a_number(house: House) -> None:
    async with account(house, "ReadOnly") as user:
        for _ in range(12):
            await house.client.post(ACCOUNTS, json={}, auth=user)
        async with asyncio.timeout(LONGEST_WAIT):
            while True:
                refused = [
                    entry
                    for entry in await entries(house)
                    if entry["Oem"]["Taskfish"]["Event"] == "Refused"
                    and entry.get("Username") == user[0]
                ]
                assert len(refused) == 1
                if refused[0]["Oem"]["Taskfish"]["Repeated"] == 11:
                    break
                await asyncio.sleep(0.1)
    assert "11" in refused[0]["Message"]


async def test_nothing_secret_is_in_the_log(house: House) -> None:
    bodies = [
        (SOURCES, {"HostName": "http://127.0.0.1:9", "Password": "planted-secret-1"}),
        (ACCOUNTS, account_body("ReadOnly") | {"Password": "planted-secret-1"}),
    ]
    for uri, body in bodies:
        made = await house.client.post(f"{uri}?token=planted-secret-1", json=body)
        if made.status_code == 201:
            await house.client.delete(made.headers["Location"])
    async with house.store.read() as connection:
        rows = (await connection.execute(text("SELECT * FROM audit"))).all()
    shown = str(rows)
    assert len(rows) > 0
    for secret in ("planted-secret-1", PASSWORD, ADMIN_PASSWORD):
        assert secret not in shown


async def test_log_is_read_page_by_page_whatever_comes_meanwhile(
    house: House,
) -> None:
    log = AuditLog(house.store)
    record = AuditRecord(
        at=datetime.now(UTC),
        event="Login",
        user="paged",
        address="",
        method="GET",
        path="/",
        status=200,
        request_id="paged",
    )
    numbers = [await log.add(record) for _ in range(120)]
    uri, seen = AUDIT_ENTRIES, list[int]()
    while uri and len(seen) < 300:
        answer = (await house.client.get(uri)).json()
        seen += [int(entry["Id"]) for entry in answer["Members"]]
        uri = answer.get("Members@odata.nextLink")
        await log.add(record)
        if min(seen) <= numbers[0]:
            break
    assert set(numbers) <= set(seen)
    assert seen == sorted(set(seen), reverse=True)
    assert answer["Members@odata.count"] >= 120


async def test_one_entry_is_read_alone(house: House) -> None:
    mark = new_id()
    await house.client.delete(f"{SOURCES}/read-alone", headers=mark)
    entry = await the_one(house, mark)
    alone = (await house.client.get(entry["@odata.id"])).json()
    assert alone == entry
    assert entry["EntryType"] == "Oem"
    assert entry["OemRecordFormat"]


@pytest.mark.parametrize(
    "name", ["0", "-1", "x", "1.0", "01", "1e3", "9" * 18, "9" * 40, "%31"]
)
async def test_entry_that_is_not_there_is_404(house: House, name: str) -> None:
    answer = await house.client.get(f"{AUDIT_ENTRIES}/{name}")
    if name != "%31":
        assert answer.status_code == 404
        assert message_keys(answer) == ["ResourceMissingAtURI"]


@pytest.mark.parametrize("before", ["", "0", "-1", "x", "1 OR 1=1", "9" * 19, "１"])
async def test_page_that_nobody_was_given_is_refused(house: House, before: str) -> None:
    answer = await house.client.get(AUDIT_ENTRIES, params={"before": before})
    assert answer.status_code == 400
    assert message_keys(answer) == ["QueryParameterValueFormatError"]


async def test_page_before_the_first_entry_is_empty(house: House) -> None:
    assert await entries(house, f"{AUDIT_ENTRIES}?before=1") == []


async def test_only_managers_read_what_others_did(house: House) -> None:
    for role in ("ReadOnly", "Operator"):
        async with account(house, role) as user:
            for uri in (
                AUDIT_ENTRIES,
                f"{AUDIT_ENTRIES}/1",
                f"{AUDIT_ENTRIES}?before=9",
                f"{ROOT}/Managers/taskfish/LogServices/Audit/%45ntries",
            ):
                for method in ("GET", "HEAD"):
                    answer = await house.client.request(method, uri, auth=user)
                    assert answer.status_code == 403, uri


async def test_nobody_clears_the_log(house: House) -> None:
    service = (await house.client.get(AUDIT)).json()
    assert "Actions" not in service
    cleared = await house.client.post(f"{AUDIT}/Actions/LogService.ClearLog", json={})
    removed = await house.client.delete(f"{AUDIT_ENTRIES}/1")
    assert (cleared.status_code, removed.status_code) == (404, 405)


async def test_request_goes_on_when_the_log_cannot_be_written(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(house.settings, house.temporal)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app):
        await app.state.gateway.trail.close()
        async with house.store.write() as connection:
            await connection.execute(text("ALTER TABLE audit RENAME TO aside"))
        try:
            async with httpx.AsyncClient(
                transport=transport,
                base_url="http://gateway",
                auth=(USER, ADMIN_PASSWORD),
            ) as client:
                uri = f"{ROOT}/TaskService"
                changed = await client.patch(uri, json={"ServiceEnabled": True})
                listed = await client.get(AUDIT_ENTRIES)
        finally:
            async with house.store.write() as connection:
                await connection.execute(text("ALTER TABLE aside RENAME TO audit"))
    assert changed.status_code == 200
    assert listed.status_code == 503
    assert "the audit log misses" in caplog.text
    assert uri in caplog.text
    assert ADMIN_PASSWORD not in caplog.text
