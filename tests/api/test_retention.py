"""Ended tasks go: after their time, when told to, with their source."""

import asyncio
import dataclasses
import logging
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import retention
from activities.removal import TaskRemoval
from activities.retention import RetentionActivities
from taskfish.errors import UndecryptableError
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal, JournalEntry, JournalKey
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.service_settings import ServiceSettings, TaskServiceOptions
from taskfish.store.tables import journal
from taskfish.store.turns import Turns
from taskfish.temporal import TASK_SOURCE
from tests.api.answers import members, message_keys
from tests.api.test_service import without_temporal
from tests.api.test_unreadable_tasks import strange_task, until_listed
from tests.conftest import KEY
from tests.house import SOURCES, TASKS, House
from tests.plugins.faulty_socket import refused
from tests.workflows.houses import answered, bmc_house, until

DELETE_ALL = "/redfish/v1/TaskService/Actions/TaskService.DeleteAllCompletedTasks"
KEPT = timedelta(minutes=1440)
MOMENT = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


def removal(house: House) -> TaskRemoval:
    store = house.store
    return TaskRemoval(
        house.temporal,
        Journal(store),
        MonitorReads(store),
        Requests(store),
        Turns(store),
        EventLog(store),
    )


def sweeping(house: House, later: timedelta) -> RetentionActivities:
    """Return the activities, for which it is later than it is."""
    return RetentionActivities(
        house.temporal,
        ServiceSettings(house.store, house.settings),
        removal(house),
        clock=lambda: datetime.now(UTC) + later,
    )


async def swept(house: House, later: timedelta = KEPT) -> int:
    """Sweep once, at a later time; return how many tasks went."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info, heartbeat_timeout=timedelta(seconds=10)
    )
    sweep = sweeping(house, later).remove_expired
    return await answered(lambda: environment.run(sweep))


async def run_of(house: House, accepted: httpx.Response) -> tuple[str, str]:
    description = await house.workflow(accepted).describe()
    return description.id, description.run_id


async def is_listed(house: House, accepted: httpx.Response) -> bool:
    return accepted.json()["@odata.id"] in members(await house.client.get(TASKS))


async def is_gone(house: House, accepted: httpx.Response) -> bool:
    response = await house.client.get(accepted.json()["@odata.id"])
    return response.status_code == 404


async def ended(house: House, system: str = "bmc1.1") -> httpx.Response:
    """Return the 202 of a task that has ended and that lists show as ended."""
    accepted = await house.reset(system)
    await house.final(accepted)
    await until_ended(house, accepted)
    return accepted


async def until_ended(house: House, accepted: httpx.Response) -> None:
    """Wait until lists show the task as ended."""
    query = f"WorkflowId = '{accepted.json()['Id']}' AND ExecutionStatus != 'Running'"

    async def is_known() -> bool:
        return (await house.temporal.count_workflows(query)).count == 1

    await until(is_known)


@pytest.fixture
async def running(house: House) -> httpx.Response:
    """Give the 202 of a task that goes on."""
    house.emulator.set_modes("node1", seconds=60)
    accepted = await house.reset("node1.1")
    await house.until(accepted, "Running")
    return accepted


@pytest.fixture
async def manual(temporal: Client, tmp_path: Path) -> AsyncIterator[House]:
    """Give a gateway where nothing goes by itself, but with its source."""
    policy = {"completed_task_overwrite_policy": "Manual"}
    async with bmc_house(
        temporal, tmp_path, KEY, remove_tasks_with_source=True, **policy
    ) as house:
        yield house


async def test_task_goes_after_its_time(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = await ended(house)
    task_id, run_id = await run_of(house, accepted)
    caplog.set_level(logging.INFO, "activities.removal")
    assert await swept(house) >= 1
    await until(lambda: is_gone(house, accepted))
    assert (await house.client.get(accepted.headers["Location"])).status_code == 404
    assert not await MonitorReads(house.store).reads_of([(task_id, run_id)])
    said = [text for text in caplog.messages if task_id in text]
    assert len(said) == 1
    assert said[0].startswith("TaskEvent.1.0.TaskRemoved ")

    async def is_unlisted() -> bool:
        return not await is_listed(house, accepted)

    await until(is_unlisted)


async def test_answers_of_a_removed_task_are_forgotten(house: House) -> None:
    accepted = await ended(house)
    task_id, run_id = await run_of(house, accepted)
    keys = await journal_keys(house, task_id)
    assert [key.run_id for key in keys] == [run_id]
    assert (await entry(house, keys[0])).answer is not None
    await swept(house)
    forgotten = await entry(house, keys[0])
    assert (forgotten.before, forgotten.answer, forgotten.final) == (None, None, None)


async def test_task_stays_until_its_time(house: House) -> None:
    accepted = await ended(house)
    await swept(house, KEPT - timedelta(minutes=5))
    assert not await is_gone(house, accepted)
    assert (await house.client.get(accepted.headers["Location"])).status_code < 300


async def test_time_is_that_of_the_task_service(house: House) -> None:
    accepted = await ended(house)
    service = "/redfish/v1/TaskService"
    name = "TaskAutoDeleteTimeoutMinutes"
    await house.client.patch(service, json={name: 2})
    await swept(house, timedelta(minutes=1))
    assert not await is_gone(house, accepted)
    await swept(house, timedelta(minutes=2))
    await until(lambda: is_gone(house, accepted))
    await house.client.patch(service, json={name: 1440})


async def test_running_task_never_goes(house: House, running: httpx.Response) -> None:
    await swept(house, timedelta(days=1000))
    assert (await house.task(running))["TaskState"] == "Running"
    run = await run_of(house, running)
    assert not await answered(lambda: removal(house).remove_run(*run))
    assert (await house.task(running))["TaskState"] == "Running"


async def test_every_way_to_end_is_swept(house: House) -> None:
    house.emulator.set_modes("bmc1", fail=True)
    failed = await ended(house)
    house.emulator.set_modes("bmc1", fail=False, hang=True)
    killed = await house.reset("bmc1.1")
    await house.until(killed, "Running")
    await house.workflow(killed).terminate()
    await until_ended(house, killed)
    await swept(house)
    await until(lambda: all_gone(house, failed, killed))


async def all_gone(house: House, *tasks: httpx.Response) -> bool:
    return all([await is_gone(house, each) for each in tasks])


async def test_nothing_goes_by_itself_if_the_operator_says_so(manual: House) -> None:
    service = (await manual.client.get("/redfish/v1/TaskService")).json()
    assert service["CompletedTaskOverWritePolicy"] == "Manual"
    accepted = await ended(manual)
    assert await swept(manual, timedelta(days=1000)) == 0
    assert not await is_gone(manual, accepted)
    assert (await manual.client.post(DELETE_ALL)).status_code == 204
    await until(lambda: is_gone(manual, accepted))


async def test_sweep_goes_on_until_nothing_is_left(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: more than Temporal lists at once."""
    tasks = [await ended(house) for _ in range(3)]
    monkeypatch.setattr(retention, "PAGE_SIZE", 1)
    assert await swept(house) >= 3
    await until(lambda: all_gone(house, *tasks))


async def test_sweep_takes_unreadable_tasks_and_those_beside_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await ended(house)
    task_id, _ = await run_of(house, accepted)
    begin = TaskRemoval.begin

    async def begin_others(self: TaskRemoval, name: str, run_id: str) -> bool:
        if name == task_id:
            raise UndecryptableError("of another key")
        return await begin(self, name, run_id)

    async with strange_task(house, "another key") as strange:
        await strange.terminate()
        await until_listed(house, strange.id)
        other = await ended(house)
        monkeypatch.setattr(TaskRemoval, "begin", begin_others)
        uri = f"{TASKS}/{strange.id}"
        while (await house.client.get(uri)).status_code != 404:
            await swept(house)
        await until(lambda: is_gone(house, other))
    assert not await is_gone(house, accepted)


async def test_interrupted_sweep_is_made_up_for(house: House) -> None:
    tasks = [await ended(house) for _ in range(4)]
    sweep = asyncio.create_task(swept(house))
    await until(lambda: is_gone(house, tasks[-1]))
    sweep.cancel()
    await asyncio.gather(sweep, return_exceptions=True)
    await swept(house)
    await until(lambda: all_gone(house, *tasks))


async def test_sweep_without_temporal_is_tried_again(house: House) -> None:
    with refused() as url:
        nowhere = await Client.connect(url.removeprefix("http://"), lazy=True)
        activities = RetentionActivities(
            nowhere, ServiceSettings(house.store, house.settings), removal(house)
        )
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info, heartbeat_timeout=timedelta(seconds=10)
        )
        with pytest.raises(ApplicationError) as raised:
            await environment.run(activities.remove_expired)
    assert not raised.value.non_retryable
    assert raised.value.type == "TemporalUnavailableError"


async def test_removal_may_be_repeated(house: House) -> None:
    accepted = await ended(house)
    run = await run_of(house, accepted)

    async def remove() -> bool:
        return await answered(lambda: removal(house).remove_run(*run))

    await asyncio.gather(remove(), remove())
    await until(remove)
    assert await is_gone(house, accepted)
    assert await answered(lambda: removal(house).remove_run("Never-started", run[1]))


async def test_removal_keeps_what_a_later_run_stands_on(house: House) -> None:
    accepted = await ended(house)
    task_id, run_id = await run_of(house, accepted)
    (key,) = await journal_keys(house, task_id)
    await house.stop_worker()
    await house.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=house.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=task_id, run_id=run_id),
            workflow_task_finish_event_id=4,
            request_id=str(uuid.uuid4()),
        )
    )
    await until(lambda: removal(house).remove_run(task_id, run_id))
    newest = await run_of(house, accepted)
    assert newest[1] != run_id
    assert (await entry(house, key)).answer is not None
    await house.start_worker()
    await house.ended(accepted)
    assert house.executions("bmc1") == 1
    await until(lambda: removal(house).remove_run(*newest))
    assert (await entry(house, key)).answer is None


async def test_all_ended_tasks_are_deleted(
    house: House, running: httpx.Response
) -> None:
    tasks = [await ended(house) for _ in range(3)]
    response = await house.client.post(DELETE_ALL, json={})
    assert (response.status_code, response.content) == (204, b"")
    await until(lambda: all_gone(house, *tasks))
    assert (await house.task(running))["TaskState"] == "Running"


async def test_deletion_survives_without_a_worker(house: House) -> None:
    accepted = await ended(house)
    await house.stop_worker()
    for _ in range(2):
        assert (await house.client.post(DELETE_ALL)).status_code == 204
    assert not await is_gone(house, accepted)
    later = await house.reset("bmc1.1")
    await house.start_worker()
    await until(lambda: is_gone(house, accepted))
    assert (await house.ended(later))["TaskState"] == "Completed"


async def test_deletion_of_all_takes_no_parameters(house: House) -> None:
    accepted = await ended(house)
    response = await house.client.post(DELETE_ALL, json={"Force": True})
    assert response.status_code == 400
    assert message_keys(response) == ["ActionParameterUnknown"]
    assert not await is_gone(house, accepted)


async def test_deletion_of_all_is_posted(house: House) -> None:
    for method in ("GET", "DELETE", "PATCH"):
        response = await house.client.request(method, DELETE_ALL)
        assert response.status_code == 405
        assert response.headers["Allow"] == "POST"


async def test_deletion_needs_temporal(house: House) -> None:
    async with without_temporal(house) as client:
        response = await client.post(DELETE_ALL)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0


async def test_removal_is_no_task(house: House) -> None:
    assert (await house.client.post(DELETE_ALL)).status_code == 204
    for uri in (TASKS, "/redfish/v1/TaskService/TaskMonitors"):
        assert (await house.client.get(f"{uri}/removal:all")).status_code == 404
    assert f"{TASKS}/removal:all" not in members(await house.client.get(TASKS))


async def test_tasks_stay_when_their_source_goes(house: House) -> None:
    accepted = await ended(house)
    assert (await house.client.delete(f"{SOURCES}/bmc1")).status_code == 204
    assert (await house.client.delete(f"{SOURCES}/node2")).status_code == 204
    assert not await is_gone(house, accepted)


async def test_tasks_go_with_their_source_if_set_so(manual: House) -> None:
    accepted = await ended(manual)
    other = await manual.temporal.start_workflow(
        "Task.Elsewhere",
        id=f"Elsewhere-{uuid.uuid4()}",
        task_queue=f"nobody-{uuid.uuid4()}",
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(TASK_SOURCE, "bmc9")]
        ),
    )
    await other.terminate()
    assert (await manual.client.delete(f"{SOURCES}/bmc1")).status_code == 204
    await until(lambda: is_gone(manual, accepted))
    assert await other.describe()


def test_expiry_counts_from_the_end() -> None:
    options = TaskServiceOptions(
        task_auto_delete_timeout_minutes=90,
        task_monitor_auto_expiry_seconds=60,
        overwrite_policy="Oldest",
    )
    assert options.expires_at(MOMENT) == MOMENT + timedelta(minutes=90)
    assert options.expires_at(None) is None
    manual = options.model_copy(update={"overwrite_policy": "Manual"})
    assert manual.expires_at(MOMENT) is None


async def journal_keys(house: House, task_id: str) -> list[JournalKey]:
    """Return the keys of a task's sendings."""
    its = select(journal).where(journal.c.workflow_id == task_id)
    async with house.store.read() as connection:
        rows = (await connection.execute(its)).all()
    return [
        JournalKey(workflow_id=task_id, run_id=row.run_id, step=row.step)
        for row in rows
    ]


async def entry(house: House, key: JournalKey) -> JournalEntry:
    found = await Journal(house.store).entry(key)
    assert found is not None
    return found
