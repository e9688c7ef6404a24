"""AggregationService.Reset and its like: one task for many machines, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.bulk import (
    BOOT_ORDERS,
    RESET,
    SERVICE,
    SYSTEMS,
    FleetHouse,
    fleet_house,
    machine,
    references,
    reset_body,
)
from tests.conftest import KEY
from tests.fleet import Fleet
from tests.house import TASKS
from tests.workflows.houses import until, words_of

ALL = 12


@pytest.fixture(scope="module")
async def opened(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FleetHouse]:
    """Open the gateway of this file."""
    folder = tmp_path_factory.mktemp("fleet")
    async with fleet_house(temporal, folder, KEY, ALL) as found:
        yield found


@pytest.fixture
async def fleet(opened: FleetHouse) -> AsyncIterator[FleetHouse]:
    """Give it with machines that have done nothing yet; leave nothing running."""
    vars(opened.fleet).update(vars(Fleet(ALL)))
    yield opened
    opened.fleet.hanging.clear()
    await opened.end_tasks()


async def test_all_machines_are_reset_once_by_one_task(fleet: FleetHouse) -> None:
    accepted = await fleet.reset()
    started = datetime.fromisoformat((await fleet.house.task(accepted))["StartTime"])
    task = await fleet.house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert task["PercentComplete"] == 100
    assert datetime.fromisoformat(task["StartTime"]) == started
    assert fleet.fleet.counts == dict.fromkeys(fleet.fleet.names, 1)
    assert (await fleet.house.final(accepted)).status_code == 204
    steps = await fleet.house.client.get(f"{accepted.json()['@odata.id']}/SubTasks")
    assert steps.json()["Members@odata.count"] == ALL


async def test_later_runs_are_the_same_task(fleet: FleetHouse) -> None:
    headers = {"Task-Id": "all-of-them", "Task-Tags": "night"}
    accepted = await fleet.reset(headers=headers, BatchSize=4)
    other = {"Tags": ["rack7"]}
    uri = f"{accepted.json()['@odata.id']}/Actions/Oem/Taskfish.SetTags"
    assert (await fleet.house.client.post(uri, json=other)).status_code == 204
    task = await fleet.house.ended(accepted)
    assert task["Oem"]["Taskfish"]["Tags"] == ["rack7"]
    assert len(await fleet.runs(accepted)) == 3
    assert (await fleet.house.final(accepted)).status_code == 204
    assert await fleet.told(accepted, "TaskStarted") == 1
    client, uri = fleet.house.client, accepted.json()["@odata.id"]

    async def is_listed() -> bool:
        listed = (await client.get(f"{TASKS}?state=ended")).json()["Members"]
        return [each["@odata.id"] for each in listed].count(uri) == 1

    await until(is_listed)
    assert (await client.delete(uri)).status_code == 204

    async def are_gone() -> bool:
        return not await fleet.runs(accepted)

    await until(are_gone)


async def test_batches_follow_each_other_after_their_delay(fleet: FleetHouse) -> None:
    names = fleet.fleet.names[:6]
    accepted = await fleet.reset(*names, BatchSize=3, DelayBetweenBatchesInSeconds=1)
    await fleet.house.ended(accepted)
    began = fleet.fleet.began
    first = max(began[name] for name in names[:3])
    assert min(began[name] for name in names[3:]) - first >= 1
    assert fleet.fleet.most_at_once <= 3


async def test_single_failures_stop_nothing(fleet: FleetHouse) -> None:
    fleet.fleet.refusing, fleet.fleet.failing = {"m2"}, {"m5", "m7"}
    accepted = await fleet.reset()
    task = await fleet.house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning")
    answer = await fleet.house.final(accepted)
    assert answer.status_code == 200
    told = answer.json()["@Message.ExtendedInfo"]
    words = " ".join(each["Message"] for each in told)
    assert all(f"fleet.{name} " in words for name in ("m2", "m5", "m7"))
    assert "9 are done, 3 have failed" in words_of(task)
    assert sum(fleet.fleet.counts.values()) == ALL - 1


async def test_failure_of_all_is_an_exception(fleet: FleetHouse) -> None:
    fleet.fleet.refusing = set(fleet.fleet.names)
    accepted = await fleet.reset(*fleet.fleet.names[:3])
    task = await fleet.house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert (await fleet.house.final(accepted)).status_code == 500


async def test_cancel_ends_what_runs_and_begins_nothing(fleet: FleetHouse) -> None:
    fleet.fleet.hanging = {"m3", "m4"}
    accepted = await fleet.reset(BatchSize=4)
    await until(lambda: len(fleet.fleet.counts) == 4)
    await fleet.house.client.delete(accepted.json()["@odata.id"])
    task = await fleet.house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "8 have not begun" in words_of(task)
    assert "cancelled by admin" in words_of(task)
    assert len(fleet.fleet.counts) == 4
    assert not fleet.fleet.running


async def test_cancel_between_batches_begins_nothing(fleet: FleetHouse) -> None:
    accepted = await fleet.reset(BatchSize=2, DelayBetweenBatchesInSeconds=600)
    await fleet.until_percent(accepted, 16)
    await fleet.house.client.delete(accepted.headers["Location"])
    task = await fleet.house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert len(fleet.fleet.counts) == 2


async def test_deadline_ends_it(fleet: FleetHouse) -> None:
    fleet.fleet.hanging = {"m1"}
    accepted = await fleet.reset(headers={"Task-Timeout": "1"}, BatchSize=1)
    task = await fleet.house.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "did not end within its time" in words_of(task)
    assert set(fleet.fleet.counts) == {"m1"}


async def test_suspended_operation_waits_and_goes_on(fleet: FleetHouse) -> None:
    accepted = await fleet.reset(BatchSize=2, DelayBetweenBatchesInSeconds=1)
    uri = accepted.json()["@odata.id"]
    await fleet.house.client.post(f"{uri}/Actions/Oem/Taskfish.Suspend", json={})
    await fleet.house.until(accepted, "Suspended")
    before = len(fleet.fleet.counts)
    await asyncio.sleep(1.3)
    assert len(fleet.fleet.counts) == before < ALL
    await fleet.house.client.post(f"{uri}/Actions/Oem/Taskfish.Resume", json={})
    task = await fleet.house.ended(accepted)
    assert task["TaskStatus"] == "OK"
    assert fleet.fleet.counts == dict.fromkeys(fleet.fleet.names, 1)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"BatchSize": -1}, "ActionParameterValueOutOfRange"),
        ({"BatchSize": "2"}, "ActionParameterValueTypeError"),
        ({"BatchSize": 1.5}, "ActionParameterValueTypeError"),
        ({"BatchSize": 10**9}, "ActionParameterValueOutOfRange"),
        ({"DelayBetweenBatchesInSeconds": -1}, "ActionParameterValueOutOfRange"),
        ({"DelayBetweenBatchesInSeconds": 10**9}, "ActionParameterValueOutOfRange"),
        ({"ResetType": "Sideways"}, "ActionParameterValueNotInList"),
        ({"ResetType": "PushPowerButton"}, "ActionNotSupported"),
        ({"TargetURIs": []}, "ActionParameterValueOutOfRange"),
        ({"TargetURIs": None}, "ActionParameterValueTypeError"),
        ({"TargetURIs": [machine("m1")]}, "ActionParameterValueTypeError"),
        ({"TargetURIs": references(machine("m99"))}, "ResourceMissingAtURI"),
        ({"TargetURIs": references(f"{SYSTEMS}/x.m1")}, "ResourceMissingAtURI"),
        ({"TargetURIs": references(SYSTEMS)}, "ActionParameterValueNotInList"),
        ({"TargetURIs": references(SERVICE)}, "ActionParameterValueNotInList"),
        ({"TargetURIs": references("m1")}, "ActionParameterValueNotInList"),
        (
            {"TargetURIs": references(f"{machine('m1')}/Storage/1")},
            "ActionParameterValueNotInList",
        ),
        ({"Systems": []}, "ActionParameterUnknown"),
    ],
)
async def test_bad_parameter_is_refused(
    fleet: FleetHouse, change: dict[str, Any], key: str
) -> None:
    answer = await fleet.house.client.post(RESET, json=reset_body("m1") | change)
    assert answer.status_code == 400, answer.text
    assert message_keys(answer)[0] == key
    assert not fleet.fleet.counts


async def test_targets_are_needed(fleet: FleetHouse) -> None:
    answer = await fleet.house.client.post(RESET, json={"ResetType": "On"})
    assert answer.status_code == 400
    assert message_keys(answer) == ["ActionParameterMissing"]


async def test_machine_named_twice_is_reset_once(fleet: FleetHouse) -> None:
    await fleet.house.ended(await fleet.reset("m1", "m2", "m1"))
    assert fleet.fleet.counts == {"m1": 1, "m2": 1}


async def test_boot_orders_are_set(fleet: FleetHouse) -> None:
    body = {"Systems": references(machine("m1"), machine("m2"))}
    accepted = await fleet.house.change("POST", BOOT_ORDERS, body)
    task = await fleet.house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    operation = task["Oem"]["Taskfish"]["Operation"]
    assert operation == "AggregationService.SetDefaultBootOrder"
    assert fleet.fleet.counts == {"m1": 1, "m2": 1}


async def test_operation_keeps_others_from_its_machines(fleet: FleetHouse) -> None:
    fleet.fleet.hanging = {"m1"}
    first = await fleet.reset("m1", "m2")
    await until(lambda: len(fleet.fleet.counts) == 2)
    reject = {"Task-Conflict": "reject"}
    single = f"{machine('m2')}/Actions/ComputerSystem.Reset"
    client = fleet.house.client
    answer = await client.post(single, json={"ResetType": "On"}, headers=reject)
    assert answer.status_code == 409
    answer = await client.post(RESET, json=reset_body("m2", "m3"), headers=reject)
    assert answer.status_code == 409
    assert first.json()["@odata.id"] in answer.text
    queued = await fleet.reset("m2", "m3", headers={"Task-Conflict": "queue"})
    await fleet.house.until(queued, "Pending")
    fleet.fleet.hanging.clear()
    assert (await fleet.house.ended(queued))["TaskStatus"] == "OK"
    assert fleet.fleet.counts == {"m1": 1, "m2": 2, "m3": 1}


@pytest.mark.parametrize("role", ["Operator", "ReadOnly"])
async def test_others_need_its_privilege(fleet: FleetHouse, role: str) -> None:
    async with account(fleet.house, role) as user:
        answer = await fleet.house.client.post(RESET, json=reset_body("m1"), auth=user)
    assert answer.status_code == 403
    assert not fleet.fleet.counts


async def test_parameters_are_described(fleet: FleetHouse) -> None:
    service = (await fleet.house.client.get(SERVICE)).json()
    assert service["Aggregates"] == {"@odata.id": f"{SERVICE}/Aggregates"}
    found: dict[str, httpx.Response] = {
        name: await fleet.house.client.get(action["@Redfish.ActionInfo"])
        for name, action in service["Actions"].items()
    }
    names = {
        name: [each["Name"] for each in answer.json()["Parameters"]]
        for name, answer in found.items()
    }
    assert names == {
        "#AggregationService.Reset": [
            "ResetType",
            "BatchSize",
            "DelayBetweenBatchesInSeconds",
            "TargetURIs",
        ],
        "#AggregationService.SetDefaultBootOrder": ["Systems"],
    }
