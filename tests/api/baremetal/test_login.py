"""Who may what at the bare-metal door, and how everything else is refused there."""

import pytest

from tests.api.accounts import account
from tests.api.baremetal.ironic import (
    NEWEST,
    NODES,
    V1,
    fault,
    get,
    open_door,
    put_power,
)
from tests.api.test_service import without_temporal
from tests.house import PASSWORD, TASKS, USER, House

ADMIN = (USER, PASSWORD)
POWER = f"{NODES}/bmc1.1/states/power"
REBOOT = {"target": "rebooting"}
NOT_USED = {"X-Auth-Token": "notused"}
AUDIT = "/redfish/v1/Managers/taskfish/LogServices/Audit/Entries"


@pytest.mark.parametrize("path", [NODES, f"{NODES}/bmc1.1", f"{V1}/nowhere", POWER])
async def test_all_but_the_versions_needs_a_login(house: House, path: str) -> None:
    async with open_door(house) as asking:
        for auth in (None, (USER, "wrong-password")):
            answer = await asking.get(path, auth=auth)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
            assert "password" in fault(answer)


async def test_body_is_not_read_before_the_login(house: House) -> None:
    async with open_door(house) as asking:
        answer = await asking.put(POWER, content=b"{", headers=NEWEST)
    assert answer.status_code == 401


async def test_privileges_are_those_of_the_reset(house: House) -> None:
    async with account(house, "ReadOnly") as reader, account(house, "Operator") as user:
        assert (await get(house, "nodes", auth=reader)).status_code == 200
        assert (await get(house, "nodes/bmc1.1", auth=reader)).status_code == 200
        refused = await put_power(house, "bmc1.1", "rebooting", auth=reader)
        assert refused.status_code == 403
        assert "ConfigureComponents" in fault(refused)
        taken = await put_power(house, "bmc1.1", "rebooting", auth=user)
        assert taken.status_code == 202


async def test_password_has_to_be_changed_first(house: House) -> None:
    async with account(house, "Operator", PasswordChangeRequired=True) as user:
        for path in ("nodes", "nodes/bmc1.1", "drivers"):
            refused = await get(house, path, auth=user)
            assert refused.status_code == 403
            assert "has to be changed" in fault(refused)


async def test_without_login_this_machine_is_the_administrator(house: House) -> None:
    async with open_door(house, baremetal_auth="none") as asking:
        for headers in ({}, NOT_USED, {"Authorization": "Basic nonsense"}):
            answer = await asking.get(NODES, headers=headers)
            assert answer.status_code == 200
        answer = await asking.put(POWER, json=REBOOT, headers=NOT_USED)
        assert answer.status_code == 202
        elsewhere = await asking.get("/redfish/v1/Systems", headers=NOT_USED)
        assert elsewhere.status_code == 401
    task = (await house.client.get(f"{TASKS}/{answer.headers['Task-Id']}")).json()
    assert task["Oem"]["Taskfish"]["Owner"] == USER


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("127.0.0.1", "10.0.0.7"),
        ("evil.example", "127.0.0.1"),
        ("10.0.0.1", "127.0.0.1"),
        ("127.0.0.1.evil.example", "127.0.0.1"),
    ],
)
async def test_without_login_nobody_else_gets_in(
    house: House, host: str, client: str
) -> None:
    async with open_door(house, host, client, baremetal_auth="none") as asking:
        assert (await asking.get(NODES)).status_code == 401
        assert (await asking.get(NODES, auth=ADMIN)).status_code == 200


@pytest.mark.parametrize(
    ("host", "client"), [("localhost:8000", "127.0.0.1"), ("[::1]:8000", "::1")]
)
async def test_this_machine_has_several_names(
    house: House, host: str, client: str
) -> None:
    async with open_door(house, host, client, baremetal_auth="none") as asking:
        assert (await asking.get(NODES)).status_code == 200


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "VIA"]
)
async def test_without_login_nobody_gets_in_through_a_proxy(
    house: House, name: str
) -> None:
    headers = {name: "for=127.0.0.1"}
    async with open_door(house, baremetal_auth="none") as asking:
        assert (await asking.get(NODES, headers=headers)).status_code == 401
        answer = await asking.get(NODES, headers=headers, auth=ADMIN)
        assert answer.status_code == 200


async def test_without_login_no_page_of_another_origin_changes_power(
    house: House,
) -> None:
    async with open_door(house, baremetal_auth="none") as asking:
        headers = {"Origin": "http://evil.example"}
        refused = await asking.put(POWER, json=REBOOT, headers=headers)
    assert refused.status_code == 403
    assert "origin" in fault(refused)


async def test_changes_and_refusals_are_audited(house: House) -> None:
    taken = await put_power(house, "bmc1.1", "rebooting")
    task_id = taken.headers["Task-Id"]
    async with account(house, "ReadOnly") as reader:
        refused = await put_power(house, "bmc1.1", "rebooting", auth=reader)
        entries = (await house.client.get(AUDIT)).text
    assert refused.status_code == 403
    assert task_id in entries
    assert POWER in entries
    assert refused.headers["X-Request-Id"] in entries


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{V1}/ports", 404),
        ("GET", f"{V1}/nodes/bmc1.1//states", 404),
        ("POST", NODES, 405),
        ("DELETE", f"{NODES}/bmc1.1", 405),
        ("PATCH", "/baremetal", 405),
        ("FROB", POWER, 405),
    ],
)
async def test_what_is_not_there_is_refused_in_ironics_form(
    house: House, method: str, path: str, status: int
) -> None:
    answer = await house.client.request(method, path, headers=NEWEST)
    assert answer.status_code == status
    assert fault(answer)
    assert ("Allow" in answer.headers) == (status == 405)


async def test_silence_of_temporal_is_a_503_in_ironics_form(house: House) -> None:
    async with without_temporal(house) as client:
        answer = await client.get(f"{NODES}/bmc1.1", headers=NEWEST)
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
        assert fault(answer)
        answer = await client.get(f"{NODES}?fields=name", headers=NEWEST)
        assert len(answer.json()["nodes"]) == 3


async def test_too_many_headers_are_refused_in_ironics_form(house: House) -> None:
    many = {f"X-{number}": "x" for number in range(200)}
    answer = await house.client.get(NODES, headers=many)
    assert answer.status_code == 431
    assert "headers" in fault(answer)
