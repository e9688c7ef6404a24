"""A reset whose sending was broken off, while the machine is reset by another hand."""

from collections.abc import AsyncIterator
from pathlib import Path

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


async def test_lost_nmi_is_not_seen_in_another_reset(
    node: House, temporal_address: str
) -> None:
    """The worker dies before the request leaves: nobody has sent an NMI."""
    await node.stop_worker()
    accepted = await node.reset("node1.1", "Nmi")
    program = (*PROGRAM, "begun")
    async with worker_process(node, temporal_address, program) as worker:
        assert await worker.ended() == -9, worker.said
    await reset_at_its_panel(node.emulator.machines["node1"])
    await node.start_worker()
    task = await node.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "is unknown" in words_of(task)
    assert "Read /redfish/v1/Systems/node1.1" in words_of(task)
    assert node.executions("node1") == 0


async def test_lost_nmi_is_found_in_the_tasks_of_a_bmc(house: House) -> None:
    house.emulator.set_modes("bmc1", lose_answer=1)
    task = await house.ended(await house.reset("bmc1.1", "Nmi"))
    assert task["TaskState"] == "Completed", words_of(task)
    assert house.executions("bmc1") == 1
