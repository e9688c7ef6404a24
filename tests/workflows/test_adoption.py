"""Tasks that others start at a source are tasks here too, once, and never ours."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from taskfish.store.event_log import EventLog
from tests.api.accounts import account
from tests.api.governing import act, allowed, until_followed
from tests.api.sessions import another_api
from tests.composing import create_and_reset
from tests.conftest import KEY
from tests.crashing_worker import PROGRAM
from tests.house import SOURCES, TASKS, House
from tests.worker_process import worker_process
from tests.workflows.adopting import (
    BMC_TASKS,
    SOON,
    VOLUMES_AT_BMC,
    adopted,
    adopted_job,
    names,
    others_change,
    others_task,
    the_adopted,
    until_looked,
)
from tests.workflows.houses import (
    BMC,
    add,
    bmc_house,
    create_account,
    event_names,
    history_of,
    until,
    until_executed,
    until_requested,
    words_of,
)
from tests.workflows.listening import reachable_house, send, until_subscribed
from tests.workflows.test_events import told

SOURCE = f"{SOURCES}/bmc1"
MOST_EVENTS = 18
"""Of an adopted task that is followed, completes and is told of."""


@pytest.fixture
async def bmc(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway that looks often for tasks at bmc1, which speaks Redfish."""
    async with bmc_house(temporal, tmp_path, KEY, adoption_interval=SOON) as house:
        yield house


async def set_adoption(house: House, wanted: bool | None) -> None:
    body = {"Oem": {"Taskfish": {"AdoptTasks": wanted}}}
    answer = await house.client.patch(SOURCE, json=body)
    assert answer.status_code == 200, answer.text


async def forget_watcher(house: House) -> None:
    """Have the next worker watch anew: nobody waits for a watcher, so that of a killed
    worker would go on after a minute.
    """
    await house.temporal.get_workflow_handle("watch:bmc1").terminate()


def age(house: House, job_id: str, by: timedelta) -> None:
    """Let an ended task of bmc1 have run long ago."""
    job = house.emulator.machines["bmc1"].timeline.jobs[job_id]
    assert job.ended is not None
    job.started, job.ended = job.started - by, job.ended - by


async def test_task_of_another_client_appears_with_all_that_its_source_shows(
    bmc: House,
) -> None:
    bmc.emulator.set_modes("bmc1", pause_at=50)
    uri = await others_change(bmc)
    accepted = await the_adopted(bmc, uri)
    await bmc.until(accepted, "Suspended")

    async def is_halfway() -> bool:
        return bool((await bmc.task(accepted))["PercentComplete"] == 50)

    # The state is known from the list, how far it is from the first poll.
    await until(is_halfway)
    task = await bmc.task(accepted)
    assert task["Id"].startswith("Adopted-bmc1.0-20")
    job = bmc.emulator.machines["bmc1"].timeline.jobs["0"]
    started = datetime.fromisoformat(task["StartTime"])
    assert abs(started - job.started) < timedelta(seconds=1)
    assert task["Name"] == job.work.name
    reset = f"{BMC}/Actions/ComputerSystem.Reset"
    facts = task["Oem"]["Taskfish"]
    assert "Owner" not in facts
    assert facts["Operation"] == "ComputerSystem.Reset"
    assert (facts["TargetResource"], facts["PluginTaskUri"]) == (reset, uri)
    assert (facts["ResourceType"], facts["Source"]) == ("ComputerSystem", "bmc1")
    assert task["Payload"]["TargetUri"] == reset
    assert "ForceRestart" in task["Payload"]["JsonBody"]


async def test_task_that_shows_no_change_is_of_its_source(bmc: House) -> None:
    accepted = await adopted_job(bmc, others_task(bmc, name="Diagnose", seconds=30))
    task = await bmc.task(accepted)
    facts = task["Oem"]["Taskfish"]
    assert (task["Name"], facts["Operation"]) == ("Diagnose", "Task.Adopt")
    assert facts["TargetResource"] == SOURCE
    assert "Payload" not in task
    of_machine = await bmc.client.get(f"{BMC}/Oem/Taskfish/Tasks")
    assert accepted.json()["@odata.id"] in of_machine.text


async def test_adopted_task_ends_as_its_source_says(bmc: House) -> None:
    accepted = await adopted_job(bmc, others_task(bmc, seconds=0.6))
    task = await bmc.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    job = bmc.emulator.machines["bmc1"].timeline.jobs["0"]
    assert job.ended is not None
    ended = datetime.fromisoformat(task["EndTime"])
    assert abs(ended - job.ended) < timedelta(seconds=1)
    assert (await bmc.client.get(task["TaskMonitor"])).status_code == 200
    events = event_names(await history_of(bmc, accepted))
    assert len(events) <= MOST_EVENTS, events


async def test_failed_task_of_a_source_is_an_exception(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", fail=True, seconds=0.6)
    accepted = await the_adopted(bmc, await others_change(bmc))
    task = await bmc.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Exception", "Critical")
    assert (await bmc.client.get(task["TaskMonitor"])).status_code == 500


async def test_task_that_its_source_cancels_is_cancelled(bmc: House) -> None:
    job = others_task(bmc, seconds=30)
    accepted = await adopted_job(bmc, job)
    bmc.emulator.set_modes("bmc1", abort_seconds=0)
    bmc.emulator.machines["bmc1"].abort(job)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "cancelled by its source" in words_of(task)


async def test_cancel_reaches_the_machine(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", seconds=30, abort_seconds=0)
    accepted = await the_adopted(bmc, await others_change(bmc))
    deleted = await bmc.client.delete(accepted.json()["@odata.id"])
    assert deleted.status_code == 202
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Cancelled"
    assert "was cancelled by admin" in words_of(task)
    (execution,) = bmc.emulator.executions("bmc1")
    assert execution.outcome == "cancelled"


async def test_task_that_its_source_cannot_abort_is_not_cancelled(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", abort="unsupported")
    accepted = await adopted_job(bmc, others_task(bmc, seconds=60))
    await until_followed(bmc, accepted, abortable=False)
    uri = accepted.json()["@odata.id"]
    refused = await bmc.client.delete(uri)
    assert refused.status_code == 405
    assert "DELETE" not in await allowed(bmc, uri)
    assert (await bmc.task(accepted))["TaskState"] == "Running"


async def test_refused_abort_lets_it_go_on(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", abort="refused", hang=True)
    accepted = await adopted_job(bmc, others_task(bmc, seconds=0.1))
    await bmc.client.delete(accepted.json()["@odata.id"])
    await until_followed(bmc, accepted, is_cancelling=False)
    bmc.emulator.set_modes("bmc1", hang=False)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Completed"
    assert "admin has asked to cancel it" in words_of(task)


async def test_adopted_task_is_suspended_and_resumed_at_its_source(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", pausable=True)
    accepted = await adopted_job(bmc, others_task(bmc, seconds=60))
    await until_followed(bmc, accepted, pausable=True)
    assert (await act(bmc, accepted, "Suspend")).status_code == 204
    await bmc.until(accepted, "Suspended")
    assert (await act(bmc, accepted, "Resume")).status_code == 204
    await bmc.until(accepted, "Running")


async def test_task_that_disappears_ends_honestly(bmc: House) -> None:
    accepted = await adopted_job(bmc, others_task(bmc, seconds=30))
    bmc.emulator.restart("bmc1")
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert f"How {BMC_TASKS}/0 of the source bmc1 ended is unknown" in words_of(task)
    assert "sent" not in words_of(task)


async def test_removed_source_ends_its_adopted_tasks(bmc: House) -> None:
    accepted = await adopted_job(bmc, others_task(bmc, seconds=30))
    assert (await bmc.client.delete(SOURCE)).status_code == 409
    force = {"Oem": {"Taskfish": {"Force": True}}}
    deleted = await bmc.client.request("DELETE", SOURCE, json=force)
    assert deleted.status_code == 204
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    assert "ended is unknown: there is no AggregationSource bmc1" in words_of(task)


async def test_killed_task_goes_on_at_its_source_and_is_not_adopted_again(
    bmc: House,
) -> None:
    job = others_task(bmc, name="Long", seconds=60)
    accepted = await adopted_job(bmc, job)
    assert (await act(bmc, accepted, "Kill")).status_code == 204
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Killed"
    assert "Nothing was aborted" in words_of(task)
    await until_looked(bmc)
    assert await names(bmc) == ["Long"]
    assert (await bmc.client.delete(task["@odata.id"])).status_code in (202, 204)
    await bmc.stop_worker()
    await bmc.start_worker()
    await until_looked(bmc)
    assert await names(bmc) == []
    assert job.ended is None


async def test_own_tasks_are_never_adopted(bmc: House) -> None:
    """Whatever their source says of them, while they run, later, for a new worker."""
    for location in ("monitor", "task", "relative", "none_with_body"):
        bmc.emulator.set_modes("bmc1", location=location)
        await bmc.ended(await bmc.reset("bmc1.1"))
    bmc.emulator.set_modes("bmc1", location="monitor", empty_body=True)
    await bmc.ended(await bmc.reset("bmc1.1"))
    await bmc.ended(await create_account(bmc))
    await until_looked(bmc)
    await bmc.stop_worker()
    await bmc.start_worker()
    await until_looked(bmc)
    assert await names(bmc) == []


async def test_tasks_of_steps_are_never_adopted(bmc: House) -> None:
    """Nor while a step is being sent, whose row in the journal has its task's run."""
    bmc.emulator.set_modes("bmc1", answer_delay=1)
    accepted = await create_and_reset(bmc)
    await until_executed(bmc)
    await until_looked(bmc)
    bmc.emulator.set_modes("bmc1", answer_delay=0)
    await bmc.ended(accepted)
    await until_looked(bmc)
    assert await names(bmc) == []


async def test_removed_own_task_is_not_adopted(bmc: House) -> None:
    accepted = await bmc.reset("bmc1.1")
    task = await bmc.ended(accepted)
    assert (await bmc.client.delete(task["@odata.id"])).status_code in (202, 204)
    await until_looked(bmc)
    assert await names(bmc) == []


async def test_nothing_is_adopted_while_a_change_is_being_sent(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", answer_delay=1, seconds=60)
    accepted = await bmc.reset("bmc1.1")
    await until_executed(bmc)
    others_task(bmc, name="Meanwhile", seconds=60)
    while (await bmc.task(accepted))["TaskState"] == "Starting":
        assert await names(bmc) == []
    await until_looked(bmc)
    assert await names(bmc) == ["Meanwhile"]


@pytest.mark.parametrize("boundary", ["sent", "answered"])
async def test_own_task_is_not_adopted_after_a_kill_of_the_worker(
    bmc: House, temporal_address: str, boundary: str
) -> None:
    """The journal may have no answer: nobody knows yet whose the source's task is."""
    await bmc.stop_worker()
    bmc.emulator.set_modes("bmc1", seconds=3)
    accepted = await bmc.create_volume("bmc1.1")
    async with worker_process(bmc, temporal_address, (*PROGRAM, boundary)) as worker:
        assert await worker.ended() == -9, worker.said
    await forget_watcher(bmc)
    await bmc.start_worker()
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    await until_looked(bmc)
    assert await names(bmc) == []
    assert bmc.executions("bmc1") == 1


async def test_lost_task_whose_outcome_stays_unknown_is_not_adopted(bmc: House) -> None:
    """The source hides what its task is for: it may be ours, for all that is known."""
    bmc.emulator.set_modes("bmc1", lose_answer=1, task_list=False)
    uri = f"{BMC}/Actions/ComputerSystem.SetDefaultBootOrder"
    bmc.emulator.set_modes("bmc1", answer="task")
    accepted = await bmc.change("POST", uri, {})
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Exception"
    bmc.emulator.set_modes("bmc1", task_list=True)
    later = others_task(bmc, name="Later", seconds=60)
    later.started += timedelta(hours=1)
    await adopted_job(bmc, later)
    assert await names(bmc) == ["Later"]


async def test_found_result_leaves_its_task_alone(bmc: House) -> None:
    """The source shows the volume, and not that its task has made it."""
    bmc.emulator.set_modes("bmc1", lose_answer=1, task_list=False, seconds=0)
    accepted = await bmc.create_volume("bmc1.1")
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    bmc.emulator.set_modes("bmc1", task_list=True)
    later = others_task(bmc, name="Later", seconds=60)
    later.started += timedelta(hours=1)
    await adopted_job(bmc, later)
    assert await names(bmc) == ["Later"]


async def test_two_workers_adopt_a_task_once(bmc: House, temporal_address: str) -> None:
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        for name in ("One", "Two", "Three"):
            others_task(bmc, name=name, seconds=60)
        await until_looked(bmc)
        await bmc.stop_worker()
        others_task(bmc, name="Four", seconds=60)
        await until_looked(bmc)
        assert await names(bmc) == ["Four", "One", "Three", "Two"]
    await bmc.start_worker()


async def test_adoption_that_broke_off_is_made_good(
    bmc: House, temporal_address: str
) -> None:
    """The worker is killed when the journal says that the task is about to start."""
    await bmc.stop_worker()
    job = others_task(bmc, seconds=60)
    async with worker_process(bmc, temporal_address, (*PROGRAM, "adopting")) as worker:
        assert await worker.ended() == -9, worker.said
    assert await adopted(bmc) == []
    await forget_watcher(bmc)
    await bmc.start_worker()
    await adopted_job(bmc, job)


async def test_recycled_id_is_another_task(bmc: House) -> None:
    first = await adopted_job(bmc, others_task(bmc, name="First", seconds=0))
    assert (await bmc.ended(first))["TaskState"] == "Completed"
    bmc.emulator.restart("bmc1", reset_ids=True)
    second = others_task(bmc, name="Second", seconds=0)
    assert second.id == "0"

    async def is_adopted() -> bool:
        return await names(bmc) == ["First", "Second"]

    await until(is_adopted)


async def test_source_can_switch_it_off(bmc: House) -> None:
    await set_adoption(bmc, False)
    shown = (await bmc.client.get(SOURCE)).json()["Oem"]["Taskfish"]
    assert shown["AdoptTasks"] is False
    traffic = bmc.emulator.gate("bmc1").traffic
    before = traffic.requests
    others_task(bmc, name="Unseen", seconds=60)
    done = await bmc.ended(await bmc.reset("bmc1.1"))
    assert done["TaskState"] == "Completed"
    assert await adopted(bmc) == []
    assert traffic.requests > before
    await set_adoption(bmc, None)
    await until_looked(bmc)
    assert await names(bmc) == ["Unseen"]


async def test_ended_task_is_adopted_with_its_own_times_and_without_events(
    bmc: House,
) -> None:
    await set_adoption(bmc, False)
    bmc.emulator.set_modes("bmc1", seconds=0)
    uri = await others_change(bmc, VOLUMES_AT_BMC, await _volume(bmc))
    age(bmc, uri.rpartition("/")[2], timedelta(hours=3))
    await set_adoption(bmc, True)
    accepted = await the_adopted(bmc, uri)
    task = await bmc.ended(accepted)
    assert task["TaskState"] == "Completed"
    ago = datetime.now(UTC) - timedelta(hours=2)
    assert datetime.fromisoformat(task["StartTime"]) < ago
    assert datetime.fromisoformat(task["EndTime"]) < ago
    expires = datetime.fromisoformat(task["Oem"]["Taskfish"]["ExpiresAt"])
    assert expires > datetime.now(UTC) + timedelta(hours=23)
    assert (await bmc.client.get(task["TaskMonitor"])).status_code == 201
    for name in ("StartTime", "EndTime"):
        found = {"$filter": f"{name} lt {ago:%FT%TZ}"}
        assert task["@odata.id"] in (await bmc.client.get(TASKS, params=found)).text
        others = {"$filter": f"not ({name} lt {ago:%FT%TZ})"}
        listed = await bmc.client.get(TASKS, params=others)
        assert task["@odata.id"] not in listed.text
    other = await adopted_job(bmc, others_task(bmc, seconds=0.5))
    await bmc.ended(other)
    assert (await bmc.client.delete(task["@odata.id"])).status_code in (202, 204)

    async def is_reconciled() -> bool:
        return "TaskCompletedOK" in await told(bmc, other)

    await until(is_reconciled)
    assert await told(bmc, accepted) == []


async def test_cancelled_task_that_ended_before_is_cancelled(bmc: House) -> None:
    await set_adoption(bmc, False)
    bmc.emulator.set_modes("bmc1", abort_seconds=0)
    job = others_task(bmc, seconds=30)
    bmc.emulator.machines["bmc1"].abort(job)
    await set_adoption(bmc, True)
    accepted = await adopted_job(bmc, job)
    assert (await bmc.ended(accepted))["TaskState"] == "Cancelled"


async def test_task_that_ended_before_the_retention_is_not_adopted(bmc: House) -> None:
    await set_adoption(bmc, False)
    bmc.emulator.set_modes("bmc1", seconds=0)
    uri = await others_change(bmc)
    age(bmc, uri.rpartition("/")[2], timedelta(hours=25))
    await set_adoption(bmc, True)
    await until_looked(bmc)
    assert await names(bmc) == []


async def test_removed_task_that_has_ended_is_not_adopted_again(bmc: House) -> None:
    accepted = await adopted_job(bmc, others_task(bmc, name="Gone", seconds=0))
    task = await bmc.ended(accepted)
    assert (await bmc.client.delete(task["@odata.id"])).status_code in (202, 204)
    await bmc.stop_worker()
    await bmc.start_worker()
    await until_looked(bmc)
    assert await names(bmc) == []


async def test_many_tasks_are_adopted_round_by_round(bmc: House) -> None:
    for number in range(25):
        others_task(bmc, name=f"{number}", seconds=60)

    async def are_adopted() -> bool:
        return len(await adopted(bmc)) == 25

    await until(are_adopted)


async def test_source_that_refuses_or_vanishes_does_no_harm(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", refuse_reads=500)
    others_task(bmc, name="Later", seconds=60)
    await until_requested(bmc, "bmc1", 2)
    bmc.emulator.set_modes("bmc1", refuse_reads=None, vanish=True)
    await until_requested(bmc, "bmc1", 2)
    bmc.emulator.set_modes("bmc1", vanish=False)
    await until_looked(bmc)
    assert await names(bmc) == ["Later"]


async def test_adopted_tasks_are_listed_and_filtered(bmc: House) -> None:
    accepted = await adopted_job(bmc, others_task(bmc, name="Diagnose", seconds=60))
    uri = accepted.json()["@odata.id"]
    for asked in (
        {"state": "running", "source": "bmc1"},
        {"state": "active"},
        {"resource": BMC},
        {"$filter": "Name eq 'Diagnose' and startswith(Id, 'Adopted-')"},
        {"$filter": "Oem/Taskfish/Operation eq 'Task.Adopt'"},
    ):
        listed = await bmc.client.get(TASKS, params=asked)
        assert uri in listed.text, asked
    for asked in ({"state": "ended"}, {"source": "bmc2"}, {"owner": "admin"}):
        listed = await bmc.client.get(TASKS, params=asked)
        assert uri not in listed.text, asked


async def test_adopted_tasks_take_no_place_of_changes(
    temporal: Client, tmp_path: Path
) -> None:
    """Of two places one may still be that of the task which has added the source."""
    limits = {"max_tasks_per_source": 2, "adoption_interval": SOON}
    async with bmc_house(temporal, tmp_path, KEY, **limits) as house:
        for _ in range(3):
            await adopted_job(house, others_task(house, seconds=60))
        await house.reset("bmc1.1")


async def test_adopted_task_is_told_to_subscribers(bmc: House) -> None:
    bmc.emulator.set_modes("bmc1", pause_at=50)
    accepted = await adopted_job(bmc, others_task(bmc, seconds=0.6))
    await bmc.until(accepted, "Suspended")
    bmc.emulator.set_modes("bmc1", pause_at=None)
    await bmc.ended(accepted)
    keys = await told(bmc, accepted)
    assert keys[-1] == "TaskCompletedOK"
    assert "TaskPaused" in keys
    logged = await EventLog(bmc.store).after(0, 10_000)
    assert not [
        each
        for each in logged
        if each.event.task
        and each.event.owner is not None
        and each.event.task.task_id == accepted.json()["Id"]
    ]


async def test_in_owner_only_mode_managers_alone_see_it(bmc: House) -> None:
    accepted = await adopted_job(bmc, others_task(bmc, seconds=60))
    uri = accepted.json()["@odata.id"]
    async with (
        account(bmc, "Operator") as operator,
        another_api(bmc, owner_only=True) as client,
    ):
        assert (await client.get(uri, auth=operator)).status_code == 404
        assert uri not in (await client.get(TASKS, auth=operator)).text
        assert (await client.get(uri, auth=("admin", "gatekeeper"))).status_code == 200
        refused = await bmc.client.delete(uri, auth=operator)
        assert refused.status_code == 403


async def test_event_about_an_unknown_task_has_it_adopted_soon(
    temporal: Client, tmp_path: Path
) -> None:
    """The next look by time would be in an hour."""
    async with reachable_house(temporal, tmp_path, KEY) as house:
        await add(house, "bmc1", house.addresses.bmcs[0], "Redfish", "password")
        await until_subscribed(house)
        bmc_events: dict[str, Any] = {"events": "lost"}
        house.emulator.set_modes("bmc1", **bmc_events)
        job = others_task(house, seconds=60)
        assert (await send(house, job.id, key="TaskStarted")).status_code == 204
        await adopted_job(house, job)


async def _volume(house: House) -> dict[str, Any]:
    drives = [{"@odata.id": "/redfish/v1/Systems/1/Storage/1/Drives/1"}]
    return {"Name": "theirs", "RAIDType": "RAID0", "Links": {"Drives": drives}}
