"""sushy, the Redfish client of OpenStack, against the gateway."""

import asyncio
import time

import sushy
from sushy.resources.system.system import System
from sushy.resources.taskservice.task import Task

from tests.house import PASSWORD, USER, House

LONGEST_WAIT = 20.0


async def test_sushy_resets_a_system_and_reads_its_task(
    house: House, gateway_url: str
) -> None:
    task = await asyncio.to_thread(_reset, gateway_url, "node1.1")
    assert task.task_state == sushy.TASK_STATE_COMPLETED
    assert task.task_status == sushy.HEALTH_OK
    assert task.percent_complete == 100
    assert house.executions("node1") == 1


async def test_sushy_reads_a_system(house: House, gateway_url: str) -> None:
    system = await asyncio.to_thread(_system, gateway_url, "bmc1.1")
    assert system.identity == "bmc1.1"
    assert system.power_state == sushy.POWER_STATE_ON
    allowed = await asyncio.to_thread(system.get_allowed_reset_system_values)
    assert sushy.RESET_TYPE_FORCE_RESTART in allowed
    drives = await asyncio.to_thread(_drives, system)
    assert drives == 4


def _connected(url: str) -> sushy.Sushy:
    auth = sushy.auth.BasicAuth(USER, PASSWORD)
    return sushy.Sushy(f"{url}/redfish/v1", auth=auth)


def _system(url: str, name: str) -> System:
    return _connected(url).get_system(f"/redfish/v1/Systems/{name}")


def _drives(system: System) -> int:
    (storage,) = system.storage.get_members()
    return len(storage.drives)


def _reset(url: str, name: str) -> Task:
    """Reset a system and read its task until it has ended."""
    root = _connected(url)
    before = set(root.get_task_service().tasks.members_identities)
    system = root.get_system(f"/redfish/v1/Systems/{name}")
    system.reset_system(sushy.RESET_TYPE_FORCE_RESTART)
    until = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < until:
        tasks = _connected(url).get_task_service().tasks
        new = [uri for uri in tasks.members_identities if uri not in before]
        if new:
            task = tasks.get_member(new[0])
            if task.task_state == sushy.TASK_STATE_COMPLETED:
                return task
        time.sleep(0.1)
    raise TimeoutError("the task has not completed")
