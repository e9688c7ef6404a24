"""Every row of the privilege table: one who may and one who may not, for each method.

Asked of what stands before the routes, without HTTP: there are thousands of them.
"""

import json
import re
from dataclasses import replace
from importlib.resources import files

import pytest
from fastapi import Request

from api.authentication import User
from api.front import METHODS
from api.privileges import privileged
from taskfish.errors import RequestRefusedError
from taskfish.redfish.account_resources import ACCOUNTS
from taskfish.redfish.event_resources import SUBSCRIPTIONS
from taskfish.redfish.messages import status_of
from taskfish.redfish.privileges import PRIVILEGES, ROLES
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.session_resources import SESSIONS


def facts(name: str) -> dict[str, object]:
    text = files("taskfish.redfish").joinpath(name).read_text("utf-8")
    found: dict[str, object] = json.loads(text)
    return found


def paths_of_the_schemas() -> list[str]:
    uris = facts("schema.json")["uris"]
    assert isinstance(uris, dict)
    return [re.sub(r"\{\w+\}", "x", uri) for uri in uris]


PATHS = paths_of_the_schemas()
USERS = {
    role: User(f"a-{role}", role, frozenset(privileges), accepted=None)
    for role, privileges in ROLES.items()
}
MUST_CHANGE = replace(USERS["Administrator"], password_change_required=True)


async def may(user: User, method: str, path: str) -> bool:
    """Say whether a request of the user passes."""
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    try:
        await privileged(Request({**scope, "raw_path": path.encode()}), user)
    except RequestRefusedError as refused:
        return status_of(refused.messages[0]) != 403
    return True


def needed(method: str, path: str) -> frozenset[str]:
    """Return the privileges of which one is enough at the door.

    One's own password is a property; sessions, subscriptions and accounts are one's
    own where they are, and elsewhere ConfigureSelf is nothing.
    """
    found = PRIVILEGES.needed(method, path)
    found |= PRIVILEGES.needed_for_any_property(method, path)
    may_be_own = path in (f"{SESSIONS}/x", f"{SUBSCRIPTIONS}/x")
    return found if may_be_own else found - {"ConfigureSelf"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", METHODS)
async def test_row_lets_in_who_has_a_privilege_that_it_names(
    method: str, role: str
) -> None:
    user = USERS[role]
    for path in PATHS:
        has_one = bool(needed(method, path) & user.privileges)
        assert await may(user, method, path) is has_one, path


@pytest.mark.parametrize("method", METHODS)
async def test_every_row_has_one_who_may_and_one_who_may_not(method: str) -> None:
    for path in PATHS:
        assert await may(USERS["Administrator"], method, path), path
        assert not await may(MUST_CHANGE, method, path), path
        if not needed(method, path) & {"Login", "ConfigureSelf"}:
            assert not await may(USERS["ReadOnly"], method, path), path


async def test_action_needs_what_a_post_of_its_resource_needs() -> None:
    for path in PATHS:
        kind = SCHEMA.kind_at(path)
        assert kind is not None
        for action, alike in ((f"{kind.type}.Anything", True), ("Oem/Acme.X", False)):
            for role, user in USERS.items():
                expected = (
                    await may(user, "POST", path) if alike else role == "Administrator"
                )
                uri = f"{path}/Actions/{action}"
                assert await may(user, "POST", uri) is expected, uri


async def test_own_account_takes_configure_self() -> None:
    for user in USERS.values():
        for method in ("GET", "HEAD", "PATCH"):
            assert await may(user, method, f"{ACCOUNTS}/{user.name}")
    for method in ("DELETE", "PUT", "POST"):
        assert not await may(USERS["Operator"], method, f"{ACCOUNTS}/a-Operator")


def test_every_type_of_the_schemas_is_one_of_the_registry() -> None:
    found = {kind.type for path in PATHS if (kind := SCHEMA.kind_at(path))}
    rows = facts("privileges.json")["rows"]
    assert isinstance(rows, list)
    entities = {entity for row in rows for entity in row["entities"]}
    assert found <= entities
    assert len(PATHS) > 500
