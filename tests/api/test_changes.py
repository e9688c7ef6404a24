"""Changes below aggregated resources: accepted, polled, ended."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest
from pydantic import JsonValue
from temporalio.client import Client

from taskfish.plugins.emulator import Emulator, serve
from tests.api.answers import message_keys
from tests.conftest import KEY
from tests.house import ENDED, FAST, LONGEST_WAIT, POLL, House, open_house
from tests.plugins.scripted_service import scripted

BOTH = pytest.mark.parametrize("machine", ["node1", "bmc1"])
SYSTEMS = "/redfish/v1/Systems"
SIMPLE_UPDATE = "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate"
FIRMWARE = "/redfish/v1/UpdateService/FirmwareInventory"


@pytest.fixture
async def lone_bmc(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give a gateway whose only source is bmc1."""
    folder = tmp_path_factory.mktemp("lone_bmc")
    async with open_house(temporal, folder, KEY) as opened:
        await opened.add_source("bmc1", opened.addresses.bmcs[0], "Redfish", "password")
        yield opened


async def read(house: House, uri: str) -> dict[str, JsonValue]:
    """Return a resource's body."""
    response = await house.client.get(uri)
    assert response.status_code == 200, response.text
    found: dict[str, JsonValue] = response.json()
    return found


@BOTH
async def test_accepted_change_names_monitor_and_task(
    house: House, machine: str
) -> None:
    accepted = await house.reset(f"{machine}.1")
    body = accepted.json()
    monitor = f"/redfish/v1/TaskService/TaskMonitors/{body['Id']}"
    assert accepted.headers["Location"] == monitor
    assert 1 <= int(accepted.headers["Retry-After"]) <= 5
    assert body["@odata.type"].startswith("#Task.v1_")
    assert body["TaskMonitor"] == monitor
    assert body["Payload"]["JsonBody"] == '{"ResetType": "ForceRestart"}'
    assert not {"TaskStatus", "EndTime"} & body.keys()
    await house.ended(accepted)


async def test_reset_behind_a_plugin_completes(house: House) -> None:
    accepted = await house.reset("node1.1")
    final = await house.final(accepted)
    task = await house.task(accepted)
    assert final.status_code == 200
    assert task["TaskState"] == "Completed"
    assert house.executions("node1") == 1


async def test_reset_of_a_redfish_bmc_completes(house: House) -> None:
    accepted = await house.reset("bmc1.1")
    final = await house.final(accepted)
    task = await house.task(accepted)
    assert final.status_code == 204
    assert task["TaskState"] == "Completed"
    assert house.executions("bmc1") == 1


async def test_task_is_readable_while_no_worker_runs(house: House) -> None:
    await house.stop_worker()
    accepted = await house.reset("node1.1")
    task = await house.task(accepted)
    monitor = await house.client.get(accepted.headers["Location"])
    await house.start_worker()
    assert accepted.json()["TaskState"] == task["TaskState"] == "New"
    assert task["PercentComplete"] == 0
    assert monitor.status_code == 202
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert house.executions("node1") == 1


@pytest.mark.parametrize(
    ("machine", "fail_status"), [("node1", 500), ("bmc1", 500), ("bmc1", 409)]
)
async def test_failed_change_ends_in_exception(
    house: House, machine: str, fail_status: int
) -> None:
    house.emulator.set_modes(machine, fail=True, fail_status=fail_status)
    accepted = await house.reset(f"{machine}.1")
    final = await house.final(accepted)
    task = await house.task(accepted)
    assert final.status_code == fail_status
    assert message_keys(final) == ["OperationFailed"]
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert task["Messages"][-1]["MessageId"].endswith(".TaskAborted")
    assert house.emulator.executions(machine)[0].outcome == "failed"


async def test_failure_told_by_a_task_at_the_monitor_is_a_failure(
    house: House,
) -> None:
    house.emulator.set_modes("node1", fail=True, monitor_ends_with_task=True)
    accepted = await house.reset("node1.1")
    final = await house.final(accepted)
    assert final.status_code == 500
    assert "OperationFailed" in message_keys(final)
    assert (await house.task(accepted))["TaskState"] == "Exception"


async def test_warning_of_the_source_shows_in_the_status(house: House) -> None:
    house.emulator.set_modes("bmc1", warn=True)
    task = await house.ended(await house.reset("bmc1.1"))
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning")


@BOTH
@pytest.mark.parametrize(
    "location", ["relative", "absolute", "monitor", "task", "none_with_body"]
)
async def test_every_kind_of_location_is_followed(
    house: House, machine: str, location: str
) -> None:
    house.emulator.set_modes(machine, location=location)
    accepted = await house.create_volume(f"{machine}.1")
    final = await house.final(accepted)
    task = await house.task(accepted)
    volumes = f"{SYSTEMS}/{machine}.1/Storage/1/Volumes"
    assert final.status_code == 201
    assert final.headers["Location"].startswith(f"{volumes}/")
    assert task["TaskState"] == "Completed"
    assert house.executions(machine) == 1


@BOTH
async def test_foreign_location_is_not_followed(house: House, machine: str) -> None:
    async with scripted() as foreign:
        house.emulator.set_modes(
            machine, location="foreign", foreign_origin=foreign.url
        )
        accepted = await house.reset(f"{machine}.1")
        final = await house.final(accepted)
    task = await house.task(accepted)
    assert final.status_code == 500
    assert message_keys(final) == ["ResourceAtUriInUnknownFormat"]
    assert task["TaskState"] == "Exception"
    assert foreign.connections == 0


@BOTH
async def test_empty_final_answer_stays_empty(house: House, machine: str) -> None:
    house.emulator.set_modes(machine, empty_body=True)
    accepted = await house.reset(f"{machine}.1")
    final = await house.final(accepted)
    assert (final.status_code, final.content) == (204, b"")
    assert (await house.task(accepted))["TaskState"] == "Completed"


@BOTH
async def test_synchronous_answer_is_the_final_answer(
    house: House, machine: str
) -> None:
    house.emulator.set_modes(machine, answer="sync", empty_body=False)
    accepted = await house.create_volume(f"{machine}.1", "at once")
    final = await house.final(accepted)
    task = await house.task(accepted)
    assert (final.status_code, final.json()["Name"]) == (201, "at once")
    assert (task["TaskState"], task["PercentComplete"]) == ("Completed", 100)
    assert house.executions(machine) == 1


@pytest.mark.parametrize(
    "kind",
    [
        "application/json;charset=UTF-8",
        "application/json; charset=utf8",
        f"application/json; charset*{'9' * 5000}=x",
        'application/json; charset="utf-8"',
        "Application/JSON ; odata.metadata=minimal",
    ],
)
async def test_body_may_say_more_of_its_json(house: House, kind: str) -> None:
    response = await house.client.post(
        "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
        content=b'{"ResetType": "On"}',
        headers={"Content-Type": kind},
    )
    assert (await house.ended(response))["TaskState"] == "Completed"


async def test_progress_rises_until_the_end(house: House) -> None:
    async def progress(machine: str) -> list[dict[str, Any]]:
        modes = partial(house.emulator.set_modes, machine)
        modes(pause_at=30)
        accepted = await house.create_volume(f"{machine}.1")
        seen: list[dict[str, Any]] = [accepted.json()]
        async with asyncio.timeout(LONGEST_WAIT):
            while seen[-1]["TaskState"] not in ENDED:
                seen.append(await house.task(accepted))
                if seen[-1]["PercentComplete"] == 30:
                    modes(pause_at=70)
                elif seen[-1]["PercentComplete"] == 70:
                    modes(pause_at=None)
                await asyncio.sleep(POLL)
        return seen

    house.emulator.set_modes("node2", fail=True)
    machines = ("node1", "node2", "bmc1")
    node, failed, bmc = await asyncio.gather(*map(progress, machines))
    for seen in (node, failed, bmc):
        percents = [task["PercentComplete"] for task in seen]
        assert percents == sorted(percents)
        assert {30, 70} < set(percents)
        assert not any({"TaskStatus", "EndTime"} & task.keys() for task in seen[:-1])
        assert {"TaskStatus", "EndTime"} <= seen[-1].keys()
    assert node[-1]["PercentComplete"] == bmc[-1]["PercentComplete"] == 100
    assert failed[-1]["PercentComplete"] < 100


async def test_messages_tell_of_start_and_end(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.reset("bmc1.1")
    running = await house.until(accepted, "Running")
    house.emulator.set_modes("bmc1", hang=False)
    ended = await house.ended(accepted)
    task_id = accepted.json()["Id"]
    first, last = ended["Messages"][0], ended["Messages"][-1]
    assert running["Messages"][0]["MessageId"].endswith(".TaskStarted")
    assert first["MessageId"].endswith(".TaskStarted")
    assert last["MessageId"].endswith(".TaskCompletedOK")
    assert first["MessageArgs"] == last["MessageArgs"] == [task_id]


@BOTH
async def test_created_volume_is_named_as_northbound(
    house: House, machine: str
) -> None:
    accepted = await house.create_volume(f"{machine}.1", "data")
    final = await house.final(accepted)
    task = await house.task(accepted)
    uri = final.headers["Location"]
    volume = await read(house, uri)
    drive = f"{SYSTEMS}/{machine}.1/Storage/1/Drives/1"
    assert task["Links"]["CreatedResources"] == [{"@odata.id": uri}]
    assert (volume["@odata.id"], volume["Name"]) == (uri, "data")
    assert volume["Links"] == {
        "Drives": [{"@odata.id": drive}],
        "Drives@odata.count": 1,
    }
    assert final.json()["@odata.id"] == uri


@BOTH
async def test_volume_on_reset_is_pending_until_the_reset(
    house: House, machine: str
) -> None:
    accepted = await house.create_volume(f"{machine}.1", "late", "OnReset")
    pending = await house.until(accepted, "Pending")
    monitor = await house.client.get(accepted.headers["Location"])
    reset = await house.ended(await house.reset(f"{machine}.1"))
    final = await house.final(accepted)
    assert pending["PercentComplete"] == 0
    assert monitor.status_code == 202
    assert reset["TaskState"] == "Completed"
    assert (final.status_code, final.json()["Name"]) == (201, "late")
    assert house.executions(machine) == 2


@BOTH
async def test_deleted_volume_is_gone(house: House, machine: str) -> None:
    created = await house.final(await house.create_volume(f"{machine}.1"))
    uri = created.headers["Location"]
    accepted = await house.change("DELETE", uri)
    final = await house.final(accepted)
    assert final.status_code in (200, 204)
    assert (await house.task(accepted))["Name"].startswith("Volume.Delete ")
    assert (await house.client.get(uri)).status_code == 404
    assert house.executions(machine, "DELETE") == 1


@BOTH
async def test_bios_settings_are_applied_at_the_reset(
    house: House, machine: str
) -> None:
    bios = f"{SYSTEMS}/{machine}.1/Bios"
    body: JsonValue = {"Attributes": {"NumLock": "Off"}}
    final = await house.final(await house.change("PATCH", f"{bios}/Settings", body))
    before = await read(house, bios)
    await house.ended(await house.reset(f"{machine}.1"))
    after = await read(house, bios)
    assert final.json()["@odata.id"] == f"{bios}/Settings"
    assert isinstance(before["Attributes"], dict)
    assert isinstance(after["Attributes"], dict)
    assert (before["Attributes"]["NumLock"], after["Attributes"]["NumLock"]) == (
        "On",
        "Off",
    )


@BOTH
async def test_secret_setting_is_shown_to_no_reader(house: House, machine: str) -> None:
    uri = f"{SYSTEMS}/{machine}.1/Bios/Settings"
    body: JsonValue = {"Attributes": {"NumLock": "Off", "SetupPwd": "hush-hush"}}
    accepted = await house.change("PATCH", uri, body)
    task = await house.ended(accepted)
    shown = json.loads(task["Payload"]["JsonBody"])
    assert shown == {"Attributes": {"NumLock": "Off", "SetupPwd": "********"}}
    assert "hush-hush" not in str(task)


@BOTH
async def test_boot_override_is_set(house: House, machine: str) -> None:
    system = f"{SYSTEMS}/{machine}.1"
    boot = {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}
    final = await house.final(await house.change("PATCH", system, {"Boot": boot}))
    assert final.status_code == 200
    assert final.json()["Id"] == f"{machine}.1"
    assert (await read(house, system))["Boot"].items() >= boot.items()  # type: ignore[union-attr]


@BOTH
async def test_virtual_media_is_inserted_and_ejected(
    house: House, machine: str
) -> None:
    cd = f"/redfish/v1/Managers/{machine}.1/VirtualMedia/CD1"
    actions = f"{cd}/Actions/VirtualMedia"
    image = "http://images/boot.iso"
    insert = await house.change("POST", f"{actions}.InsertMedia", {"Image": image})
    inserted = await house.ended(insert), await read(house, cd)
    eject = await house.change("POST", f"{actions}.EjectMedia", {})
    ejected = await house.ended(eject), await read(house, cd)
    assert inserted[0]["TaskState"] == ejected[0]["TaskState"] == "Completed"
    assert (inserted[1]["Image"], ejected[1]["Image"]) == (image, None)


@BOTH
async def test_update_reaches_the_source_of_its_targets(
    house: House, machine: str
) -> None:
    target = f"{FIRMWARE}/{machine}.BMC"
    body: JsonValue = {"ImageURI": "http://images/bmc-7.8.9.bin", "Targets": [target]}
    accepted = await house.change("POST", SIMPLE_UPDATE, body)
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed"
    assert (await read(house, target))["Version"] == "7.8.9"
    assert [execution.machine for execution in house.emulator.executions()] == [machine]


async def test_update_without_targets_goes_to_the_only_source(lone_bmc: House) -> None:
    body: JsonValue = {"ImageURI": "http://images/bios-2.0.1.bin"}
    accepted = await lone_bmc.change("POST", SIMPLE_UPDATE, body)
    task = await lone_bmc.ended(accepted)
    assert task["TaskState"] == "Completed"
    assert (await read(lone_bmc, f"{FIRMWARE}/bmc1.BIOS"))["Version"] == "2.0.1"


@BOTH
async def test_if_match_of_the_present_version_passes(
    house: House, machine: str
) -> None:
    system = f"{SYSTEMS}/{machine}.1"
    etag = str((await read(house, system))["@odata.etag"])
    headers = {"If-Match": etag}
    accepted = await house.change("PATCH", system, {"AssetTag": "7"}, **headers)
    final = await house.final(accepted)
    assert final.status_code == 200
    assert final.json()["AssetTag"] == "7"


async def test_stale_if_match_is_refused_by_a_redfish_source(house: House) -> None:
    headers = {"If-Match": '"old"'}
    accepted = await house.change(
        "PATCH", f"{SYSTEMS}/bmc1.1", {"AssetTag": "7"}, **headers
    )
    final = await house.final(accepted)
    assert final.status_code == 412
    assert message_keys(final) == ["PreconditionFailed"]
    assert house.executions("bmc1") == 0


async def test_stale_if_match_is_refused_at_once_behind_a_plugin(
    house: House,
) -> None:
    response = await house.client.patch(
        f"{SYSTEMS}/node1.1", json={"AssetTag": "7"}, headers={"If-Match": '"old"'}
    )
    assert response.status_code == 412
    assert message_keys(response) == ["PreconditionFailed"]
    assert house.executions("node1") == 0


@BOTH
async def test_put_is_left_to_the_source(house: House, machine: str) -> None:
    accepted = await house.change("PUT", f"{SYSTEMS}/{machine}.1", {"AssetTag": "7"})
    final = await house.final(accepted)
    assert final.status_code == 405
    assert message_keys(final) == ["OperationNotAllowed"]
    assert final.headers["Allow"] == "GET, HEAD, PATCH"
    assert (await house.task(accepted))["TaskState"] == "Exception"


@BOTH
async def test_refusal_of_the_source_passes_through(house: House, machine: str) -> None:
    uri = f"{SYSTEMS}/{machine}.1/Storage/1/Volumes"
    drive: JsonValue = {"@odata.id": f"{SYSTEMS}/{machine}.1/Storage/1/Drives/1"}
    body: JsonValue = {"RAIDType": "RAID5", "Links": {"Drives": [drive]}}
    accepted = await house.change("POST", uri, body)
    final = await house.final(accepted)
    assert final.status_code == 400
    assert message_keys(final) == ["PropertyValueOutOfRange"]
    assert (await house.task(accepted))["TaskStatus"] == "Critical"
    assert house.executions(machine) == 0


async def test_members_of_a_collection_take_its_posts(house: House) -> None:
    uri = f"{SYSTEMS}/bmc1.1/Storage/1/Volumes"
    accepted = await house.change("POST", f"{uri}/Members", {"RAIDType": "RAID1"})
    final = await house.final(accepted)
    assert final.status_code == 201
    assert final.headers["Location"].startswith(f"{uri}/")


async def test_trailing_slash_means_the_same_resource(house: House) -> None:
    uri = f"{SYSTEMS}/bmc1.1/"
    accepted = await house.change("PATCH", uri, {"AssetTag": "slash"})
    assert (await house.final(accepted)).status_code == 200
    assert (await read(house, uri))["AssetTag"] == "slash"


async def test_refused_credentials_are_the_gateways_fault(house: House) -> None:
    for machine in ("node1", "bmc1"):
        house.emulator.machines[machine].accounts.by_id["1"].password = "changed"
    node, bmc = await house.reset("node1.1"), await house.reset("bmc1.1")
    finals = [await house.final(node), await house.final(bmc)]
    assert [final.status_code for final in finals] == [500, 500]
    assert [message_keys(final) for final in finals] == [
        ["ResourceAtUriUnauthorized"],
        ["ResourceAtUriUnauthorized"],
    ]
    assert (await house.task(bmc))["TaskState"] == "Exception"
    assert house.emulator.executions() == []


async def test_source_that_is_gone_ends_the_change_with_503(house: House) -> None:
    async with serve(Emulator(systems=0, bmcs=1, modes=FAST)) as addresses:
        await house.add_source("gone", addresses.bmcs[0], "Redfish", "password")
    accepted = await house.reset("gone.1")
    assert (await house.until(accepted, "Starting"))["PercentComplete"] == 0
    final = await house.final(accepted)
    assert final.status_code == 503
    assert message_keys(final) == ["CouldNotEstablishConnection"]
    assert (await house.task(accepted))["TaskState"] == "Exception"


async def test_changes_of_several_machines_do_not_mix(house: House) -> None:
    async def reset(system: str) -> httpx.Response:
        return await house.final(await house.reset(system))

    systems = ("node1.1", "node2.1", "bmc1.1") * 2
    finals = await asyncio.gather(*map(reset, systems))
    assert all(final.is_success for final in finals)
    counts = [house.executions(name) for name in ("node1", "node2", "bmc1")]
    assert counts == [2, 2, 2]
