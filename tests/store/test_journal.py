"""The journal: begun once, answered, fenced, forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from taskfish.store.journal import Journal, JournalKey
from tests.store.test_database import a_store

KEY = JournalKey(workflow_id="w", run_id="r", step="submit-1")
NOW = datetime.now(UTC)


async def test_sending_begins_once(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    assert await journal.begin(KEY, "rack7", {"Members": []})
    assert not await journal.begin(KEY, "rack7", None)
    entry = await journal.entry(KEY)
    assert entry is not None
    assert (entry.before, entry.answer, entry.fenced) == ({"Members": []}, None, False)
    await store.close()


async def test_fenced_sending_never_begins(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    assert await journal.fence(KEY, "rack7")
    assert not await journal.begin(KEY, "rack7", None)
    await store.close()


async def test_begun_sending_is_not_fenced(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    await journal.begin(KEY, "rack7", None)
    assert not await journal.fence(KEY, "rack7")
    await store.close()


async def test_answers_are_kept_sealed(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    await journal.begin(KEY, "rack7", None)
    await journal.answered(KEY, {"status": "plainly"}, plugin_task="/taskmon/1")
    await journal.finished(KEY, {"state": "Completed"})
    entry = await journal.entry(KEY)
    assert entry is not None
    assert (entry.answer, entry.final) == (
        {"status": "plainly"},
        {"state": "Completed"},
    )
    assert all(b"plainly" not in f.read_bytes() for f in tmp_path.iterdir())
    await store.close()


async def test_unsent_sending_may_begin_again(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    await journal.begin(KEY, "rack7", None)
    await journal.forget(KEY)
    assert await journal.entry(KEY) is None
    assert await journal.begin(KEY, "rack7", None)
    await store.close()


async def test_task_that_a_sending_follows_is_known_by_its_start(
    tmp_path: Path,
) -> None:
    store = await a_store(tmp_path)
    journal, uri = Journal(store), "/taskmon/1"
    await journal.begin(KEY, "rack7", None)
    assert not await journal.follows("rack7", uri, NOW)
    await journal.answered(KEY, {}, plugin_task=uri, started=NOW)
    assert await journal.follows("rack7", uri, NOW)
    assert not await journal.follows("rack7", uri, NOW - timedelta(minutes=1))
    assert not await journal.follows("rack7", uri, None)
    assert not await journal.follows("rack7", "/taskmon/2", NOW)
    assert not await journal.follows("rack8", uri, NOW)
    await store.close()


async def test_task_whose_start_is_not_known_may_be_any(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    await journal.begin(KEY, "rack7", None)
    await journal.answered(KEY, {}, plugin_task="/taskmon/1")
    assert await journal.follows("rack7", "/taskmon/1", NOW)
    assert await journal.follows("rack7", "/taskmon/1", None)
    await store.close()


async def test_start_that_is_seen_on_the_way_tells_a_task_from_a_later_one(
    tmp_path: Path,
) -> None:
    store = await a_store(tmp_path)
    journal, uri = Journal(store), "/taskmon/1"
    await journal.begin(KEY, "rack7", None)
    await journal.answered(KEY, {}, plugin_task=uri)
    await journal.finished(KEY, {}, started=NOW)
    assert await journal.follows("rack7", uri, NOW)
    assert not await journal.follows("rack7", uri, _minutes_from_now(1))
    await store.close()


async def test_start_of_the_answer_stays(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal, uri = Journal(store), "/taskmon/1"
    await journal.begin(KEY, "rack7", None)
    await journal.answered(KEY, {}, plugin_task=uri, started=NOW)
    await journal.finished(KEY, {}, started=_minutes_from_now(1))
    assert await journal.follows("rack7", uri, NOW)
    await store.close()


async def test_created_resource_belongs_to_the_sending_that_made_it(
    tmp_path: Path,
) -> None:
    store = await a_store(tmp_path)
    journal, uri = Journal(store), "/redfish/v1/Systems/rack7.1/Storage/1/Volumes/1"
    ago, later = _minutes_from_now(-1), _minutes_from_now(1)
    await journal.begin(KEY, "rack7", None)
    await journal.finished(KEY, {}, created=uri)
    assert await journal.created("rack7", uri, ago)
    assert not await journal.created("rack7", uri, later)
    assert not await journal.created("rack7", f"{uri}1", ago)
    assert not await journal.created("rack8", uri, ago)
    await store.close()


async def test_answer_to_what_never_began_is_not_kept(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    await journal.answered(KEY, {"status": 204})
    await journal.finished(KEY, {"state": "Completed"})
    assert await journal.entry(KEY) is None
    await store.close()


@pytest.mark.parametrize("name", ["workflow_id", "run_id", "step"])
async def test_other_sendings_have_rows_of_their_own(tmp_path: Path, name: str) -> None:
    store = await a_store(tmp_path)
    journal, other = Journal(store), KEY.model_copy(update={name: "other"})
    await journal.begin(KEY, "rack7", None)
    assert await journal.entry(other) is None
    assert await journal.begin(other, "rack7", None)
    await store.close()


async def test_old_rows_are_pruned(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    await journal.begin(KEY, "rack7", None)
    await journal.prune(_minutes_from_now(-1))
    assert await journal.entry(KEY) is not None
    await journal.prune(_minutes_from_now(1))
    assert await journal.entry(KEY) is None
    await store.close()


def _minutes_from_now(minutes: int) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)
