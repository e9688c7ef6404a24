"""A cancel at every point of a change reaches the machine, and the task is truthful."""

from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from taskfish.plugins.machine.jobs import Job
from tests.conftest import KEY
from tests.house import SOURCES, House, open_house, source_body
from tests.workflows.houses import (
    BMC,
    NODE,
    VOLUMES,
    event_names,
    history_of,
    node_house,
    until,
    until_begun,
    until_executed,
    words_of,
)


async def cancel(house: House, accepted: httpx.Response) -> None:
    """Ask Temporal to cancel a task, as `DELETE` on it does."""
    await house.workflow(accepted).cancel(reason="requested")


def jobs_of(house: House, machine: str) -> list[Job]:
    """Return the emulated machine's own tasks, brought to the present."""
    timeline = house.emulator.machines[machine].timeline
    timeline.advance()
    return list(timeline.jobs.values())


def outcomes(house: House, machine: str) -> list[str]:
    """Return how the changes of an emulated machine have ended."""
    return [each.outcome for each in house.emulator.executions(machine)]


async def test_cancel_before_any_worker_sends_nothing(bmc: House) -> None:
    await bmc.stop_worker()
    accepted = await bmc.reset("bmc1.1")
    await cancel(bmc, accepted)
    assert (await bmc.task(accepted))["TaskState"] == "Cancelling"
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "nothing was sent" in words_of(task)
    assert bmc.executions("bmc1") == 0


async def test_cancel_between_tries_sends_nothing(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", refuse=503)
    accepted = await bmc.reset("bmc1.1")

    async def pauses() -> bool:
        return "TIMER_STARTED" in event_names(await history_of(bmc, accepted))

    await until(pauses)
    bmc.emulator.set_modes("bmc1", refuse=None)
    await cancel(bmc, accepted)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "nothing was sent" in words_of(task)
    assert bmc.executions("bmc1") == 0


@pytest.mark.parametrize("machine", ["node1", "node2"])
async def test_cancel_during_submit_aborts_what_it_made(
    node: House, machine: str
) -> None:
    node.emulator.set_modes(machine, answer_delay=0.5, seconds=30, abort_seconds=0)
    accepted = await node.create_volume(f"{machine}.1")
    await until_executed(node, machine)
    await cancel(node, accepted)
    task = await node.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert outcomes(node, machine) == ["cancelled"]


async def test_cancel_during_a_change_answered_at_once(bmc: House) -> None:
    """The machine has done it: the task tells the truth."""
    bmc.emulator.set_modes("bmc1", slow_sync=True, seconds=0.5)
    accepted = await bmc.create_volume("bmc1.1")
    await until_executed(bmc)
    await cancel(bmc, accepted)
    task = await bmc.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert "has asked to cancel it, but its source ended it first" in words_of(task)
    assert outcomes(bmc, "bmc1") == ["completed"]


async def test_cancel_of_what_ends_unknown_is_said(node: House) -> None:
    """Its answer is lost, nothing tells what it did, and the cancel comes meanwhile."""
    node.emulator.set_modes("plugin", lose_answer=1, answer_delay=0.5)
    uri = f"{NODE}/Actions/ComputerSystem.SetDefaultBootOrder"
    accepted = await node.change("POST", uri, {})
    await until_begun(node, accepted, "submit")
    await until_executed(node, "node1")
    await node.client.delete(accepted.json()["@odata.id"])
    task = await node.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "is unknown" in words_of(task)
    assert "admin has asked to cancel it, but it may have been sent" in words_of(task)


async def test_task_is_cancelled_when_the_source_has_ended_it(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=30, abort_seconds=0.5)
    accepted = await bmc.create_volume("bmc1.1", name="unwanted")
    await bmc.until(accepted, "Running")
    await cancel(bmc, accepted)
    states = set()
    while "cancelled" not in outcomes(bmc, "bmc1"):
        states.add((await bmc.task(accepted))["TaskState"])
    assert states == {"Cancelling"}
    assert (await bmc.ended(accepted))["TaskState"] == "Cancelled"
    volumes = await bmc.client.get(f"{BMC}/{VOLUMES}")
    assert volumes.json()["Members"] == []
    assert bmc.executions("bmc1", "POST") == 1


async def test_cancel_reaches_a_source_behind_a_plugin(node: House) -> None:
    node.emulator.set_modes("node1", seconds=30, abort_seconds=0.2)
    accepted = await node.reset("node1.1", "ForceOff")
    await node.until(accepted, "Running")
    await cancel(node, accepted)
    assert (await node.ended(accepted))["TaskState"] == "Cancelled"
    assert outcomes(node, "node1") == ["cancelled"]
    system = await node.client.get(NODE)
    assert system.json()["PowerState"] == "On"


@pytest.mark.parametrize("source", ["bmc1", "node1"])
async def test_source_that_finished_first_completes(house: House, source: str) -> None:
    """The cancel comes when the machine has done it, and nobody knows yet."""
    house.emulator.set_modes(source, hang=True)
    accepted = await house.create_volume(f"{source}.1")
    await house.until(accepted, "Running")
    await house.stop_worker()
    house.emulator.set_modes(source, hang=False)
    await until(lambda: outcomes(house, source) == ["completed"])
    await cancel(house, accepted)
    assert (await house.task(accepted))["TaskState"] == "Cancelling"
    await house.start_worker()
    task = await house.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert (await house.final(accepted)).status_code == 201


async def test_refused_abort_lets_the_task_go_on(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=1.5, abort="refused")
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await cancel(bmc, accepted)
    await bmc.until(accepted, "Cancelling")
    await bmc.until(accepted, "Running")
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert outcomes(bmc, "bmc1") == ["completed"]


async def test_refused_abort_shows_the_source_s_own_state(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", pause_at=50, abort="refused")
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Suspended")
    await cancel(bmc, accepted)

    async def is_suspended_again() -> bool:
        run = await bmc.workflow(accepted).describe()
        return "abort_refused" in await run.memo()

    await until(is_suspended_again)
    assert (await bmc.task(accepted))["TaskState"] == "Suspended"
    bmc.emulator.set_modes("bmc1", pause_at=None)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"


async def test_ignored_abort_completes(node: House) -> None:
    node.emulator.set_modes("node1", abort="ignored", seconds=1)
    accepted = await node.reset("node1.1")
    await node.until(accepted, "Running")
    await cancel(node, accepted)
    assert (await node.ended(accepted))["TaskState"] == "Completed"
    assert outcomes(node, "node1") == ["completed"]


@pytest.mark.parametrize("source", ["bmc1", "node1"])
async def test_source_cancels_its_task_by_itself(house: House, source: str) -> None:
    house.emulator.set_modes(source, seconds=30, abort_seconds=0.3)
    accepted = await house.create_volume(f"{source}.1")
    await house.until(accepted, "Running")
    house.emulator.machines[source].abort(jobs_of(house, source)[0])
    task = await house.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "ABORT" not in "".join(event_names(await history_of(house, accepted)))


async def test_cancel_and_answer_in_one_workflow_task(node: House) -> None:
    """Nothing that the submit brought is lost (temporal.md C4)."""
    node.emulator.set_modes("node1", answer_delay=0.5, seconds=30, abort_seconds=0)
    accepted = await node.create_volume("node1.1")
    await until_executed(node, "node1")
    await node.stop_worker()
    await cancel(node, accepted)
    await node.start_worker()
    assert (await node.ended(accepted))["TaskState"] == "Cancelled"
    assert outcomes(node, "node1") == ["cancelled"]


async def test_cancel_of_a_forgotten_task_is_no_success(bmc: House) -> None:
    """Nobody knows whether it was aborted: the task does not say so."""
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    await bmc.stop_worker()
    bmc.emulator.restart("bmc1")
    await cancel(bmc, accepted)
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "unknown" in words_of(task)
    assert "to cancel it, but its source does not know its task" in words_of(task)


async def test_cancel_while_looking(temporal: Client, tmp_path: Path) -> None:
    """It was sent, had no effect, and is not sent again."""
    limits = {"submit_deadline": 1, "submit_answer_timeout": 1}
    async with node_house(temporal, tmp_path, KEY, **limits) as house:
        house.emulator.set_modes("node1", fail=True)
        house.emulator.set_modes("plugin", lose_answer=True)
        body = {"AssetTag": "shelf 7"}
        accepted = await house.change("PATCH", NODE, body)
        await until_begun(house, accepted, "look")
        await cancel(house, accepted)
        task = await house.ended(accepted)
        assert task["TaskState"] == "Cancelled"
        assert "as it was before" in words_of(task)
        assert "nothing was sent" not in words_of(task)
        assert house.executions("node1") == 1


async def test_cancelled_source_is_not_kept(temporal: Client, tmp_path: Path) -> None:
    async with open_house(temporal, tmp_path, KEY) as house:
        house.emulator.set_modes("bmc1", read_delay=0.3)
        address = house.addresses.bmcs[0]
        body = source_body("bmc1", address, "Redfish", "password")
        accepted = await house.client.post(SOURCES, json=body)
        await until_begun(house, accepted, "admit_source")
        await cancel(house, accepted)
        task = await house.ended(accepted)
        assert task["TaskState"] == "Cancelled"
        assert "by somebody in Temporal; nothing is kept" in words_of(task)
        assert (await house.client.get(f"{SOURCES}/bmc1")).status_code == 404
        house.emulator.set_modes("bmc1", read_delay=0)
        answer = await house.add_source("bmc1", address, "Redfish", "password")
        assert answer.status_code == 201
