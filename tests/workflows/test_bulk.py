"""Bulk operations outlive their workers: each machine is reset once."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from api.task_commands import TaskCommands
from tests.api.bulk import FleetHouse, fleet_house
from tests.conftest import KEY
from tests.worker_process import worker_process
from tests.workflows.houses import event_names, history_of, until

ALL = 12


@pytest.fixture
async def fleet(temporal: Client, tmp_path: Path) -> AsyncIterator[FleetHouse]:
    """Open a gateway without a worker."""
    async with fleet_house(temporal, tmp_path, KEY, ALL) as opened:
        await opened.house.stop_worker()
        yield opened


async def test_machines_are_reset_once_whatever_is_killed(
    fleet: FleetHouse, temporal_address: str
) -> None:
    """The first worker dies within a batch, the second when the task has just gone on
    as a new run.
    """
    names = fleet.fleet.names[:6]
    fleet.fleet.hanging = set(names)
    batches = {"BatchSize": 4, "DelayBetweenBatchesInSeconds": 4}
    accepted = await fleet.reset(*names, **batches)
    async with worker_process(fleet.house, temporal_address) as first:
        await until(lambda: len(fleet.fleet.counts) == 4)
        await fleet.until_followed(accepted, names[:4])
        await first.kill()
    fleet.fleet.hanging.clear()
    async with worker_process(fleet.house, temporal_address) as second:
        await until(lambda: fleet.has_gone_on(accepted))
        await second.kill()
    assert len(fleet.fleet.counts) == 4
    await fleet.house.start_worker()
    task = await fleet.house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert fleet.fleet.counts == dict.fromkeys(names, 1)


async def test_delay_goes_on_without_a_worker(
    fleet: FleetHouse, temporal_address: str
) -> None:
    delay = 2
    batches = {"BatchSize": 2, "DelayBetweenBatchesInSeconds": delay}
    accepted = await fleet.reset("m1", "m2", "m3", **batches)
    async with worker_process(fleet.house, temporal_address) as first:
        await until(lambda: fleet.waits_for_timer(accepted))
        waits_since = time.monotonic()
        await first.kill()
    await until(lambda: time.monotonic() > waits_since + delay)
    assert "m3" not in fleet.fleet.counts
    await fleet.house.start_worker()
    assert (await fleet.house.ended(accepted))["TaskStatus"] == "OK"
    names = event_names(await history_of(fleet.house, accepted))
    assert names.count("TIMER_STARTED") == 1


async def test_cancel_reaches_a_later_run(fleet: FleetHouse) -> None:
    """What is asked of the run that was read is told to the one that goes on."""
    fleet.fleet.hanging = {"m5"}
    await fleet.house.start_worker()
    accepted = await fleet.reset()
    seen = await fleet.view(accepted)
    await until(lambda: "m5" in fleet.fleet.counts)
    assert await TaskCommands(fleet.house.temporal, seen).cancel("ada")
    task = await fleet.house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "m9" not in fleet.fleet.counts
