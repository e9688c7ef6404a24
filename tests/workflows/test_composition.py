"""Multi-step operations: their steps, their ends, and what is taken back."""

import asyncio

import httpx
import pytest

from tests.composing import (
    BEFORE_RESET,
    create_and_reset,
    resume,
    states,
    step_uri,
    sub_task,
    until_sent,
    until_step,
)
from tests.house import TASKS, House
from tests.workflows.houses import (
    BMC,
    FIRST,
    LAST,
    VOLUMES,
    reset_workflow,
    until_executed,
    words_of,
)
from tests.workflows.three_volumes import start
from workflows import graceful_reset


async def volumes(
    house: House, *pause_before: str, deadline: float | None = None
) -> httpx.Response:
    """Start a ThreeVolumes, and return what a 202 would say of it."""
    handle = await start(
        house.temporal, house.settings, "volumes-1", *pause_before, deadline=deadline
    )
    said = {"Id": handle.id, "@odata.id": f"{TASKS}/{handle.id}"}
    return httpx.Response(202, json=said)


def done(house: House) -> list[tuple[str, str]]:
    """Return what the machine was made to do: method and last name of each URI."""
    found = house.emulator.executions("bmc1")
    return [(each.method, each.uri.rpartition("/")[2]) for each in found]


async def held_before_the_reset(house: House) -> httpx.Response:
    """Return an operation whose volumes are there, and whose reset is next."""
    accepted = await volumes(house, "reset")
    task = await house.until(accepted, "Suspended")
    assert "paused by ada, before the step reset" in words_of(task)
    assert house.executions("bmc1") == 3
    return accepted


async def test_cancel_undoes_in_reverse(bmc: House) -> None:
    """While it undoes it is Stopping, whatever is asked of it once more."""
    bmc.emulator.set_modes("bmc1", seconds=0.2, abort_seconds=0)
    accepted = await held_before_the_reset(bmc)
    bmc.emulator.set_modes("bmc1", seconds=30)
    await resume(bmc, accepted)
    await until_sent(bmc, accepted, "reset")
    bmc.emulator.set_modes("bmc1", seconds=0.3)
    uri = accepted.json()["@odata.id"]
    assert (await bmc.client.delete(uri)).status_code == 202
    task = await bmc.until(accepted, "Stopping")
    assert "is being undone" in words_of(task)
    again = await bmc.client.delete(uri)
    assert (again.status_code, again.json()["TaskState"]) == (202, "Stopping")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "cancelled by admin" in words_of(task)
    assert words_of(task).count("was undone.") == 3
    made = (await states(bmc, accepted)).items()
    undone = [name for name, state in made if name.startswith("undo-") and state]
    assert undone[-1] == "undo-one"
    assert set(undone) == {"undo-one", "undo-two", "undo-three"}
    deleted = [name for method, name in done(bmc) if method == "DELETE"]
    assert deleted[-1] == "1"
    assert len(deleted) == 3


async def test_failed_step_undoes_what_is_done(bmc: House) -> None:
    accepted = await held_before_the_reset(bmc)
    bmc.emulator.set_modes("bmc1", fail=True)
    await resume(bmc, accepted)
    await until_executed(bmc, times=4)
    bmc.emulator.set_modes("bmc1", fail=False)
    task = await bmc.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert "The step reset has ended as Exception" in words_of(task)
    assert words_of(task).count("was undone.") == 3
    assert "Links" not in task
    assert bmc.executions("bmc1", "DELETE") == 3


async def test_failed_undo_is_told(bmc: House) -> None:
    accepted = await held_before_the_reset(bmc)
    bmc.emulator.set_modes("bmc1", fail=True)
    await resume(bmc, accepted)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    for name in ("one", "two", "three"):
        assert f"The step {name} could not be undone" in words_of(task)
    assert task["Links"]["CreatedResources@odata.count"] == 3


async def test_graceful_reset_that_fails_is_forced(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    accepted = await create_and_reset(
        bmc, ResetType="GracefulRestart", GracePeriodSeconds=1
    )
    task = await bmc.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "Warning")
    assert await states(bmc, accepted) == {
        **dict.fromkeys(BEFORE_RESET, "Completed"),
        "reset": "Exception",
        "forced-reset": "Completed",
        "system-on": "Completed",
        "volume-listed": "Completed",
    }
    assert (await bmc.client.get(f"{BMC}/{VOLUMES}/1")).status_code == 200


async def test_cancel_of_a_step_to_go_on_without_ends_the_operation(
    bmc: House,
) -> None:
    """The operation goes on without a reset that fails, not without one cancelled."""
    bmc.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    accepted = await create_and_reset(bmc, ResetType="GracefulRestart")
    await until_sent(bmc, accepted, "reset")
    await bmc.client.delete(accepted.json()["@odata.id"])
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled", words_of(task)
    assert (await states(bmc, accepted))["forced-reset"] == "Cancelled"
    assert bmc.executions("bmc1", "POST") == 2
    assert "The step create-volume was undone" in words_of(task)


async def test_deadline_stands_still_in_a_pause_and_ends_what_runs(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=0.1, abort_seconds=0)
    accepted = await volumes(bmc, "reset", deadline=3)
    await bmc.until(accepted, "Suspended")
    await asyncio.sleep(3)
    assert (await bmc.task(accepted))["TaskState"] == "Suspended"
    bmc.emulator.set_modes("bmc1", seconds=30)
    await resume(bmc, accepted)
    await until_sent(bmc, accepted, "reset")
    bmc.emulator.set_modes("bmc1", seconds=0.1)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "did not end within its time" in words_of(task)
    assert "OperationTimeout" in str(task["Messages"])
    assert words_of(task).count("was undone.") == 3
    assert "whose time is over" in words_of(await sub_task(bmc, accepted, "reset"))


async def test_deadline_stands_still_in_a_pause_before_steps_together(
    bmc: House,
) -> None:
    bmc.emulator.set_modes("bmc1", seconds=0.1)
    accepted = await volumes(bmc, "two", deadline=12)
    await bmc.until(accepted, "Suspended")
    await asyncio.sleep(12)
    assert (await bmc.task(accepted))["TaskState"] == "Suspended"
    await resume(bmc, accepted)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)


async def test_cancel_before_the_deadline_stays_a_cancel(bmc: House) -> None:
    """Its source takes longer to abort than there is time left."""
    bmc.emulator.set_modes("bmc1", seconds=0.1, abort_seconds=13)
    accepted = await volumes(bmc, "reset", deadline=12)
    await bmc.until(accepted, "Suspended")
    bmc.emulator.set_modes("bmc1", seconds=30)
    await resume(bmc, accepted)
    await until_sent(bmc, accepted, "reset")
    bmc.emulator.set_modes("bmc1", seconds=0.1)
    await bmc.client.delete(accepted.json()["@odata.id"])
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled", words_of(task)
    assert "cancelled by admin" in words_of(task)
    assert "OperationTimeout" not in str(task["Messages"])


async def test_cancel_after_a_failure_is_told(bmc: House) -> None:
    accepted = await held_before_the_reset(bmc)
    bmc.emulator.set_modes("bmc1", fail=True, seconds=0.1)
    await resume(bmc, accepted)
    await until_executed(bmc, times=4)
    bmc.emulator.set_modes("bmc1", fail=False, seconds=2)
    await bmc.until(accepted, "Stopping")
    await bmc.client.delete(accepted.json()["@odata.id"])
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    words = "admin has asked to cancel it, but a step had failed first"
    assert words in words_of(task)


async def test_failure_that_a_cancel_meets_is_told(bmc: House) -> None:
    """Nobody knows what became of the step: that must not be lost."""
    accepted = await held_before_the_reset(bmc)
    bmc.emulator.set_modes("bmc1", hang=True)
    await resume(bmc, accepted)
    await until_sent(bmc, accepted, "reset")
    await bmc.stop_worker()
    bmc.emulator.restart("bmc1")
    bmc.emulator.set_modes("bmc1", hang=False)
    await bmc.client.delete(accepted.json()["@odata.id"])
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    step = (await states(bmc, accepted))["reset"]
    assert step == "Cancelled" or f"The step reset has ended as {step}" in words_of(
        task
    )


async def test_steps_that_run_together_end_before_a_pause(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=0.5)
    accepted = await volumes(bmc, "three")
    await until_sent(bmc, accepted, "two")
    assert (await bmc.task(accepted))["TaskState"] == "Running"
    await until_step(bmc, accepted, "two", "Completed")
    task = await bmc.until(accepted, "Suspended")
    assert "paused by ada, before the step three" in words_of(task)
    assert (await states(bmc, accepted))["three"] == "New"
    await resume(bmc, accepted)
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 4


async def test_pause_before_the_first_step_sends_nothing(bmc: House) -> None:
    accepted = await create_and_reset(bmc, PauseBefore=["volumes-before"])
    task = await bmc.until(accepted, "Suspended")
    assert "before the step volumes-before" in words_of(task)
    assert bmc.executions("bmc1") == 0
    await bmc.client.delete(accepted.json()["@odata.id"])
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert bmc.executions("bmc1") == 0
    assert set((await states(bmc, accepted)).values()) == {"Cancelled"}


async def test_cancel_with_the_end_of_a_step_begins_nothing_more(bmc: House) -> None:
    """Both reach the workflow in one workflow task: one step was killed meanwhile."""
    bmc.emulator.set_modes("bmc1", seconds=0.1)
    accepted = await volumes(bmc, "two")
    await bmc.until(accepted, "Suspended")
    bmc.emulator.set_modes("bmc1", hang=True)
    await resume(bmc, accepted)
    await until_executed(bmc, times=3)
    await bmc.stop_worker()
    id_of = accepted.json()["Id"]
    for name in ("two", "three"):
        await bmc.temporal.get_workflow_handle(f"{id_of}:{name}").terminate()
    assert (await sub_task(bmc, accepted, "two"))["TaskState"] == "Killed"
    await bmc.client.delete(accepted.json()["@odata.id"])
    bmc.emulator.set_modes("bmc1", hang=False)
    await bmc.start_worker()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "The step one was undone" in words_of(task)
    assert (await states(bmc, accepted))["reset"] == "Cancelled"


async def test_step_killed_alone_has_failed(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=0.1, abort_seconds=0)
    accepted = await volumes(bmc, "two")
    await bmc.until(accepted, "Suspended")
    bmc.emulator.set_modes("bmc1", seconds=30)
    await resume(bmc, accepted)
    await until_sent(bmc, accepted, "two")
    await until_sent(bmc, accepted, "three")
    bmc.emulator.set_modes("bmc1", seconds=0.1)
    killed = bmc.temporal.get_workflow_handle(f"{accepted.json()['Id']}:two")
    await killed.terminate()
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "The step two has ended as Killed: it was killed" in words_of(task)
    assert "may still go on" in words_of(await sub_task(bmc, accepted, "two"))
    other = await sub_task(bmc, accepted, "three")
    assert "of which another step has failed" in words_of(other)


async def test_steps_of_a_terminated_operation_end_too(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=30, abort_seconds=0.5)
    accepted = await create_and_reset(bmc)
    await until_sent(bmc, accepted, "create-volume")
    await bmc.workflow(accepted).terminate()
    step = await until_step(bmc, accepted, "create-volume", "Cancelling")
    assert "its operation, which has ended, has asked to cancel" in words_of(step)
    step = await until_step(bmc, accepted, "create-volume", "Cancelled")
    assert "by its operation, which has ended, or by somebody" in words_of(step)


async def test_steps_of_a_killed_operation_are_told_to_end(bmc: House) -> None:
    """Its Id is free, but what still ends of it is in the way of a new step only."""
    bmc.emulator.set_modes("bmc1", hang=True, abort="ignored")
    headers = {"Task-Id": "mine"}
    accepted = await create_and_reset(bmc, headers)
    await until_sent(bmc, accepted, "create-volume")
    uri = accepted.json()["@odata.id"]
    killed = await bmc.client.post(f"{uri}/Actions/Oem/Taskfish.Kill", json={})
    assert killed.status_code == 204
    task = await bmc.task(accepted)
    assert task["TaskState"] == "Killed"
    assert "told to end, and nothing that was done is undone" in words_of(task)
    step = await until_step(bmc, accepted, "create-volume", "Cancelling")
    assert "admin, who has killed its operation, has asked to cancel" in words_of(step)
    assert "was not begun" in words_of(await sub_task(bmc, accepted, "reset"))
    again = await create_and_reset(bmc, headers)
    task = await bmc.ended(again)
    assert "an earlier task with the Id of this one" in words_of(task)
    step = await sub_task(bmc, again, "create-volume")
    assert step["TaskState"] == "Exception"
    assert "could not begin" in words_of(step)
    answer = await bmc.client.delete(step_uri(again, "create-volume"))
    assert answer.status_code == 405
    assert bmc.executions("bmc1") == 1


@pytest.mark.parametrize("point", [FIRST, LAST])
async def test_reset_of_an_ended_operation_sends_nothing(
    bmc: House, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps begin again, and find what those before them have sent."""
    # Nobody sees the machine go off again: it is then taken for settled sooner.
    monkeypatch.setattr(graceful_reset, "SETTLES", 1.0)
    bmc.emulator.set_modes("bmc1", seconds=0.2)
    accepted = await create_and_reset(bmc)
    before = await bmc.ended(accepted)
    sent = done(bmc)
    await reset_workflow(bmc, accepted, point)
    task = await bmc.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK"), task
    assert task["Links"] == before["Links"]
    assert done(bmc) == sent


async def test_reset_of_a_running_operation_follows_its_step(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", pause_at=30)
    accepted = await create_and_reset(bmc)
    await until_step(bmc, accepted, "create-volume", "Suspended")
    await reset_workflow(bmc, accepted, FIRST)
    bmc.emulator.set_modes("bmc1", pause_at=None, seconds=0.2)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Completed", words_of(task)
    assert [method for method, _ in done(bmc)] == ["POST", "POST"]
