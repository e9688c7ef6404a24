"""`@Redfish.OperationApplyTime`: what is offered, and what is refused at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue

from tests.api.answers import message_keys
from tests.house import SOURCES, House
from tests.plugins.scripted_service import http, scripted

ROOT = "/redfish/v1"
TASK_SERVICE = f"{ROOT}/TaskService"
SYSTEM = f"{ROOT}/Systems/bmc1.1"
VOLUMES = f"{SYSTEM}/Storage/1/Volumes"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
SIMPLE_UPDATE = f"{ROOT}/UpdateService/Actions/UpdateService.SimpleUpdate"
APPLY_TIME = "@Redfish.OperationApplyTime"
SUPPORT = "@Redfish.OperationApplyTimeSupport"
WINDOW = "@Redfish.MaintenanceWindow"
IN_WINDOW = "AtMaintenanceWindowStart, InMaintenanceWindowOnReset"
START, SECONDS = "MaintenanceWindowStartTime", "MaintenanceWindowDurationInSeconds"
ALL = ["Immediate", "OnReset", "AtMaintenanceWindowStart", "InMaintenanceWindowOnReset"]
WITHOUT_WINDOW = ["Immediate", "OnReset"]
FOR_RESETS = ["Immediate", "AtMaintenanceWindowStart"]
SOON = datetime.now(UTC) + timedelta(hours=1)
ON = {"ResetType": "On"}
BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])


def window(start: datetime = SOON, seconds: JsonValue = 3600) -> dict[str, JsonValue]:
    """Return a maintenance window as requests give it."""
    return {START: start.isoformat(), SECONDS: seconds}


async def read(house: House, uri: str) -> dict[str, Any]:
    """Read a resource."""
    answer = await house.client.get(uri)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def offered(house: House, uri: str) -> list[str]:
    """Return the apply times that a collection offers."""
    values: list[str] = (await read(house, uri))[SUPPORT]["SupportedValues"]
    return values


@pytest.fixture
async def windowed(house: House) -> AsyncIterator[House]:
    """Give a gateway that has a maintenance window of its own."""
    answer = await house.client.patch(TASK_SERVICE, json={WINDOW: window()})
    assert answer.status_code == 200, answer.text
    yield house
    as_at_first = {WINDOW: None, "TaskMonitorAutoExpirySeconds": 3600}
    answer = await house.client.patch(TASK_SERVICE, json=as_at_first)
    assert answer.status_code == 200, answer.text


async def refused(
    house: House, uri: str, body: dict[str, Any], method: str = "POST"
) -> tuple[str, str]:
    """Send a change that is refused with 400; return the message's key and how to
    mend it.
    """
    before = sum(house.emulator.report(None, None).requests.values())
    answer = await house.client.request(method, uri, json=body)
    assert answer.status_code == 400, answer.text
    (key,) = set(message_keys(answer))
    assert sum(house.emulator.report(None, None).requests.values()) == before
    return key, answer.json()["error"]["@Message.ExtendedInfo"][0]["Resolution"]


@BOTH
async def test_collection_offers_what_the_gateway_takes(
    house: House, machine: str
) -> None:
    uri = f"{ROOT}/Systems/{machine}.1/Storage/1/Volumes"
    house.emulator.set_modes(machine, apply_times=False)
    body = await read(house, uri)
    assert body[SUPPORT] == {
        "@odata.type": "#Settings.v1_4_0.OperationApplyTimeSupport",
        "SupportedValues": WITHOUT_WINDOW,
    }


async def test_collection_that_takes_no_members_offers_nothing(house: House) -> None:
    assert SUPPORT not in await read(house, f"{SYSTEM}/Storage")
    assert SUPPORT not in await read(house, SYSTEM)


@BOTH
async def test_actions_offer_what_the_gateway_takes(house: House, machine: str) -> None:
    system = await read(house, f"{ROOT}/Systems/{machine}.1")
    actions = system["Actions"]
    reset = actions["#ComputerSystem.Reset"]
    assert reset[SUPPORT]["SupportedValues"] == ["Immediate"]
    assert reset["ResetType@Redfish.AllowableValues"]
    order = actions["#ComputerSystem.SetDefaultBootOrder"]
    assert order[SUPPORT]["SupportedValues"] == WITHOUT_WINDOW


async def test_window_is_offered_with_its_values(windowed: House) -> None:
    support = (await read(windowed, VOLUMES))[SUPPORT]
    assert support["SupportedValues"] == ALL
    assert support["MaintenanceWindowResource"] == {"@odata.id": TASK_SERVICE}
    own = (await read(windowed, TASK_SERVICE))[WINDOW]
    assert (support[START], support[SECONDS]) == (own[START], own[SECONDS])
    assert own["@odata.type"] == "#Settings.v1_4_0.MaintenanceWindow"
    system = await read(windowed, SYSTEM)
    reset = system["Actions"]["#ComputerSystem.Reset"]
    assert reset[SUPPORT]["SupportedValues"] == FOR_RESETS


async def test_updates_offer_what_the_gateway_takes(windowed: House) -> None:
    service = await read(windowed, f"{ROOT}/UpdateService")
    update = service["Actions"]["#UpdateService.SimpleUpdate"]
    assert update[SUPPORT]["SupportedValues"] == ALL


async def test_metadata_names_the_schema(house: House) -> None:
    document = (await house.client.get(f"{ROOT}/$metadata")).text
    assert 'Namespace="Settings.v1_4_0"' in document


async def test_window_that_is_over_is_not_offered(house: House) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=1)
    short = window(ends - timedelta(seconds=10), 10)
    answer = await house.client.patch(TASK_SERVICE, json={WINDOW: short})
    assert answer.status_code == 200, answer.text
    assert await offered(house, VOLUMES) == ALL
    while datetime.now(UTC) < ends:
        assert await offered(house, VOLUMES) in (ALL, WITHOUT_WINDOW)
    assert await offered(house, VOLUMES) == WITHOUT_WINDOW
    body = {APPLY_TIME: "AtMaintenanceWindowStart"}
    assert (await refused(house, VOLUMES, body))[0] == "PropertyValueOutOfRange"
    await house.client.patch(TASK_SERVICE, json={WINDOW: None})


@pytest.mark.parametrize(
    ("uri", "body", "key"),
    [
        (VOLUMES, {APPLY_TIME: "Later"}, "PropertyValueNotInList"),
        (VOLUMES, {APPLY_TIME: "onreset"}, "PropertyValueNotInList"),
        (VOLUMES, {APPLY_TIME: "OnStartUpdateRequest"}, "PropertyValueNotInList"),
        (VOLUMES, {APPLY_TIME: None}, "PropertyValueTypeError"),
        (VOLUMES, {APPLY_TIME: ["OnReset"]}, "PropertyValueTypeError"),
        (RESET, {**ON, APPLY_TIME: "Later"}, "ActionParameterValueNotInList"),
        (RESET, {**ON, APPLY_TIME: 5}, "ActionParameterValueTypeError"),
        (
            SIMPLE_UPDATE,
            {"ImageURI": "http://images/1.bin", APPLY_TIME: "Never"},
            "ActionParameterValueNotInList",
        ),
    ],
)
async def test_values_that_cannot_be_are_refused(
    windowed: House, uri: str, body: dict[str, Any], key: str
) -> None:
    if uri == SIMPLE_UPDATE:
        body = {**body, "Targets": [f"{ROOT}/Systems/bmc1.1"]}
    refusal = await refused(windowed, uri, body)
    assert refusal[0] == key
    if "TypeError" not in key:
        wanted = FOR_RESETS if uri == RESET else ALL
        assert ", ".join(wanted) in refusal[1]


@pytest.mark.parametrize(
    ("uri", "body", "fitting"),
    [
        (VOLUMES, {APPLY_TIME: "OnReset", WINDOW: window()}, IN_WINDOW),
        (VOLUMES, {APPLY_TIME: "Immediate", WINDOW: None}, IN_WINDOW),
        (
            RESET,
            {**ON, APPLY_TIME: "Immediate", WINDOW: window()},
            "AtMaintenanceWindowStart",
        ),
    ],
)
async def test_window_that_would_not_be_waited_for_is_refused(
    windowed: House, uri: str, body: dict[str, Any], fitting: str
) -> None:
    key, words = await refused(windowed, uri, body)
    assert key.endswith("ValueNotInList")
    assert words.endswith(f"Choose one of {fitting}.")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "true"), (None, "null"), ({"Password": "hush"}, "********")],
)
async def test_refused_value_is_shown_as_it_came(
    house: House, value: JsonValue, shown: str
) -> None:
    for uri, body in ((VOLUMES, {}), (RESET, ON)):
        answer = await house.client.post(uri, json={**body, APPLY_TIME: value})
        (info,) = answer.json()["error"]["@Message.ExtendedInfo"]
        assert info["MessageArgs"][0] == shown


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_values_are_checked_in_every_method(house: House, method: str) -> None:
    uri = SYSTEM if method == "PATCH" else f"{VOLUMES}/1"
    key, _ = await refused(house, uri, {APPLY_TIME: "Later"}, method)
    assert key == "PropertyValueNotInList"


@pytest.mark.parametrize("value", ["OnReset", "InMaintenanceWindowOnReset"])
@pytest.mark.parametrize(
    "uri",
    [
        RESET,
        f"{ROOT}/Managers/bmc1.1/Actions/Manager.Reset",
        f"{ROOT}/Chassis/bmc1.1/Actions/Chassis.Reset",
    ],
)
async def test_reset_waits_for_no_reset(windowed: House, uri: str, value: str) -> None:
    body = {"ResetType": "ForceRestart", APPLY_TIME: value}
    key, how = await refused(windowed, uri, body)
    assert key in ("ActionParameterValueNotInList", "ActionNotSupported")
    if key == "ActionParameterValueNotInList":
        assert how == "Choose one of Immediate, AtMaintenanceWindowStart."


@pytest.mark.parametrize(
    "value", ["AtMaintenanceWindowStart", "InMaintenanceWindowOnReset"]
)
async def test_window_is_required(house: House, value: str) -> None:
    key, how = await refused(house, VOLUMES, {APPLY_TIME: value})
    assert key == "PropertyMissing"
    assert TASK_SERVICE in how


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (None, "PropertyValueTypeError"),
        ("tonight", "PropertyValueTypeError"),
        ({}, "PropertyMissing"),
        ({SECONDS: 60}, "PropertyMissing"),
        ({START: SOON.isoformat()}, "PropertyMissing"),
        ({START: "tonight", SECONDS: 60}, "PropertyValueFormatError"),
        ({START: "2030-01-01T00:00:00", SECONDS: 60}, "PropertyValueFormatError"),
        ({START: "2030-02-30T00:00:00Z", SECONDS: 60}, "PropertyValueFormatError"),
        ({START: "0001-01-01T00:00:00+23:00", SECONDS: 60}, "PropertyValueFormatError"),
        ({START: "9999-12-31T00:00:00Z", SECONDS: 60}, "PropertyValueFormatError"),
        ({START: 1893456000, SECONDS: 60}, "PropertyValueTypeError"),
        ({START: "2999-01-01T00:00:00Z", SECONDS: 60}, "PropertyValueOutOfRange"),
        ({START: "2020-01-01T00:00:00Z", SECONDS: 60}, "PropertyValueOutOfRange"),
        (window(seconds=0), "PropertyValueOutOfRange"),
        (window(seconds=-1), "PropertyValueOutOfRange"),
        (window(seconds=10**12), "PropertyValueOutOfRange"),
        (window(seconds="60"), "PropertyValueTypeError"),
        (window(seconds=True), "PropertyValueTypeError"),
        ({**window(), "Length": 1}, "PropertyUnknown"),
    ],
)
async def test_windows_that_cannot_be_are_refused(
    house: House, given: JsonValue, key: str
) -> None:
    body = {APPLY_TIME: "AtMaintenanceWindowStart", WINDOW: given}
    assert key == (await refused(house, VOLUMES, body))[0]
    if given is None:
        return
    before = (await read(house, TASK_SERVICE))["@odata.etag"]
    assert key == (await refused(house, TASK_SERVICE, {WINDOW: given}, "PATCH"))[0]
    assert (await read(house, TASK_SERVICE))["@odata.etag"] == before


async def test_own_window_is_changed_in_part(windowed: House) -> None:
    before = await read(windowed, TASK_SERVICE)
    body = {WINDOW: {SECONDS: 60}, "TaskMonitorAutoExpirySeconds": 3000}
    answer = await windowed.client.patch(TASK_SERVICE, json=body)
    after = answer.json()
    assert answer.status_code == 200
    assert after[WINDOW] == {**before[WINDOW], SECONDS: 60}
    assert after["TaskMonitorAutoExpirySeconds"] == 3000
    assert after["@odata.etag"] != before["@odata.etag"]
    stale = {"If-Match": before["@odata.etag"]}
    answer = await windowed.client.patch(TASK_SERVICE, json=body, headers=stale)
    assert answer.status_code == 412


async def test_own_window_is_taken_away(windowed: House) -> None:
    answer = await windowed.client.patch(TASK_SERVICE, json={WINDOW: None})
    assert WINDOW not in answer.json()
    assert WINDOW not in await read(windowed, TASK_SERVICE)
    assert await offered(windowed, VOLUMES) == WITHOUT_WINDOW


@asynccontextmanager
async def source_without_systems(house: House) -> AsyncIterator[str]:
    """Add a Redfish service that has a Manager and no System; give the Manager."""
    async with scripted() as service:
        managers: JsonValue = {"@odata.id": f"{ROOT}/Managers"}
        root: JsonValue = {
            "@odata.id": ROOT,
            "RedfishVersion": "1.6.0",
            "Managers": managers,
        }
        manager: JsonValue = {"@odata.id": f"{ROOT}/Managers/1", "Id": "1", "Name": "m"}
        member: JsonValue = {"@odata.id": f"{ROOT}/Managers/1"}
        members: JsonValue = {"Members": [member], "Members@odata.count": 1}
        service.on(f"GET {ROOT}", http(200, root))
        service.on(f"GET {ROOT}/Managers", http(200, members))
        service.on(f"GET {ROOT}/Managers/1", http(200, manager))
        final = await house.add_source("bare", service.url, "Redfish", "password")
        assert final.status_code == 201, final.text
        yield f"{ROOT}/Managers/bare.1"
    assert (await house.client.delete(f"{SOURCES}/bare")).status_code == 204


async def test_nothing_is_reset_where_no_system_is(windowed: House) -> None:
    async with source_without_systems(windowed) as manager:
        body = {"DateTime": "2030-01-01T00:00:00Z", APPLY_TIME: "OnReset"}
        key, how = await refused(windowed, manager, body, "PATCH")
        assert key == "PropertyValueNotInList"
        assert ", ".join(FOR_RESETS) in how


async def test_apply_time_makes_a_task_in_any_case(house: House) -> None:
    body = {"AssetTag": "a", APPLY_TIME: "Immediate"}
    accepted = await house.change("PATCH", SYSTEM, body, Prefer="wait=10")
    assert "Preference-Applied" not in accepted.headers
    assert (await house.ended(accepted))["TaskState"] == "Completed"
