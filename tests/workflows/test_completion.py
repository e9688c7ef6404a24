"""A change is followed: through outages, restarts and lost tasks of its source."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from taskfish.plugins.connections import FRESH_SECONDS
from taskfish.plugins.machine.accounts import Account
from taskfish.store.sources import Sources
from tests.conftest import KEY
from tests.house import SOURCES, House
from tests.workflows.houses import (
    BMC,
    VOLUMES,
    bmc_house,
    event_names,
    history_of,
    until,
    until_requested,
    words_of,
)

CHANGED_PASSWORD = "changed"


def account_of(house: House, machine: str) -> Account:
    """Return the account that the gateway uses at an emulated BMC."""
    return house.emulator.machines[machine].accounts.by_id["1"]


async def change_password(house: House) -> None:
    """Change the BMC's password there, and end its sessions; the gateway lags."""
    account_of(house, "bmc1").password = CHANGED_PASSWORD
    house.emulator.machines["bmc1"].sessions.forget()


async def until_refused(house: House, seconds: float = FRESH_SECONDS) -> None:
    """Wait until the last refusal is so old that every worker must know of it."""

    async def is_refused() -> bool:
        record = await Sources(house.store).get("bmc1")
        refused_at = record.refused_at if record else None
        since = timedelta(seconds=seconds)
        return refused_at is not None and refused_at + since < datetime.now(UTC)

    await until(is_refused)


async def correct_password(house: House) -> None:
    """Tell the gateway the changed password."""
    body = {"Password": CHANGED_PASSWORD}
    response = await house.client.patch(f"{SOURCES}/bmc1", json=body)
    assert response.status_code == 200


async def test_source_out_of_reach_interrupts_the_task(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    bmc.emulator.set_modes("bmc1", vanish=True)
    task = await bmc.until(accepted, "Interrupted")
    assert "EndTime" not in task
    bmc.emulator.set_modes("bmc1", vanish=False)
    await bmc.until(accepted, "Running")
    bmc.emulator.set_modes("bmc1", hang=False)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1
    names = event_names(await history_of(bmc, accepted))
    assert names.count("WORKFLOW_EXECUTION_SIGNALED") == 2


async def test_short_outage_interrupts_nothing(
    temporal: Client, tmp_path: Path
) -> None:
    async with bmc_house(temporal, tmp_path, KEY, interrupted_after=30) as house:
        house.emulator.set_modes("bmc1", seconds=1)
        accepted = await house.reset("bmc1.1")
        await house.until(accepted, "Running")
        house.emulator.set_modes("bmc1", vanish=True)
        await until_requested(house, "bmc1", more=3)
        assert (await house.task(accepted))["TaskState"] == "Running"
        house.emulator.set_modes("bmc1", vanish=False)
        assert (await house.ended(accepted))["TaskState"] == "Completed"
        names = event_names(await history_of(house, accepted))
        assert "WORKFLOW_EXECUTION_SIGNALED" not in names


async def test_refused_credentials_stop_the_polling(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await change_password(bmc)
    await until_refused(bmc)
    traffic = bmc.emulator.gate("bmc1").traffic
    before = traffic.requests
    await until_refused(bmc, FRESH_SECONDS + 1)
    assert traffic.requests == before
    assert (await bmc.task(accepted))["TaskState"] == "Interrupted"
    await correct_password(bmc)
    bmc.emulator.set_modes("bmc1", hang=False)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_one_refusal_is_enough(bmc: House) -> None:
    """BMCs lock accounts after a few refusals."""
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await change_password(bmc)
    bmc.emulator.gate("bmc1").traffic.reset()
    await until_refused(bmc)
    assert bmc.emulator.gate("bmc1").traffic.requests <= 2


async def test_old_credentials_condemn_no_new_ones(bmc: House) -> None:
    """They are corrected while a worker still tries the ones before."""
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await change_password(bmc)
    await until_refused(bmc, seconds=0)
    await correct_password(bmc)
    bmc.emulator.set_modes("bmc1", hang=False)

    async def is_decided() -> bool:
        record = await Sources(bmc.store).get("bmc1")
        assert record is not None
        task = await bmc.task(accepted)
        return record.refused_at is not None or task["TaskState"] == "Completed"

    await until(is_decided)
    assert (await bmc.task(accepted))["TaskState"] == "Completed"


async def test_abort_with_refused_credentials_lets_the_task_go_on(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.reset("bmc1.1")
    await bmc.until(accepted, "Running")
    await change_password(bmc)
    await until_refused(bmc)
    await bmc.workflow(accepted).cancel(reason="requested")

    async def is_refused() -> bool:
        run = await bmc.workflow(accepted).describe()
        return "abort_refused" in await run.memo()

    await until(is_refused)
    await correct_password(bmc)
    bmc.emulator.set_modes("bmc1", hang=False)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"


async def test_forgotten_task_that_was_done_completes(node: House) -> None:
    """The plugin restarts and knows no task; the machine shows the volume."""
    accepted = await node.create_volume("node1.1", name="kept")
    await node.until(accepted, "Running")
    node.emulator.restart("plugin")
    final = await node.final(accepted)
    assert (final.status_code, final.json()["Name"]) == (201, "kept")
    assert (await node.task(accepted))["TaskState"] == "Completed"
    assert node.executions("node1") == 1


async def test_forgotten_task_that_shows_nothing_is_unknown(bmc: House) -> None:
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    bmc.emulator.restart("bmc1")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert f"The outcome of POST {BMC}/{VOLUMES} is unknown" in words_of(task)
    assert f"Read {BMC}/{VOLUMES}" in words_of(task)
    assert bmc.executions("bmc1") == 1


async def test_recycled_id_completes_no_other_task(bmc: House) -> None:
    """The BMC restarts, and a task of its own gets the id that ours had."""
    bmc.emulator.set_modes("bmc1", hang=True)
    accepted = await bmc.create_volume("bmc1.1")
    await bmc.until(accepted, "Running")
    bmc.emulator.restart("bmc1", reset_ids=True)
    bmc.emulator.set_modes("bmc1", hang=False)
    own = bmc.emulator.machines["bmc1"].start_own_task(seconds=0.1)
    attributes = (await bmc.workflow(accepted).describe()).typed_search_attributes
    found = {pair.key.name: pair.value for pair in attributes}
    assert found["PluginTask"].endswith(f"/{own.id}")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "unknown" in words_of(task)


@pytest.mark.parametrize("source", ["bmc1", "node1"])
async def test_monitor_that_can_be_read_once(house: House, source: str) -> None:
    house.emulator.set_modes(source, one_shot_monitor=True)
    accepted = await house.create_volume(f"{source}.1", name="once")
    final = await house.final(accepted)
    assert (final.status_code, final.json()["Name"]) == (201, "once")


async def test_worker_stopped_in_the_final_read(node: House) -> None:
    """A graceful stop waits for the answer that a monitor gives only once."""
    node.emulator.set_modes("node1", one_shot_monitor=True, fail=True, fail_status=418)
    accepted = await node.reset("node1.1")
    await node.until(accepted, "Running")
    node.emulator.set_modes("node1", read_delay=0.5, hang=True)
    await until_requested(node, "node1")
    node.emulator.set_modes("node1", hang=False, seconds=0)
    await node.stop_worker()
    node.emulator.set_modes("node1", read_delay=0)
    await node.start_worker()
    assert (await node.final(accepted)).status_code == 418
    assert (await node.task(accepted))["TaskState"] == "Exception"


async def test_task_goes_on_with_another_worker(bmc: House) -> None:
    """The percent never goes back, and readers need no worker."""
    bmc.emulator.set_modes("bmc1", pause_at=50)
    accepted = await bmc.create_volume("bmc1.1")
    task = await bmc.until(accepted, "Suspended")
    await bmc.stop_worker()
    assert (await bmc.task(accepted))["TaskState"] == "Suspended"
    assert (await bmc.task(accepted))["PercentComplete"] == task["PercentComplete"]
    bmc.emulator.set_modes("bmc1", pause_at=None)
    await bmc.start_worker()
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1
