"""`Prefer: wait=N` of a change: the final answer at once, if it comes in time."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from api.change_kinds import wait_of
from taskfish.redfish.operations import name_operation
from taskfish.settings import Settings
from tests.api.answers import message_keys
from tests.conftest import KEY
from tests.house import TASKS, House, open_house
from tests.serving import served
from workflows.time_limits import TimeLimits

MONITORS = "/redfish/v1/TaskService/TaskMonitors"
SYSTEM = "/redfish/v1/Systems/bmc1.1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
VOLUMES = f"{SYSTEM}/Storage/1/Volumes"
FORCE = {"ResetType": "ForceRestart"}
VOLUME = {"Name": "data", "RAIDType": "RAID0"}


@pytest.fixture
async def patient_house(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Give a gateway that waits for settings as it does by default."""
    folder = tmp_path_factory.mktemp("patient")
    async with open_house(temporal, folder, KEY, wait_settings=5) as opened:
        await opened.add_sources()
        yield opened


async def send(
    house: House, prefer: str, uri: str = RESET, body: object = FORCE
) -> httpx.Response:
    """Send a POST with a Prefer header."""
    return await house.client.post(uri, json=body, headers={"Prefer": prefer})


async def test_final_answer_comes_inline(house: House) -> None:
    answer = await send(house, "wait=20", VOLUMES, VOLUME)
    task_id = answer.headers["Task-Id"]
    monitor = await house.client.get(f"/redfish/v1/TaskService/TaskMonitors/{task_id}")
    assert answer.status_code == monitor.status_code == 201
    assert answer.json() == monitor.json()
    assert answer.headers["Location"].startswith(f"{VOLUMES}/")
    assert answer.headers["Location"] == monitor.headers["Location"]
    assert f'<{TASKS}/{task_id}>; rel="task"' in answer.headers["Link"]
    assert answer.headers["Preference-Applied"] == "wait=20"


async def test_failure_comes_inline_with_its_status(house: House) -> None:
    house.emulator.set_modes("bmc1", fail=True, fail_status=409)
    answer = await send(house, "wait=20")
    assert answer.status_code == 409
    assert message_keys(answer) == ["OperationFailed"]
    assert answer.headers["Task-Id"].startswith("ComputerSystem.Reset-bmc1.1-")


async def test_slower_change_is_a_202_after_the_wait(house: House) -> None:
    house.emulator.set_modes("bmc1", seconds=3)
    began = time.monotonic()
    answer = await send(house, "wait=1")
    waited = time.monotonic() - began
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert 0.9 < waited < 2.5
    assert answer.json()["TaskState"] == "Running"
    assert (await house.final(answer)).status_code == 204


async def test_final_answer_does_not_wait_for_the_end_of_the_wait(
    house: House,
) -> None:
    began = time.monotonic()
    answer = await send(house, "wait=60")
    assert answer.status_code == 204
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("prefer", "applied", "status"),
    [
        ("wait=600", "wait=60", 204),
        ('WAIT = "20"', "wait=20", 204),
        ("respond-async, wait=20", "wait=20", 204),
        ("respond-async", "respond-async", 202),
        ("wait=0", "wait=0", 202),
        ("wait=soon", None, 202),
        ("wait=-1", None, 202),
        ("wait", None, 202),
        ("handling=lenient", None, 202),
        (",,=;", None, 202),
    ],
)
async def test_preference_is_applied_as_far_as_it_can_be_read(
    house: House, prefer: str, applied: str | None, status: int
) -> None:
    answer = await send(house, prefer)
    assert answer.status_code == status
    assert answer.headers.get("Preference-Applied") == applied
    if status == 202:
        await house.ended(answer)


async def test_several_prefer_headers_count_as_one(house: House) -> None:
    headers = [("Prefer", "respond-async"), ("Prefer", "wait=20"), ("Prefer", "wait=0")]
    answer = await house.client.post(RESET, json=FORCE, headers=headers)
    assert answer.status_code == 204
    assert answer.headers["Preference-Applied"] == "wait=20"


async def test_refusal_applies_no_preference(house: House) -> None:
    answer = await send(house, "wait=20", RESET, {"ResetType": "Gently"})
    assert answer.status_code == 400
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize("apply_time", ["Immediate", "OnReset"])
async def test_apply_time_makes_it_a_202_always(house: House, apply_time: str) -> None:
    body = {**VOLUME, "@Redfish.OperationApplyTime": apply_time}
    answer = await send(house, "wait=20", VOLUMES, body)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers
    assert answer.headers["Task-Id"] == answer.json()["Id"]
    await house.until(answer, "Pending" if apply_time == "OnReset" else "Completed")


async def ended_while_waiting(house: House, task_id: str, end: str) -> httpx.Response:
    """Have a task end, by a method and a path below it, while its request waits."""
    headers = {"Prefer": "wait=30", "Task-Id": task_id, "Idempotency-Key": task_id}
    sending = asyncio.create_task(house.client.post(RESET, json=FORCE, headers=headers))
    async with asyncio.timeout(20):
        while (await house.client.get(f"{TASKS}/{task_id}")).is_error:
            await asyncio.sleep(0.05)
    method, _, below = end.partition(" ")
    asked = await house.client.request(method, f"{TASKS}/{task_id}{below}")
    assert asked.is_success
    return await asyncio.wait_for(sending, 20)


async def test_cancelled_while_waiting_is_the_202_of_its_task(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    answer = await ended_while_waiting(house, "cancelled-inline", "DELETE")
    assert answer.status_code == 202
    assert answer.headers["Task-Id"] == "cancelled-inline"
    assert answer.headers["Location"].startswith(f"{MONITORS}/cancelled-inline~")
    assert "Retry-After" not in answer.headers
    assert answer.json()["TaskState"] == "Cancelled"
    task = await house.task(answer)
    assert answer.json() == task
    assert (await house.client.get(answer.headers["Location"])).status_code == 404


async def test_cancelled_while_waiting_is_the_same_when_repeated(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    first = await ended_while_waiting(house, "cancelled-twice", "DELETE")
    headers = {
        "Prefer": "wait=30",
        "Task-Id": "cancelled-twice",
        "Idempotency-Key": "cancelled-twice",
    }
    again = await house.client.post(RESET, json=FORCE, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Location"] == first.headers["Location"]


async def test_killed_while_waiting_is_answered_as_by_its_monitor(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    kill = "POST /Actions/Oem/Taskfish.Kill"
    answer = await ended_while_waiting(house, "killed-inline", kill)
    assert answer.status_code == 500
    (info,) = answer.json()["error"]["@Message.ExtendedInfo"]
    last = (await house.client.get(f"{TASKS}/killed-inline")).json()["Messages"][-1]
    assert (info["Message"], info["Resolution"]) == (
        last["Message"],
        last["Resolution"],
    )
    monitors = (await house.client.get(f"{TASKS}/killed-inline")).json()["TaskMonitor"]
    assert (await house.client.get(monitors)).json() == answer.json()


async def test_without_a_worker_the_wait_ends_in_a_202(house: House) -> None:
    await house.stop_worker()
    answer = await send(house, "wait=1")
    assert answer.status_code == 202
    assert answer.json()["TaskState"] == "New"
    await house.start_worker()
    assert (await house.final(answer)).status_code == 204


async def test_client_that_goes_away_ends_the_wait_and_not_the_task(
    house: House,
) -> None:
    house.emulator.set_modes("bmc1", seconds=1.5)
    headers = {"Prefer": "wait=60", "Task-Id": "gone-away"}
    async with served(house) as url:
        async with httpx.AsyncClient(base_url=url, auth=house.client.auth) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post(RESET, json=FORCE, headers=headers, timeout=0.7)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    async with asyncio.timeout(20):
        while (await house.client.get(f"{TASKS}/gone-away")).json()[
            "TaskState"
        ] != "Completed":
            await asyncio.sleep(0.05)
    assert house.executions("bmc1") == 1


async def test_settings_wait_by_default_and_resets_do_not(patient_house: House) -> None:
    house = patient_house
    patched = await house.client.patch(SYSTEM, json={"AssetTag": "seven"})
    reset = await house.client.post(RESET, json=FORCE)
    assert patched.status_code == 200
    assert patched.headers["Task-Id"].startswith("ComputerSystem.Update-")
    assert "Preference-Applied" not in patched.headers
    assert reset.status_code == 202


async def test_respond_async_overrides_the_default(patient_house: House) -> None:
    answer = await patient_house.client.patch(
        SYSTEM, json={"AssetTag": "eight"}, headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("method", "uri", "seconds"),
    [
        ("PATCH", SYSTEM, 5),
        ("PUT", f"{SYSTEM}/Bios/Settings", 5),
        ("POST", f"{SYSTEM}/Actions/ComputerSystem.SetDefaultBootOrder", 5),
        ("POST", "/redfish/v1/Managers/m/RemoteAccountService/Accounts", 5),
        ("DELETE", "/redfish/v1/Managers/m/RemoteAccountService/Accounts/1", 5),
        ("POST", "/redfish/v1/Managers/m/NetworkProtocol/HTTPS/Certificates", 5),
        (
            "POST",
            "/redfish/v1/Managers/m/VirtualMedia/1/Actions/VirtualMedia.InsertMedia",
            30,
        ),
        (
            "POST",
            f"{SYSTEM}/VirtualMedia/1/Actions/VirtualMedia.EjectMedia",
            30,
        ),
        ("POST", RESET, 0),
        ("POST", VOLUMES, 0),
        ("DELETE", f"{VOLUMES}/1", 0),
        ("POST", "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate", 0),
    ],
)
def test_default_wait_goes_by_the_kind_of_change(
    method: str, uri: str, seconds: float
) -> None:
    operation = name_operation(method, uri)
    assert wait_of(Settings(), operation, method).seconds == seconds


@pytest.mark.parametrize(
    ("method", "uri", "name"),
    [
        ("POST", RESET, "deadline_reset"),
        ("POST", "/redfish/v1/Managers/m/Actions/Manager.Reset", "deadline_reset"),
        ("POST", VOLUMES, "deadline_volume"),
        (
            "POST",
            f"{SYSTEM}/Storage/1/Drives/1/Actions/Drive.SecureErase",
            "deadline_volume",
        ),
        (
            "POST",
            "/redfish/v1/UpdateService/Actions/UpdateService.SimpleUpdate",
            "deadline_update",
        ),
        ("PATCH", SYSTEM, "deadline_other"),
        ("POST", f"{SYSTEM}/Oem/X/Actions/X.Do", "deadline_other"),
    ],
)
def test_deadline_goes_by_the_kind_of_change(method: str, uri: str, name: str) -> None:
    settings: Any = Settings()
    limits = TimeLimits.model_validate(settings)
    operation = name_operation(method, uri)
    assert limits.deadline_of(operation.name) == getattr(settings, name)


@pytest.mark.parametrize(
    ("apply_time", "timeout", "deadline"),
    [
        (None, None, 86400),
        (None, "77", 77),
        ("Immediate", None, 86400),
        ("OnReset", None, None),
        ("OnReset", "77", 77),
    ],
)
async def test_deadline_is_kept_with_the_task(
    house: House, apply_time: str | None, timeout: str | None, deadline: float | None
) -> None:
    body: dict[str, Any] = dict(VOLUME)
    if apply_time:
        body["@Redfish.OperationApplyTime"] = apply_time
    headers = {"Task-Timeout": timeout} if timeout else {}
    accepted = await house.change("POST", VOLUMES, body, **headers)
    run = await house.workflow(accepted).describe()
    assert (await run.memo())["task"]["deadline"] == deadline
    await house.until(accepted, "Pending" if apply_time == "OnReset" else "Completed")
