"""Steps go with their task: out of Temporal, with what the store has of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import select
from temporalio.service import RPCError

from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.tables import events, journal
from tests.api.test_retention import KEPT, removal, swept
from tests.composing import STEPS, create_and_reset, states, until_sent, until_step
from tests.house import House
from tests.workflows.houses import until
from tests.workflows.test_housekeeping import kept, sweep


async def is_there(house: House, workflow_id: str) -> bool:
    try:
        await house.temporal.get_workflow_handle(workflow_id).describe()
    except RPCError:
        return False
    return True


async def rows(house: House, table: Any, column: Any, task_id: str) -> Sequence[Any]:
    """Return what a table has of a task's steps."""
    statement = select(table).where(column.startswith(f"{task_id}:"))
    async with house.store.read() as connection:
        return (await connection.execute(statement)).all()


async def none_is_there(house: House, accepted: httpx.Response) -> None:
    """Wait until Temporal has deleted all steps."""
    task_id = accepted.json()["Id"]

    async def are_gone() -> bool:
        there = [await is_there(house, f"{task_id}:{name}") for name in STEPS]
        return not any(there)

    await until(are_gone)


async def test_removed_task_takes_its_steps_along(house: House) -> None:
    """At once, though visibility may not list the last of them as ended yet."""
    accepted = await create_and_reset(house)
    task_id = accepted.json()["Id"]
    await house.ended(accepted)
    assert await rows(house, journal, journal.c.workflow_id, task_id)
    removed = await house.client.delete(accepted.json()["@odata.id"])
    assert removed.status_code in (202, 204)
    await none_is_there(house, accepted)
    for row in await rows(house, journal, journal.c.workflow_id, task_id):
        assert (row.before, row.final) == (None, None)
        assert b"kind" in house.store.keyring.open(row.answer)
        assert b"forgotten" in house.store.keyring.open(row.answer)
    told = await rows(house, events, events.c.task_id, task_id)
    assert told
    assert all(row.outcome is None for row in told)


async def test_next_task_of_an_id_keeps_its_own_steps(house: House) -> None:
    headers = {"Task-Id": "again"}
    await house.ended(await create_and_reset(house, headers))
    accepted = await create_and_reset(house, headers)
    assert (await house.ended(accepted))["TaskState"] == "Completed"
    assert await states(house, accepted) == dict.fromkeys(STEPS, "Completed")
    assert house.executions("bmc1") == 4


async def test_step_that_outlives_its_task_goes_with_the_next_sweep(
    house: House,
) -> None:
    """It is not broken off; of a task that is there nothing goes."""
    house.emulator.set_modes("bmc1", hang=True, abort="ignored")
    accepted = await create_and_reset(house)
    await until_sent(house, accepted, "create-volume")
    step = f"{accepted.json()['Id']}:create-volume"
    await house.workflow(accepted).terminate()
    await until_step(house, accepted, "create-volume", "Cancelling")
    removed = await house.client.delete(accepted.json()["@odata.id"])
    assert removed.status_code in (202, 204)
    handle = house.temporal.get_workflow_handle(step)
    assert (await handle.describe()).close_time is None
    other = await create_and_reset(house, {"Task-Id": "other"})
    await until_step(house, other, "volumes-before", "Completed")
    house.emulator.set_modes("bmc1", hang=False)

    async def has_gone() -> bool:
        await removal(house).orphans(datetime.now(UTC))
        return not await is_there(house, step)

    await until(has_gone)
    assert await is_there(house, "other:volumes-before")
    await house.ended(other)
    await swept(house, KEPT)
    await none_is_there(house, other)


async def test_secrets_stay_while_a_step_of_a_killed_task_ends(house: House) -> None:
    house.emulator.set_modes("bmc1", hang=True, abort="ignored")
    accepted = await create_and_reset(house)
    task_id = accepted.json()["Id"]
    await SecretBodies(house.store).keep({"Password": "x"}, task_id)
    await until_sent(house, accepted, "create-volume")
    await house.workflow(accepted).terminate()
    await sweep(house)
    assert task_id in await kept(house)
    house.emulator.set_modes("bmc1", hang=False)
    await until_step(house, accepted, "create-volume", "Completed")

    async def is_forgotten() -> bool:
        await sweep(house)
        return task_id not in await kept(house)

    await until(is_forgotten)
