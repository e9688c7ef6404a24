"""Aggregates: named groups of machines, and operations on them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import delete
from temporalio.client import Client

from taskfish.store.tables import aggregates, members
from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.bulk import (
    AGGREGATES,
    SYSTEMS,
    FleetHouse,
    fleet_house,
    machine,
    references,
)
from tests.api.events import newest, newest_events
from tests.conftest import KEY
from tests.fleet import Fleet
from tests.workflows.houses import words_of

RACK = f"{AGGREGATES}/rack"


@pytest.fixture(scope="module")
async def opened(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FleetHouse]:
    """Open the gateway of this file."""
    folder = tmp_path_factory.mktemp("fleet")
    async with fleet_house(temporal, folder, KEY, 4) as found:
        yield found


@pytest.fixture
async def fleet(opened: FleetHouse) -> AsyncIterator[FleetHouse]:
    """Give it with machines that have done nothing yet, and no aggregates."""
    vars(opened.fleet).update(vars(Fleet(4)))
    yield opened
    async with opened.house.store.write() as connection:
        await connection.execute(delete(aggregates))


async def made(fleet: FleetHouse, *names: str, **more: Any) -> httpx.Response:
    """Make the aggregate `rack` of these machines."""
    elements = references(*map(machine, names))
    body = {"Id": "rack", "Elements": elements} | more
    return await fleet.house.client.post(AGGREGATES, json=body)


async def elements(fleet: FleetHouse) -> list[str]:
    """Return the machines of `rack`, without their source."""
    found = (await fleet.house.client.get(RACK)).json()["Elements"]
    return [each["@odata.id"].rpartition(".")[2] for each in found]


async def act(fleet: FleetHouse, action: str, *uris: str) -> httpx.Response:
    """Send AddElements or RemoveElements."""
    body = {"Elements": references(*uris)}
    uri = f"{RACK}/Actions/Aggregate.{action}"
    return await fleet.house.client.post(uri, json=body)


async def test_aggregate_is_made_read_and_removed(fleet: FleetHouse) -> None:
    before, client = await newest(fleet.house), fleet.house.client
    answer = await made(fleet, "m1", "m2", Name="Rack 7")
    assert (answer.status_code, answer.headers["Location"]) == (201, RACK)
    found = await client.get(RACK)
    assert found.json() == answer.json()
    assert found.json()["Name"] == "Rack 7"
    assert found.json()["ElementsCount"] == 2
    assert found.headers["Allow"] == "GET, HEAD, DELETE"
    listed = (await client.get(AGGREGATES)).json()
    assert listed["Members"] == references(RACK)
    assert (await client.delete(RACK)).status_code == 204
    assert (await client.get(RACK)).status_code == 404
    told = [each.event for each in await newest_events(fleet.house, before)]
    keys = [each.message.message_id.rpartition(".")[2] for each in told]
    assert keys == ["ResourceCreated", "ResourceRemoved"]
    assert {each.origin for each in told} == {RACK}


async def test_aggregate_gets_an_id(fleet: FleetHouse) -> None:
    body = {"Elements": references(machine("m1"))}
    answer = await fleet.house.client.post(AGGREGATES, json=body)
    found = await fleet.house.client.get(answer.headers["Location"])
    assert found.json()["Name"] == found.json()["Id"]


@pytest.mark.parametrize(
    ("body", "status", "key"),
    [
        ({"Id": "new"}, 400, "PropertyMissing"),
        ({"Elements": "all"}, 400, "PropertyValueTypeError"),
        ({"Elements": [machine("m1")]}, 400, "PropertyValueTypeError"),
        ({"Elements": references(machine("m9"))}, 400, "ResourceMissingAtURI"),
        ({"Elements": references(SYSTEMS)}, 400, "PropertyValueNotInList"),
        ({"Elements": [], "Id": "a/b"}, 400, "PropertyValueFormatError"),
        ({"Elements": [], "Name": ""}, 400, "PropertyValueFormatError"),
        ({"Elements": [], "Color": "red"}, 400, "PropertyUnknown"),
        ({"Elements": [], "ElementsCount": 0}, 400, "PropertyNotWritable"),
        ({"Elements": [], "Id": "rack"}, 409, "ResourceAlreadyExists"),
    ],
)
async def test_bad_aggregate_is_refused(
    fleet: FleetHouse, body: dict[str, Any], status: int, key: str
) -> None:
    await made(fleet, "m1")
    answer = await fleet.house.client.post(AGGREGATES, json=body)
    assert answer.status_code == status, answer.text
    assert message_keys(answer)[0] == key


async def test_schema_lets_nobody_patch_it(fleet: FleetHouse) -> None:
    await made(fleet, "m1")
    answer = await fleet.house.client.patch(RACK, json={"Name": "other"})
    assert answer.status_code == 405


async def test_elements_come_and_go(fleet: FleetHouse) -> None:
    await made(fleet, "m1")
    added = [machine("m2"), machine("m1"), machine("m3")]
    assert (await act(fleet, "AddElements", *added)).status_code == 204
    assert await elements(fleet) == ["m1", "m2", "m3"]
    assert (await act(fleet, "RemoveElements", machine("m1"))).status_code == 204
    assert await elements(fleet) == ["m2", "m3"]


@pytest.mark.parametrize(
    ("action", "uri", "key"),
    [
        ("AddElements", machine("m9"), "ResourceMissingAtURI"),
        ("AddElements", SYSTEMS, "ActionParameterValueNotInList"),
        ("RemoveElements", machine("m2"), "ActionParameterValueNotInList"),
        ("RemoveElements", machine("m9"), "ActionParameterValueNotInList"),
    ],
)
async def test_other_elements_are_refused(
    fleet: FleetHouse, action: str, uri: str, key: str
) -> None:
    await made(fleet, "m1")
    answer = await act(fleet, action, uri)
    assert (answer.status_code, message_keys(answer)) == (400, [key])
    assert await elements(fleet) == ["m1"]


async def test_machine_that_is_no_element_is_not_called_missing(
    fleet: FleetHouse,
) -> None:
    await made(fleet, "m1")
    answer = await act(fleet, "RemoveElements", machine("m2"))
    (info,) = answer.json()["error"]["@Message.ExtendedInfo"]
    assert machine("m2") in info["Message"]
    assert info["Resolution"] == f"It is no element: read {RACK}."


async def test_change_needs_the_version_that_it_names(fleet: FleetHouse) -> None:
    old = (await made(fleet, "m1")).headers["ETag"]
    await act(fleet, "AddElements", machine("m2"))
    headers = {"If-Match": old}
    answer = await fleet.house.client.delete(RACK, headers=headers)
    assert answer.status_code == 412
    new = (await fleet.house.client.get(RACK)).headers["ETag"]
    answer = await fleet.house.client.delete(RACK, headers={"If-Match": new})
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("action", "left"), [("AddElements", 2), ("RemoveElements", 2)]
)
async def test_of_two_changes_of_one_version_one_is_made(
    fleet: FleetHouse, action: str, left: int
) -> None:
    """It is compared where it is changed: nobody comes in between."""
    before = ["m1"] if action == "AddElements" else ["m1", "m2", "m3"]
    version = (await made(fleet, *before)).headers["ETag"]
    uri = f"{RACK}/Actions/Aggregate.{action}"
    answers = await asyncio.gather(
        *(
            fleet.house.client.post(
                uri,
                json={"Elements": references(machine(name))},
                headers={"If-Match": version},
            )
            for name in ("m2", "m3")
        )
    )
    assert sorted(each.status_code for each in answers) == [204, 412]
    assert len(await elements(fleet)) == left


@pytest.mark.parametrize(
    ("action", "body"),
    [("Reset", {"ResetType": "ForceRestart"}), ("SetDefaultBootOrder", {})],
)
async def test_repeated_operation_on_an_aggregate_that_has_gone_is_the_same(
    fleet: FleetHouse, action: str, body: dict[str, str]
) -> None:
    await made(fleet, "m1")
    uri, key = f"{RACK}/Actions/Aggregate.{action}", {"Idempotency-Key": action}
    first = await fleet.house.change("POST", uri, body, **key)
    await fleet.house.ended(first)
    assert (await fleet.house.client.delete(RACK)).status_code == 204
    again = await fleet.house.client.post(uri, json=body, headers=key)
    assert again.headers["Task-Id"] == first.json()["Id"]
    assert (await fleet.house.client.post(uri, json=body)).status_code == 404
    assert fleet.fleet.counts == {"m1": 1}


async def test_aggregate_is_reset_by_one_task(fleet: FleetHouse) -> None:
    await made(fleet, "m1", "m2", "m3")
    body = {"ResetType": "ForceRestart", "BatchSize": 2}
    uri = f"{RACK}/Actions/Aggregate.Reset"
    task = await fleet.house.ended(await fleet.house.change("POST", uri, body))
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert task["Oem"]["Taskfish"]["Operation"] == "Aggregate.Reset"
    assert fleet.fleet.counts == {"m1": 1, "m2": 1, "m3": 1}


async def test_boot_orders_of_an_aggregate_are_set(fleet: FleetHouse) -> None:
    await made(fleet, "m1", "m2")
    uri = f"{RACK}/Actions/Aggregate.SetDefaultBootOrder"
    task = await fleet.house.ended(await fleet.house.change("POST", uri, {}))
    assert task["TaskStatus"] == "OK"
    assert fleet.fleet.counts == {"m1": 1, "m2": 1}


async def test_element_that_has_gone_is_a_failed_step(fleet: FleetHouse) -> None:
    await made(fleet, "m1", "m4")
    gone = members.c.id == "m4"
    async with fleet.house.store.write() as connection:
        await connection.execute(delete(members).where(gone))
    uri = f"{RACK}/Actions/Aggregate.Reset"
    accepted = await fleet.house.change("POST", uri, {"ResetType": "On"})
    task = await fleet.house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning")
    assert "fleet.m4 has ended as Exception: it is not in the inventory any more" in (
        words_of(task)
    )
    assert fleet.fleet.counts == {"m1": 1}
    steps = f"{accepted.json()['@odata.id']}/SubTasks"
    step = (await fleet.house.client.get(f"{steps}/fleet.m4")).json()
    assert step["TaskState"] == "Exception"


async def test_empty_aggregate_is_not_reset(fleet: FleetHouse) -> None:
    await made(fleet)
    uri = f"{RACK}/Actions/Aggregate.Reset"
    answer = await fleet.house.client.post(uri, json={"ResetType": "On"})
    assert answer.status_code == 400


@pytest.mark.parametrize(("role", "status"), [("Operator", 202), ("ReadOnly", 403)])
async def test_operators_may_reset_aggregates(
    fleet: FleetHouse, role: str, status: int
) -> None:
    await made(fleet, "m1")
    uri = f"{RACK}/Actions/Aggregate.Reset"
    async with account(fleet.house, role) as user:
        answer = await fleet.house.client.post(uri, json={}, auth=user)
        assert answer.status_code == status
        if status == 202:
            await fleet.house.ended(answer)


async def test_actions_are_described(fleet: FleetHouse) -> None:
    actions = (await made(fleet, "m1")).json()["Actions"]
    assert len(actions) == 4
    for action in actions.values():
        answer = await fleet.house.client.get(action["@Redfish.ActionInfo"])
        assert answer.status_code == 200
