"""UpdateService.SimpleUpdate over Targets of several sources: a step each."""

from typing import Any

import pytest
from sqlalchemy import func, select

from taskfish.redfish.resources import SIMPLE_UPDATE
from taskfish.store.tables import secret_bodies
from tests.api.answers import message_keys
from tests.house import House
from tests.workflows.houses import words_of

SYSTEMS = "/redfish/v1/Systems"
TARGETS = [f"{SYSTEMS}/bmc1.1", f"{SYSTEMS}/node1.1", f"{SYSTEMS}/node2.1"]
UPDATE: dict[str, Any] = {
    "ImageURI": "https://files.example/firmware.bin",
    "Username": "mirror",
    "Password": "s3cret-w0rd",
    "Targets": TARGETS,
}


async def test_each_source_gets_its_targets(house: House) -> None:
    accepted = await house.change("POST", SIMPLE_UPDATE, UPDATE)
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), words_of(
        task
    )
    assert task["Oem"]["Taskfish"]["Operation"] == "UpdateService.SimpleUpdate"
    for machine in ("bmc1", "node1", "node2"):
        (done,) = house.emulator.executions(machine, "POST")
        assert isinstance(done.body, dict)
        assert done.body["Password"] == UPDATE["Password"]
        assert done.body["Targets"] == [f"{SYSTEMS}/1"]
    steps = await house.client.get(f"{accepted.json()['@odata.id']}/SubTasks")
    uris = [each["@odata.id"] for each in steps.json()["Members"]]
    assert [uri.rpartition("/")[2] for uri in uris] == ["bmc1", "node1", "node2"]


async def test_secrets_are_kept_once_and_forgotten(house: House) -> None:
    for machine in ("bmc1", "node1"):
        house.emulator.set_modes(machine, seconds=1)
    accepted = await house.change("POST", SIMPLE_UPDATE, UPDATE)
    assert await _kept(house) == 1
    task = await house.ended(accepted)
    assert task["TaskStatus"] == "OK"
    assert await _kept(house) == 0
    assert UPDATE["Password"] not in (await house.client.get(task["@odata.id"])).text


async def test_failure_of_one_source_is_a_warning(house: House) -> None:
    house.emulator.set_modes("node1", fail=True)
    task = await house.ended(await house.change("POST", SIMPLE_UPDATE, UPDATE))
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning")
    assert "node1 has ended as Exception" in words_of(task)


async def test_one_source_stays_one_change(house: House) -> None:
    body = UPDATE | {"Targets": TARGETS[:1]}
    accepted = await house.change("POST", SIMPLE_UPDATE, body)
    run = await house.workflow(accepted).describe()
    assert run.workflow_type == "UpdateService.SimpleUpdate"
    assert (await house.ended(accepted))["TaskStatus"] == "OK"


@pytest.mark.parametrize(
    ("targets", "status", "key"),
    [
        ([*TARGETS, f"{SYSTEMS}/none.1"], 404, "ResourceMissingAtURI"),
        ([*TARGETS, "/redfish/v1/TaskService"], 404, "ResourceMissingAtURI"),
    ],
)
async def test_unknown_target_refuses_all(
    house: House, targets: list[str], status: int, key: str
) -> None:
    body = UPDATE | {"Targets": targets}
    answer = await house.client.post(SIMPLE_UPDATE, json=body)
    assert (answer.status_code, message_keys(answer)) == (status, [key])
    assert not house.emulator.executions()


async def test_window_is_for_one_source(house: House) -> None:
    body = UPDATE | {"@Redfish.OperationApplyTime": "AtMaintenanceWindowStart"}
    body["@Redfish.MaintenanceWindow"] = {
        "MaintenanceWindowStartTime": "2030-01-01T00:00:00Z",
        "MaintenanceWindowDurationInSeconds": 600,
    }
    answer = await house.client.post(SIMPLE_UPDATE, json=body)
    assert answer.status_code == 400


async def test_update_of_several_sources_waits_for_no_reset(house: House) -> None:
    body = UPDATE | {"@Redfish.OperationApplyTime": "OnReset"}
    answer = await house.client.post(SIMPLE_UPDATE, json=body)
    assert answer.status_code == 400
    assert not house.emulator.executions()


async def _kept(house: House) -> int:
    async with house.store.read() as connection:
        counted = select(func.count()).select_from(secret_bodies)
        return int((await connection.execute(counted)).scalar() or 0)
