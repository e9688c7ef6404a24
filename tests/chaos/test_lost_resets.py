"""A reset whose sending was broken off, while the machine is reset by another hand."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from taskfish.plugins.machine.machine import Machine
from tests.conftest import KEY
from tests.crashing_worker import PROGRAM
from tests.house import House
from tests.worker_process import worker_process
from tests.workflows.houses import node_house, until, words_of

RESET = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"


@pytest.fixture
async def node(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway with machines behind a plugin, which lists no tasks."""
    async with node_house(temporal, tmp_path, KEY) as house:
        yield house


async def reset_at_its_panel(machine: Machine) -> None:
    """Restart a machine without the gateway; return when that is done."""
    await machine.change("POST", RESET, {"ResetType": "ForceRestart"})
    await until(lambda: machine.executions[-1].outcome == "completed")
    machine.clear_executions()


async def lose(node: House, temporal_address: str, reset_type: str) -> httpx.Response:
    """Return the 202 of a reset whose worker died before the request left."""
    await node.stop_worker()
    accepted = await node.reset("node1.1", reset_type)
    program = (*PROGRAM, "begun")
    async with worker_process(node, temporal_address, program) as worker:
        assert await worker.ended() == -9, worker.said
    return accepted


def says_unknown(task: dict[str, Any]) -> bool:
    """Say whether a Task ended without knowing, and tells how to find out."""
    words = words_of(task)
    tells_how = "Read /redfish/v1/Systems/node1.1" in words
    return task["TaskState"] == "Exception" and "is unknown" in words and tells_how


async def test_lost_nmi_is_not_seen_in_another_reset(
    node: House, temporal_address: str
) -> None:
    """Nobody has sent an NMI."""
    accepted = await lose(node, temporal_address, "Nmi")
    await reset_at_its_panel(node.emulator.machines["node1"])
    await node.start_worker()
    assert says_unknown(await node.ended(accepted))
    assert node.executions("node1") == 0


async def test_lost_restart_is_not_seen_in_that_of_another_task(
    node: House, temporal_address: str
) -> None:
    """The machine shows one restart, and two tasks want to have made it."""
    lost = await lose(node, temporal_address, "ForceRestart")
    made = await node.reset("node1.1", "PowerCycle")
    await node.start_worker()
    assert (await node.ended(made))["TaskState"] == "Completed"
    task = await node.ended(lost)
    assert says_unknown(task)
    assert "another task has reset the machine since" in words_of(task)
    assert node.executions("node1") == 1


async def test_lost_restart_is_not_seen_in_an_earlier_one(node: House) -> None:
    """That was still under way when it was sent, and ends while it is looked for."""
    node.emulator.set_modes("node1", seconds=1)
    earlier = await node.reset("node1.1", "PowerCycle")
    await node.until(earlier, "Running")
    node.emulator.set_modes("node1", fail=True)
    node.emulator.set_modes("plugin", lose_answer=1)
    lost = await node.reset("node1.1", "ForceRestart")
    await node.ended(earlier)
    assert says_unknown(await node.ended(lost))


async def test_lost_restart_is_seen_where_no_other_task_makes_one(node: House) -> None:
    node.emulator.set_modes("plugin", lose_answer=1)
    accepted = await node.reset("node1.1")
    assert (await node.ended(accepted))["TaskState"] == "Completed"
    assert node.executions("node1") == 1


async def test_lost_nmi_is_found_in_the_tasks_of_a_bmc(house: House) -> None:
    house.emulator.set_modes("bmc1", lose_answer=1)
    task = await house.ended(await house.reset("bmc1.1", "Nmi"))
    assert task["TaskState"] == "Completed", words_of(task)
    assert house.executions("bmc1") == 1
