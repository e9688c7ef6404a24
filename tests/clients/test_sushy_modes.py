"""sushy's waiting, in each form of an accepted change (docs/clients.md): its rows.

What a row of the guide says that sushy does is what is asserted here, also where
sushy is wrong.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import sushy
from sushy.resources.system.storage.volume import Volume
from sushy.taskmonitor import TaskMonitor

from tests.api.accounts import account
from tests.house import PASSWORD, USER, House
from tests.serving import served

FORMS = ("conformant", "sushy", "location")
SECONDS = 2.0
LONGEST_WAIT = 30.0
RUNNING = sushy.TASK_STATE_RUNNING
FIRMWARE = "/redfish/v1/UpdateService/FirmwareInventory/bmc1.BIOS"


@asynccontextmanager
async def gateway(house: House, form: str) -> AsyncIterator[str]:
    """Serve the house's gateway with TASKFISH_ACCEPTED set."""
    before = house.settings
    house.settings = before.model_copy(update={"accepted": form})
    try:
        async with served(house) as url:
            yield url
    finally:
        house.settings = before


@pytest.fixture(params=FORMS)
async def form(request: pytest.FixtureRequest, house: House) -> str:
    """Give each form, over a BMC that takes two seconds."""
    house.emulator.set_modes("bmc1", seconds=SECONDS)
    found: str = request.param
    return found


async def test_volume_create_with_immediate(house: House, form: str) -> None:
    async with gateway(house, form) as url:
        created, seconds = await asyncio.to_thread(_create_immediate, url)
        there = await house.client.get("/redfish/v1/Systems/bmc1.1/Storage/1/Volumes")
    await _all_ended(house)
    if form == "conformant":
        assert created is None
        assert seconds < SECONDS
    elif form == "sushy":
        assert created is None
        assert seconds >= SECONDS
        assert there.json()["Members@odata.count"] == 1
    else:
        assert isinstance(created, Volume)
        assert created.name == "data"
        assert seconds >= SECONDS


async def test_volume_create_on_reset_and_polling(house: House, form: str) -> None:
    async with gateway(house, form) as url:
        monitor = await asyncio.to_thread(_create_on_reset, url)
        waits = await asyncio.to_thread(lambda: monitor.check_is_processing)
        await house.reset("bmc1.1")
        ended = await asyncio.to_thread(_until_ended, monitor)
        state = await asyncio.to_thread(lambda: monitor.get_task().task_state)
    await _all_ended(house)
    assert isinstance(monitor, TaskMonitor)
    assert waits == (form != "conformant")
    assert ended
    if form == "sushy":
        assert state == sushy.TASK_STATE_COMPLETED
    if form == "location":
        assert state is None


async def test_simple_update_and_polling_the_task(house: House, form: str) -> None:
    async with gateway(house, form) as url:
        monitor = await asyncio.to_thread(_simple_update, url)
        first = await asyncio.to_thread(monitor.get_task)
        states = await asyncio.to_thread(_states_until_ended, monitor)
        status = await asyncio.to_thread(lambda: _status(monitor))
    assert first.task_state != sushy.TASK_STATE_COMPLETED
    if form == "location":
        assert states[-1] is None
    else:
        assert states[-1] == sushy.TASK_STATE_COMPLETED
        assert status == sushy.HEALTH_OK
    assert house.executions("bmc1") == 1


@pytest.mark.parametrize(
    "state", ["Suspended", "Interrupted", "Stopping", "Cancelling", "Service"]
)
async def test_states_that_ironic_takes_for_the_end_show_as_running(
    house: House, state: str
) -> None:
    house.emulator.set_modes("bmc1", hang=True, shows_state=state)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, state)
    uri = accepted.json()["@odata.id"]
    async with gateway(house, "sushy") as url, _client(url) as client:
        task = await client.get(uri)
        monitor = await client.get(accepted.headers["Location"])
    async with gateway(house, "location") as url, _client(url) as client:
        plain = await client.get(uri)
    for answer in (task, monitor):
        assert answer.status_code == 202
        assert answer.json()["TaskState"] == "Running"
        assert answer.json()["Oem"]["Taskfish"]["State"] == state
    assert (plain.status_code, plain.json()["TaskState"]) == (200, state)


@pytest.mark.parametrize("form", FORMS)
async def test_form_of_a_202(house: House, form: str) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    async with gateway(house, form) as url, _client(url) as client:
        accepted = await client.post(
            "/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
            json={"ResetType": "ForceRestart"},
        )
        monitor = await client.get(accepted.headers["Location"])
        task_uri = f"/redfish/v1/TaskService/Tasks/{accepted.json()['Id']}"
        task = await client.get(task_uri)
    await house.until(task, "Running")
    for answer in (accepted, monitor):
        assert answer.status_code == 202
        assert answer.headers["Location"] == accepted.headers["Location"]
        assert answer.json()["@odata.type"].startswith("#Task.v1_")
        assert ("Retry-After" in answer.headers) == (form == "conformant")
        assert ("@odata.id" in answer.json()) == (form != "location")
    assert task.status_code == (202 if form == "sushy" else 200)
    assert "Retry-After" not in task.headers
    assert task.json()["@odata.id"] == task_uri


async def test_ended_task_is_200_in_every_form(house: House, form: str) -> None:
    accepted = await house.reset("bmc1.1")
    ended = await house.ended(accepted)
    async with gateway(house, form) as url, _client(url) as client:
        task = await client.get(accepted.json()["@odata.id"])
    assert task.status_code == 200
    assert task.json() == ended


async def test_account_has_a_form_of_its_own(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Running")
    uri = accepted.json()["@odata.id"]
    mine = {"Taskfish": {"Accepted": "sushy"}}
    async with account(house, "Operator", Oem=mine) as user:
        theirs = await house.client.get(uri, auth=user)
        own = await house.client.get(uri)
    assert (theirs.status_code, own.status_code) == (202, 200)


async def _all_ended(house: House) -> None:
    """Wait until no task runs, so that the next test begins anew."""
    tasks = "TaskOperation IS NOT NULL AND ExecutionStatus = 'Running'"
    query = f"TaskQueue = '{house.settings.task_queue}' AND {tasks}"
    async with asyncio.timeout(LONGEST_WAIT):
        while (await house.temporal.count_workflows(query)).count:
            await asyncio.sleep(0.05)


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, auth=(USER, PASSWORD))


def _connected(url: str) -> sushy.Sushy:
    auth = sushy.auth.BasicAuth(USER, PASSWORD)
    return sushy.Sushy(f"{url}/redfish/v1", auth=auth)


def _volumes(url: str) -> Any:
    system = _connected(url).get_system("/redfish/v1/Systems/bmc1.1")
    (storage,) = system.storage.get_members()
    return storage.volumes


def _create_immediate(url: str) -> tuple[Any, float]:
    volumes = _volumes(url)
    began = time.monotonic()
    body = {"Name": "data", "RAIDType": "RAID0"}
    created = volumes.create(body, apply_time=sushy.ApplyTime.IMMEDIATE)
    return created, time.monotonic() - began


def _create_on_reset(url: str) -> Any:
    body = {"Name": "data", "RAIDType": "RAID0"}
    return _volumes(url).create(body, apply_time=sushy.ApplyTime.ON_RESET)


def _simple_update(url: str) -> TaskMonitor:
    service = _connected(url).get_update_service()
    return service.simple_update("http://images/bios-2.0.1.bin", targets=[FIRMWARE])


def _until_ended(monitor: TaskMonitor) -> bool:
    """Poll as Ironic's RAID step does; say whether it came to an end."""
    until = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < until:
        if not monitor.check_is_processing:
            return True
        time.sleep(0.1)
    return False


def _states_until_ended(monitor: TaskMonitor) -> list[Any]:
    """Poll as Ironic's firmware step does; return the states that it sees."""
    going_on = (
        sushy.TASK_STATE_NEW,
        sushy.TASK_STATE_STARTING,
        sushy.TASK_STATE_RUNNING,
        sushy.TASK_STATE_PENDING,
    )
    states: list[Any] = [RUNNING]
    until = time.monotonic() + LONGEST_WAIT
    while states[-1] in going_on and time.monotonic() < until:
        time.sleep(0.1)
        try:
            states.append(monitor.get_task().task_state)
        except sushy.exceptions.MissingAttributeError:
            states.append(None)
    return states


def _status(monitor: TaskMonitor) -> Any:
    try:
        return monitor.get_task().task_status
    except sushy.exceptions.MissingAttributeError:
        return None
