"""Which tasks of a source are known: ours by any of their names, and adopted ones."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from taskfish.plugins.protocol import Accepted
from taskfish.redfish.task import PluginTask, TaskReport, TaskState
from taskfish.store.adopted_tasks import AdoptedTasks, adoption_key
from taskfish.store.database import Store
from taskfish.store.journal import Journal, JournalKey
from tests.store.stores import opened

KEY = JournalKey(workflow_id="w", run_id="r", step="submit-1")
TASKS = "/redfish/v1/TaskService/Tasks"
BEGAN = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
LISTED = PluginTask(task=f"{TASKS}/7", started=BEGAN)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Give a store in which a change is being sent to rack7."""
    async with opened(tmp_path) as found:
        await Journal(found).begin(KEY, "rack7", None)
        yield found


async def answer(store: Store, **known: Any) -> None:
    """Keep that the source has accepted the change, and what it named."""
    report = TaskReport(state=TaskState.RUNNING)
    accepted = Accepted(task=PluginTask(**known), report=report)
    await Journal(store).answered(
        KEY,
        accepted.model_dump(mode="json"),
        plugin_task=accepted.task.uri,
        started=accepted.task.started,
    )


async def undecided(store: Store) -> list[str]:
    return [each.workflow_id for each in await AdoptedTasks(store).undecided("rack7")]


@pytest.mark.parametrize(
    "known",
    [
        {"monitor": "/taskmon/7"},
        {"monitor": "/redfish/v1/TaskService/TaskMonitors/7", "started": BEGAN},
        {"monitor": f"{TASKS}/7/Monitor"},
        {"monitor": "/taskmon/other", "task": f"{TASKS}/7"},
        {"task": f"{TASKS}/7", "started": BEGAN},
    ],
)
async def test_own_task_is_known_by_each_of_its_names(
    store: Store, known: dict[str, Any]
) -> None:
    await answer(store, **known)
    found = await AdoptedTasks(store).known("rack7", LISTED)
    assert found == ("w", False)
    assert await undecided(store) == []


@pytest.mark.parametrize(
    "known",
    [
        {"monitor": "/taskmon/70"},
        {"task": f"{TASKS}/7", "started": BEGAN + timedelta(milliseconds=1)},
    ],
)
async def test_other_name_or_start_is_another_task(
    store: Store, known: dict[str, Any]
) -> None:
    await answer(store, **known)
    assert await AdoptedTasks(store).known("rack7", LISTED) is None


async def test_task_of_another_source_is_another_task(store: Store) -> None:
    await answer(store, task=f"{TASKS}/7")
    assert await AdoptedTasks(store).known("rack8", LISTED) is None


async def test_listed_task_without_a_start_may_be_the_same(store: Store) -> None:
    await answer(store, task=f"{TASKS}/7", started=BEGAN)
    adopted = AdoptedTasks(store)
    assert await adopted.known("rack7", PluginTask(task=f"{TASKS}/7"))
    assert await adopted.knows("rack7", "7")
    assert not await adopted.knows("rack7", "8")


async def test_sending_is_undecided_until_its_task_is_known(store: Store) -> None:
    assert await undecided(store) == ["w"]
    await answer(store)
    assert await undecided(store) == ["w"]
    await answer(store, task=f"{TASKS}/7")
    assert await undecided(store) == []


async def test_answered_or_fenced_sending_is_decided(store: Store) -> None:
    journal = Journal(store)
    await journal.answered(KEY, {"kind": "answered"})
    await journal.fence(KEY.model_copy(update={"step": "submit-2"}), "rack7")
    assert await undecided(store) == []


async def test_removed_task_stays_known_and_decided(store: Store) -> None:
    journal = Journal(store)
    await journal.answered(KEY, {"kind": "answered"})
    await journal.forget_answers("w", "r")
    assert await undecided(store) == []
    await answer(store, task=f"{TASKS}/7")
    await journal.forget_answers("w", "r")
    assert await AdoptedTasks(store).known("rack7", LISTED)


async def test_removed_task_of_unknown_outcome_stays_undecided(store: Store) -> None:
    await Journal(store).forget_answers("w", "r")
    assert await undecided(store) == ["w"]


async def test_adoption_is_begun_then_made(store: Store) -> None:
    adopted, journal = AdoptedTasks(store), Journal(store)
    for _ in range(2):
        await adopted.begin("Adopted-x", "rack7", LISTED, {"state": "Completed"})
    assert await adopted.known("rack7", LISTED) == ("Adopted-x", True)
    await adopted.started("Adopted-x")
    assert await adopted.known("rack7", LISTED) == ("Adopted-x", False)
    assert await undecided(store) == ["w"]
    entry = await journal.entry(adoption_key("Adopted-x"))
    assert entry is not None
    assert entry.final == {"state": "Completed"}
    assert await journal.follows("rack7", LISTED.uri, BEGAN)


async def test_removed_adopted_task_is_never_adopted_again(store: Store) -> None:
    adopted = AdoptedTasks(store)
    await adopted.begin("Adopted-x", "rack7", LISTED, {"state": "Completed"})
    await adopted.started("Adopted-x")
    await Journal(store).forget_answers("Adopted-x", "its run")
    assert await adopted.known("rack7", LISTED) == ("Adopted-x", False)
    entry = await Journal(store).entry(adoption_key("Adopted-x"))
    assert entry is not None
    assert entry.final is None
