"""The journal: begun once, answered, fenced, forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from taskfish.store.journal import Journal, JournalKey
from tests.store.test_database import a_store

KEY = JournalKey(workflow_id="w", run_id="r", step="submit-1")


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
    await journal.answered(KEY, {"status": "plainly"}, "/taskmon/1")
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


async def test_tasks_followed_before_are_not_known_since(tmp_path: Path) -> None:
    store = await a_store(tmp_path)
    journal = Journal(store)
    await journal.begin(KEY, "rack7", None)
    await journal.answered(KEY, {}, "/taskmon/1")
    now = datetime.now(UTC)
    ago = now - timedelta(minutes=1)
    assert await journal.knows_task("rack7", "/taskmon/1", ago)
    assert not await journal.knows_task("rack7", "/taskmon/1", now)
    assert not await journal.knows_task("rack8", "/taskmon/1", ago)
    await store.close()
