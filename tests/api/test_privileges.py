"""Privileges: one who may and one who may not, for each kind of request."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from api.app import OPEN, PARTS
from api.authentication import User as Asking
from api.front import METHODS
from api.privileges import may_read_answer, may_see, require_owner_or
from taskfish.errors import RequestRefusedError
from taskfish.redfish.privileges import PRIVILEGES, ROLES
from tests.api.accounts import ACCOUNT_SERVICE, ACCOUNTS, User, account
from tests.api.answers import message_keys
from tests.api.events import SERVICE as EVENT_SERVICE
from tests.api.events import STREAM, SUBMIT, SUBSCRIPTIONS
from tests.api.sessions import SESSION_SERVICE, SESSIONS
from tests.house import USER, House

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/node9.1"
MANAGER = f"{ROOT}/Managers/node9.1"
GATEWAY = f"{ROOT}/Managers/taskfish"
SOURCES = f"{ROOT}/AggregationService/AggregationSources"
UPDATE = f"{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate"
PLACE = re.compile(r"\{\w+\}")
ANYTHING = "{path:path}"
"""What leads to a source, or to nothing: asked for by each path that is sent."""
LEAST = {
    "Login": "ReadOnly",
    "ConfigureSelf": "ReadOnly",
    "ConfigureComponents": "Operator",
    "ConfigureManager": "Administrator",
    "ConfigureUsers": "Administrator",
}
"""The role with the fewest privileges that has this one."""


@pytest.fixture(scope="module")
async def users(shared_house: House) -> AsyncIterator[dict[str, User]]:
    """Give an account of each role."""
    async with AsyncExitStack() as stack:
        yield {
            role: await stack.enter_async_context(account(shared_house, role))
            for role in ROLES
        }


def routes(router: APIRouter) -> Iterator[tuple[str, str]]:
    """Yield method and path of each route, with an `x` for what varies."""
    for route in router.routes:
        assert isinstance(route, APIRoute)
        path = PLACE.sub("x", route.path)
        for method in route.methods or ():
            yield method, path


def test_every_route_behind_the_login_has_a_row() -> None:
    behind = {found for part in PARTS for found in routes(part.router)}
    rows = {found for found in behind if not found[1].endswith(ANYTHING)}
    assert {found for found in rows if not PRIVILEGES.knows(*found)} == set()
    assert len(rows) > 20


def test_what_is_open_is_declared() -> None:
    found = {each for router in OPEN for each in routes(router)}
    changing = {each for each in found if each[0] not in ("GET", "HEAD")}
    assert {path for _, path in found - changing} == {
        "/redfish",
        ROOT,
        f"{ROOT}/",
        f"{ROOT}/odata",
        f"{ROOT}/$metadata",
        f"{ROOT}/Schemas/Taskfish_v1.xml",
        f"{ROOT}/openapi.yaml",
        "/healthz",
        "/readyz",
        "/codec/login",
    }
    assert changing == {
        ("POST", SESSIONS),
        ("POST", f"{SESSIONS}/Members"),
        ("POST", "/codec/login"),
        ("POST", "/codec/logout"),
        ("POST", "/southbound/events/x"),
    }


async def test_every_row_lets_in_who_may_and_nobody_else(
    shared_house: House, users: dict[str, User]
) -> None:
    behind = {found for part in PARTS for found in routes(part.router)}
    for method, path in sorted(behind):
        if path.endswith(ANYTHING):
            continue
        needed = PRIVILEGES.needed(method, path)
        # One's own session or subscription is one that there is: its route says 404.
        self_counts = path.startswith((f"{SESSIONS}/", f"{SUBSCRIPTIONS}/"))
        for role, privileges in ROLES.items():
            held = set(privileges) - (set() if self_counts else {"ConfigureSelf"})
            body = None if method in ("GET", "HEAD", "DELETE") else {"Bogus": 1}
            # A stream of events is none for who takes JSON only.
            answer = await shared_house.client.request(
                method,
                path,
                json=body,
                auth=users[role],
                headers={"Accept": "application/json"},
            )
            refused = answer.status_code == 403
            assert refused is not bool(needed & held), f"{role} {method} {path}"
            assert answer.status_code < 500, f"{role} {method} {path}: {answer.text}"


@pytest.mark.parametrize("method", [*METHODS, "FAKEMETHODFORTEST"])
async def test_no_path_behind_the_login_is_open(
    shared_house: House, method: str
) -> None:
    known = (SYSTEM, ACCOUNTS, f"{ROOT}/TaskService", SESSION_SERVICE, f"{SESSIONS}/x")
    for path in (*known, f"{ROOT}/Nothing", f"{SESSIONS}/x/Members", "/"):
        request = shared_house.client.build_request(method, path)
        answer = await shared_house.client.send(request, auth=None)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", f"{ROOT}/Systems", "Login"),
        ("GET", SYSTEM, "Login"),
        ("GET", f"{ROOT}/TaskService", "Login"),
        ("GET", f"{ROOT}/TaskService/Tasks/x", "Login"),
        ("GET", f"{ROOT}/TaskService/TaskMonitors/x", "Login"),
        ("GET", SOURCES, "Login"),
        ("GET", ACCOUNT_SERVICE, "Login"),
        ("GET", ACCOUNTS, "Login"),
        ("HEAD", ACCOUNTS, "Login"),
        ("GET", f"{ACCOUNT_SERVICE}/Roles/ReadOnly", "Login"),
        ("GET", f"{SYSTEM}/ResetActionInfo", "Login"),
        ("GET", f"{ROOT}/Registries", "Login"),
        ("GET", f"{ROOT}/Registries/x", "Login"),
        ("GET", f"{ROOT}/JsonSchemas", "Login"),
        ("GET", f"{ROOT}/JsonSchemas/x", "Login"),
        ("GET", GATEWAY, "Login"),
        ("GET", f"{GATEWAY}/LogServices", "Login"),
        ("GET", f"{GATEWAY}/LogServices/Audit", "Login"),
        ("GET", f"{GATEWAY}/LogServices/Audit/Entries", "ConfigureManager"),
        ("GET", f"{GATEWAY}/LogServices/Audit/Entries/1", "ConfigureManager"),
        ("GET", f"{GATEWAY}/LogServices/Audit/Entries/1/x", "ConfigureManager"),
        ("POST", f"{SYSTEM}/Actions/ComputerSystem.Reset", "ConfigureComponents"),
        ("PATCH", SYSTEM, "ConfigureComponents"),
        ("PUT", f"{SYSTEM}/Bios/Settings", "ConfigureComponents"),
        ("POST", f"{SYSTEM}/Storage/1/Volumes", "ConfigureComponents"),
        ("DELETE", f"{SYSTEM}/Storage/1/Volumes/1", "ConfigureComponents"),
        ("POST", UPDATE, "ConfigureComponents"),
        ("POST", f"{MANAGER}/Actions/Manager.Reset", "ConfigureManager"),
        ("PATCH", f"{MANAGER}/EthernetInterfaces/1", "ConfigureManager"),
        ("POST", SOURCES, "ConfigureManager"),
        ("POST", f"{SOURCES}/Members", "ConfigureManager"),
        ("PATCH", f"{SOURCES}/x", "ConfigureManager"),
        ("DELETE", f"{SOURCES}/x", "ConfigureManager"),
        ("GET", f"{MANAGER}/NetworkProtocol/HTTPS/Certificates", "ConfigureManager"),
        ("GET", f"{ROOT}/Nothing", "ConfigureManager"),
        ("GET", f"{SYSTEM}/Oem/Acme", "ConfigureManager"),
        ("POST", f"{SYSTEM}/Actions/Oem/Acme.Explode", "ConfigureManager"),
        ("GET", "/metrics", "ConfigureManager"),
        ("GET", f"{ACCOUNTS}/{USER}", "ConfigureUsers"),
        ("POST", ACCOUNTS, "ConfigureUsers"),
        ("POST", f"{ACCOUNTS}/Members", "ConfigureUsers"),
        ("PATCH", f"{ACCOUNTS}/nobody", "ConfigureUsers"),
        ("DELETE", f"{ACCOUNTS}/nobody", "ConfigureUsers"),
        ("PATCH", ACCOUNT_SERVICE, "ConfigureUsers"),
        ("GET", SESSION_SERVICE, "Login"),
        ("PATCH", SESSION_SERVICE, "ConfigureManager"),
        ("GET", SESSIONS, "Login"),
        ("GET", f"{SESSIONS}/x", "ConfigureSelf"),
        ("DELETE", f"{SESSIONS}/x", "ConfigureSelf"),
        ("PATCH", f"{SESSIONS}/x/y", "ConfigureManager"),
        ("GET", EVENT_SERVICE, "Login"),
        ("PATCH", EVENT_SERVICE, "ConfigureManager"),
        ("POST", SUBMIT, "ConfigureManager"),
        ("HEAD", STREAM, "Login"),
        ("GET", SUBSCRIPTIONS, "Login"),
        ("POST", SUBSCRIPTIONS, "ConfigureComponents"),
        ("GET", f"{SUBSCRIPTIONS}/x", "Login"),
        ("PATCH", f"{SUBSCRIPTIONS}/x", "ConfigureSelf"),
        ("DELETE", f"{SUBSCRIPTIONS}/x", "ConfigureSelf"),
        ("PATCH", f"{SUBSCRIPTIONS}/x/y", "ConfigureManager"),
        (
            "POST",
            f"{MANAGER}/RemoteAccountService/Accounts",
            "ConfigureUsers",
        ),
    ],
)
async def test_one_may_and_one_may_not(
    shared_house: House,
    users: dict[str, User],
    method: str,
    path: str,
    needed: str,
) -> None:
    body = None if method in ("GET", "HEAD") else {"Bogus": 1}
    least = list(ROLES).index(LEAST[needed])
    for number, role in enumerate(ROLES):
        answer = await shared_house.client.request(
            method, path, json=body, auth=users[role]
        )
        if number <= least:
            assert answer.status_code in (200, 400, 404), answer.text
        else:
            assert answer.status_code == 403
            assert message_keys(answer) == ["InsufficientPrivilege"]
            assert needed in answer.text


async def test_refused_change_reaches_nothing(
    house: House, users: dict[str, User]
) -> None:
    uri = f"{ROOT}/Systems/node1.1/Actions/ComputerSystem.Reset"
    body = {"ResetType": "ForceOff"}
    answer = await house.client.post(uri, json=body, auth=users["ReadOnly"])
    assert answer.status_code == 403
    assert house.emulator.executions() == []
    accepted = await house.client.post(uri, json=body, auth=users["Operator"])
    assert accepted.status_code == 202
    await house.ended(accepted)


async def test_update_needs_what_its_targets_need(
    shared_house: House, users: dict[str, User]
) -> None:
    body = {"ImageURI": "http://images.example/bmc.bin", "Targets": [MANAGER]}
    refused = await shared_house.client.post(UPDATE, json=body, auth=users["Operator"])
    unknown = await shared_house.client.post(UPDATE, json=body)
    assert refused.status_code == 403
    assert unknown.status_code == 404


async def test_update_without_targets_may_be_one_of_a_bmc(
    shared_house: House, users: dict[str, User]
) -> None:
    image = {"ImageURI": "http://images.example/any.bin"}
    for body in (image, {**image, "Targets": []}):
        for role, status in (("Operator", 403), ("Administrator", 400)):
            answer = await shared_house.client.post(UPDATE, json=body, auth=users[role])
            assert answer.status_code == status
            assert ("ConfigureManager" in answer.text) is (status == 403)


async def test_update_of_a_system_is_the_operators(
    shared_house: House, users: dict[str, User]
) -> None:
    body = {"ImageURI": "http://images.example/bios.bin", "Targets": [SYSTEM]}
    for role, status in (("ReadOnly", 403), ("Operator", 404)):
        answer = await shared_house.client.post(UPDATE, json=body, auth=users[role])
        assert answer.status_code == status


@pytest.mark.parametrize(
    "path",
    [
        f"{SYSTEM}/%41ctions/ComputerSystem.Reset",
        f"{ROOT}/%53ystems/node9.1/Actions/ComputerSystem.Reset",
        f"{SYSTEM}/Oem/Acme/Actions%3Fx/ComputerSystem.Reset",
    ],
)
async def test_encoded_path_gains_nothing(
    shared_house: House, users: dict[str, User], path: str
) -> None:
    for role in ("Operator", "ReadOnly"):
        answer = await shared_house.client.post(path, json={}, auth=users[role])
        assert answer.status_code == 403


async def test_own_account_is_ones_own(shared_house: House) -> None:
    async with account(shared_house, "ReadOnly") as user:
        own = f"{ACCOUNTS}/{user[0]}"
        shown = await shared_house.client.get(own, auth=user)
        assert shown.status_code == 200
        for body in (
            {"RoleId": "Administrator"},
            {"Password": "another-one-8", "RoleId": "Administrator"},
            {"Locked": False},
            {"Bogus": 1},
        ):
            refused = await shared_house.client.patch(own, json=body, auth=user)
            assert refused.status_code == 403
            assert message_keys(refused) == ["InsufficientPrivilege"]
        assert (await shared_house.client.delete(own, auth=user)).status_code == 403
        changed = await shared_house.client.patch(
            own, json={"@odata.id": own, "Password": "another-one-8"}, auth=user
        )
        assert changed.status_code == 200
        assert (await shared_house.client.get(own, auth=user)).status_code == 401
        new = (user[0], "another-one-8")
        shown = await shared_house.client.get(own, auth=new)
        assert shown.json()["RoleId"] == "ReadOnly"


async def test_account_of_another_is_not_ones_own(
    shared_house: House, users: dict[str, User]
) -> None:
    other = f"{ACCOUNTS}/{users['Administrator'][0]}"
    body = {"Password": "another-one-8"}
    for role in ("Operator", "ReadOnly"):
        for uri in (other, f"{ACCOUNTS}/{USER}", f"{ACCOUNTS}/nobody"):
            client, user = shared_house.client, users[role]
            read = await client.get(uri, auth=user)
            changed = await client.patch(uri, json=body, auth=user)
            assert (read.status_code, changed.status_code) == (403, 403)


async def test_role_that_was_taken_away_counts_at_once(shared_house: House) -> None:
    async with account(shared_house, "Operator") as user:
        before = await shared_house.client.patch(SYSTEM, json={}, auth=user)
        uri = f"{ACCOUNTS}/{user[0]}"
        await shared_house.client.patch(uri, json={"RoleId": "ReadOnly"})
        after = await shared_house.client.patch(SYSTEM, json={}, auth=user)
    assert (before.status_code, after.status_code) == (404, 403)


async def test_password_that_must_change_opens_only_that(
    shared_house: House,
) -> None:
    client = shared_house.client
    more = {"PasswordChangeRequired": True}
    async with account(shared_house, "Administrator", **more) as user:
        own = f"{ACCOUNTS}/{user[0]}"
        for method, uri in (
            ("GET", f"{ROOT}/Systems"),
            ("GET", ACCOUNTS),
            ("POST", ACCOUNTS),
            ("DELETE", own),
            ("GET", f"{ACCOUNTS}/{USER}"),
        ):
            refused = await client.request(method, uri, auth=user)
            assert refused.status_code == 403
            assert message_keys(refused) == ["PasswordChangeRequired"]
            assert own in refused.text
        new_password = {"Password": "another-one-8"}
        for body in (
            {},
            {"PasswordChangeRequired": False},
            {"Enabled": True},
            {"Bogus": 1},
            {**new_password, "PasswordChangeRequired": False},
            {**new_password, "RoleId": "Operator"},
        ):
            refused = await client.patch(own, json=body, auth=user)
            assert refused.status_code == 403
            assert message_keys(refused) == ["PasswordChangeRequired"]
        shown = await client.get(own, auth=user)
        assert shown.json()["PasswordChangeRequired"] is True
        same = await client.patch(own, json={"Password": user[1]}, auth=user)
        assert same.status_code == 400
        assert message_keys(same) == ["PasswordReuseTooRecent"]
        changed = await client.patch(own, json=new_password, auth=user)
        assert changed.json()["PasswordChangeRequired"] is False
        new = (user[0], "another-one-8")
        assert (await client.get(f"{ROOT}/Systems", auth=new)).status_code == 200


async def test_password_of_an_administrator_may_have_to_change_again(
    shared_house: House,
) -> None:
    async with account(shared_house, "ReadOnly") as (name, _):
        body = {"Password": "another-one-8", "PasswordChangeRequired": True}
        uri = f"{ACCOUNTS}/{name}"
        changed = await shared_house.client.patch(uri, json=body)
        assert changed.json()["PasswordChangeRequired"] is True
        refused = await shared_house.client.get(
            f"{ROOT}/Systems", auth=(name, "another-one-8")
        )
        assert refused.status_code == 403


def asking(name: str, role: str) -> Asking:
    return Asking(name, role, frozenset(ROLES[role]), accepted=None)


def test_answer_is_its_owners_and_the_managers(shared_house: House) -> None:
    assert may_read_answer(asking("eve", "ReadOnly"), "eve")
    assert may_read_answer(asking("adam", "Administrator"), "eve")
    assert not may_read_answer(asking("adam", "Operator"), "eve")


def test_task_is_seen_by_all_but_in_owner_only_mode(shared_house: House) -> None:
    open_to_all = shared_house.settings
    owner_only = open_to_all.model_copy(update={"owner_only": True})
    stranger = asking("adam", "Operator")
    assert may_see(stranger, "eve", open_to_all)
    assert not may_see(stranger, "eve", owner_only)
    assert may_see(stranger, "adam", owner_only)
    assert may_see(asking("root", "Administrator"), "eve", owner_only)


def test_only_owner_and_manager_pass() -> None:
    require_owner_or(asking("eve", "ReadOnly"), "eve", "ConfigureManager")
    require_owner_or(asking("adam", "Administrator"), "eve")
    with pytest.raises(RequestRefusedError, match="ConfigureManager"):
        require_owner_or(asking("adam", "Operator"), "eve")
