"""A worker is killed between two steps, and while it undoes: each is done once."""

import asyncio

from tests.composing import create_and_reset, resume, states
from tests.house import House
from tests.workflows.houses import until_executed, words_of
from tests.workflows.test_durability import crash


async def test_worker_killed_between_two_steps(
    bmc: House, temporal_address: str
) -> None:
    """The log has the end of a step, and its operation does not know of it yet."""
    await bmc.stop_worker()
    accepted = await create_and_reset(bmc)
    for executions in (0, 1):
        await crash(bmc, temporal_address, "ended")
        assert bmc.executions("bmc1") == executions
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert set((await states(bmc, accepted)).values()) == {"Completed"}
    assert bmc.executions("bmc1") == 2


async def test_worker_killed_while_it_undoes(bmc: House, temporal_address: str) -> None:
    """At the end of the step that fails, with the undo sent, and at its end."""
    accepted = await create_and_reset(bmc, PauseBefore=["reset"])
    await bmc.until(accepted, "Suspended")
    await bmc.stop_worker()
    bmc.emulator.set_modes("bmc1", fail=True)
    await resume(bmc, accepted)
    crashing = asyncio.create_task(crash(bmc, temporal_address, "ended"))
    await until_executed(bmc, times=2)
    bmc.emulator.set_modes("bmc1", fail=False)
    await crashing
    for boundary in ("sent", "ended"):
        await crash(bmc, temporal_address, boundary)
        assert bmc.executions("bmc1", "DELETE") == 1
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "The step create-volume was undone" in words_of(task)
    assert bmc.executions("bmc1", "POST") == 2
    assert bmc.executions("bmc1", "DELETE") == 1
