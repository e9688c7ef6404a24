"""A worker is killed at the worst moments: sent once, and ended truthfully."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from temporalio.client import Client

from taskfish.store.tables import secret_bodies
from tests.conftest import KEY
from tests.crashing_worker import PROGRAM
from tests.house import SOURCES, House, open_house, source_body
from tests.worker_process import worker_process
from tests.workflows.houses import (
    BMC,
    NODE,
    VOLUMES,
    create_account,
    until,
    until_begun,
    until_executed,
    words_of,
)

RECOVERY = 3.0
"""Seconds beyond the heartbeat time-out in which a killed worker's task goes on: 1.3
were measured, most of them the dead worker's sticky queue; the rest is for a busy
machine.
"""


def outcomes(house: House, machine: str) -> list[str]:
    """Return how the changes of an emulated machine have ended."""
    return [each.outcome for each in house.emulator.executions(machine)]


async def crash(house: House, address: str, boundary: str) -> None:
    """Let a worker do its work until the boundary that kills it."""
    async with worker_process(house, address, (*PROGRAM, boundary)) as worker:
        assert await worker.ended() == -9, worker.said


@pytest.mark.parametrize(
    "modes",
    [{"answer_delay": 30, "seconds": 1}, {"slow_sync": True, "seconds": 1}],
    ids=["answer on its way", "work done in the request"],
)
async def test_worker_killed_with_submit_in_flight(
    bmc: House, temporal_address: str, modes: dict[str, Any]
) -> None:
    await bmc.stop_worker()
    bmc.emulator.set_modes("bmc1", **modes)
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        accepted = await bmc.create_volume("bmc1.1", name="once")
        await until_executed(bmc)
        await worker.kill()
    assert (await bmc.task(accepted))["TaskState"] == "Starting"
    await bmc.start_worker()
    final = await bmc.final(accepted)
    assert final.headers["Location"] == f"{BMC}/{VOLUMES}/1"
    assert (await bmc.task(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_worker_killed_while_following(bmc: House, temporal_address: str) -> None:
    """Another process goes on; the task is readable while there is none."""
    await bmc.stop_worker()
    bmc.emulator.set_modes("bmc1", pause_at=50)
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        accepted = await bmc.create_volume("bmc1.1")
        task = await bmc.until(accepted, "Suspended")
        await worker.kill()
    assert (await bmc.task(accepted)) == task
    bmc.emulator.set_modes("bmc1", pause_at=None)
    await until(lambda: outcomes(bmc, "bmc1") == ["completed"])
    assert (await bmc.task(accepted)) == task
    async with worker_process(bmc, temporal_address) as worker:
        assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_killed_worker_costs_a_heartbeat_and_little_more(
    bmc: House, temporal_address: str
) -> None:
    """With another worker at hand, from the kill to the end."""
    await bmc.stop_worker()
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        bmc.emulator.set_modes("bmc1", hang=True)
        accepted = await bmc.create_volume("bmc1.1")
        await until_begun(bmc, accepted, "await_completion")
        await bmc.start_worker()
        bmc.emulator.set_modes("bmc1", hang=False, seconds=0)
        killed = time.monotonic()
        await worker.kill()
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    took = time.monotonic() - killed
    assert took < bmc.settings.heartbeat_timeout + RECOVERY


@pytest.mark.parametrize(
    ("boundary", "state", "executions"),
    [("begun", "Exception", 0), ("sent", "Completed", 1), ("answered", "Completed", 1)],
)
async def test_worker_killed_around_the_send(
    bmc: House, temporal_address: str, boundary: str, state: str, executions: int
) -> None:
    await bmc.stop_worker()
    accepted = await bmc.create_volume("bmc1.1")
    await crash(bmc, temporal_address, boundary)
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == state, words_of(task)
    assert bmc.executions("bmc1") == executions
    if state == "Exception":
        assert "unknown" in words_of(task)
        assert f"Read {BMC}/{VOLUMES}" in words_of(task)


async def test_worker_killed_after_the_send_behind_a_plugin(
    node: House, temporal_address: str
) -> None:
    """ODIM lists no tasks: the machine itself shows the reset."""
    await node.stop_worker()
    accepted = await node.reset("node1.1")
    await crash(node, temporal_address, "sent")
    await node.start_worker()
    assert (await node.ended(accepted))["TaskState"] == "Completed"
    assert node.executions("node1") == 1


@pytest.mark.parametrize("boundary", ["read", "finished"])
async def test_worker_killed_after_the_final_read(
    node: House, temporal_address: str, boundary: str
) -> None:
    """The monitor is read once: the journal or the machine has the answer."""
    await node.stop_worker()
    node.emulator.set_modes("node1", one_shot_monitor=True)
    accepted = await node.create_volume("node1.1", name="once")
    await crash(node, temporal_address, boundary)
    await node.start_worker()
    final = await node.final(accepted)
    assert (final.status_code, final.json()["Name"]) == (201, "once")
    assert final.headers["Location"] == f"{NODE}/{VOLUMES}/1"
    assert (await node.task(accepted))["TaskState"] == "Completed"


async def test_journaled_failure_is_the_answer(
    node: House, temporal_address: str
) -> None:
    await node.stop_worker()
    modes: dict[str, Any] = {"one_shot_monitor": True, "fail": True}
    node.emulator.set_modes("node1", **modes, fail_status=418)
    accepted = await node.reset("node1.1")
    await crash(node, temporal_address, "finished")
    await node.start_worker()
    assert (await node.final(accepted)).status_code == 418


async def test_worker_killed_when_the_source_has_cancelled(
    bmc: House, temporal_address: str
) -> None:
    """The end is journaled, and the workflow not yet cancelled."""
    bmc.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    await bmc.stop_worker()
    machine = bmc.emulator.machines["bmc1"]
    machine.abort(next(iter(machine.timeline.jobs.values())))
    await crash(bmc, temporal_address, "finished")
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled", words_of(task)


async def test_worker_killed_before_it_forgets_the_secrets(
    bmc: House, temporal_address: str
) -> None:
    await bmc.stop_worker()
    accepted = await create_account(bmc)
    await crash(bmc, temporal_address, "forgetting")
    assert await secrets_kept(bmc) == 1
    await bmc.start_worker()
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert await secrets_kept(bmc) == 0
    assert bmc.executions("bmc1") == 1


@pytest.mark.parametrize("boundary", ["aborting", "aborted"])
async def test_worker_killed_in_the_abort(
    bmc: House, temporal_address: str, boundary: str
) -> None:
    bmc.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    await bmc.stop_worker()
    await bmc.workflow(accepted).cancel(reason="requested")
    await crash(bmc, temporal_address, boundary)
    await bmc.start_worker()
    assert (await bmc.ended(accepted))["TaskState"] == "Cancelled"
    assert outcomes(bmc, "bmc1") == ["cancelled"]


async def test_source_cancelled_in_its_last_step_is_not_kept(
    temporal: Client, temporal_address: str, tmp_path: Path
) -> None:
    """Its inventory is there, and the task that adds it does not know yet."""
    async with open_house(temporal, tmp_path, KEY) as house:
        await house.stop_worker()
        accepted = await add_bmc(house)
        await crash(house, temporal_address, "admitted")
        await house.workflow(accepted).cancel(reason="requested")
        await house.start_worker()
        assert (await house.ended(accepted))["TaskState"] == "Cancelled"
        assert (await house.client.get(f"{SOURCES}/bmc1")).status_code == 404
        assert (await house.client.get(BMC)).status_code == 404


@pytest.mark.parametrize("boundary", ["admitted", "watching"])
async def test_worker_killed_while_it_adds_a_source(
    temporal: Client, temporal_address: str, tmp_path: Path, boundary: str
) -> None:
    async with open_house(temporal, tmp_path, KEY, submit_deadline=15) as house:
        await house.stop_worker()
        accepted = await add_bmc(house)
        await crash(house, temporal_address, boundary)
        await house.start_worker()
        assert (await house.final(accepted)).status_code == 201
        assert (await house.client.get(BMC)).status_code == 200


async def secrets_kept(house: House) -> int:
    """Return how many bodies with secrets the store holds."""
    async with house.store.read() as connection:
        return len((await connection.execute(select(secret_bodies))).all())


async def add_bmc(house: House) -> httpx.Response:
    """Send the request that adds bmc1 and return its 202."""
    address = house.addresses.bmcs[0]
    body = source_body("bmc1", address, "Redfish", "password")
    response = await house.client.post(SOURCES, json=body)
    assert response.status_code == 202
    return response
