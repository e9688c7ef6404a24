"""Which tasks of a source are known: those that it made for us, and adopted ones.

Both are rows of the journal, which outlive the tasks themselves: so nothing is adopted
twice, and nothing that was ours (contracts.md 9).
"""

import json
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue
from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from taskfish.redfish.source_events import task_name
from taskfish.redfish.task import PluginTask
from taskfish.store.database import Store
from taskfish.store.journal import ADOPTED, JournalKey
from taskfish.store.tables import journal

_STARTED: JsonValue = {"kind": ADOPTED}
"""The answer of a row whose task has surely been started."""


class Sending(BaseModel):
    """A change whose task at the source is not known: it may be any that began then."""

    model_config = ConfigDict(frozen=True)

    workflow_id: str
    run_id: str
    sent_at: datetime


class Known(NamedTuple):
    """Whose task it is; `is_only_begun` if it was to be adopted and that broke off."""

    workflow_id: str
    is_only_begun: bool


def adoption_key(task_id: str) -> JournalKey:
    """Return the journal's key of an adopted task."""
    return JournalKey(workflow_id=task_id, run_id=ADOPTED, step=ADOPTED)


class AdoptedTasks:
    """Reads and writes of the `journal` table that are about adoption."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def undecided(self, source: str) -> list[Sending]:
        """Return the sendings that may have made a task which nobody has found."""
        its = (journal.c.source == source) & ~journal.c.fenced
        is_sending = journal.c.run_id != ADOPTED
        task = journal.c.plugin_task
        is_open = (journal.c.answer.is_(None) & task.is_(None)) | (task == "")
        columns = (journal.c.workflow_id, journal.c.run_id, journal.c.sent_at)
        statement = select(*columns).where(its & is_sending & is_open)
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Sending.model_validate(dict(row._mapping)) for row in rows]

    async def known(self, source: str, task: PluginTask) -> Known | None:
        """Return whose task this is, None if it is nobody's.

        Its monitor and its Task have the same name, or the source told both. One whose
        StartTime was never known counts: it may be the same.
        """
        began = journal.c.plugin_task_started
        is_its = journal.c.source == source
        if task.started is not None:
            is_its &= or_(began.is_(None), began == task.started)
        columns = (journal.c.workflow_id, journal.c.run_id, journal.c.plugin_task)
        statement = select(*columns, journal.c.answer).where(
            is_its, journal.c.plugin_task.is_not(None)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        names = _names(task.monitor, task.task)
        same = [row for row in rows if names & _names(row.plugin_task)]
        same = same or [row for row in rows if names & self._told(row.answer)]
        found = [
            Known(row.workflow_id, row.run_id == ADOPTED and row.answer is None)
            for row in same
        ]
        return min(found, key=lambda known: known.is_only_begun, default=None)

    async def knows(self, source: str, name: str) -> bool:
        """Say whether a task of this name is known, whenever it began."""
        return await self.known(source, PluginTask(task=name)) is not None

    async def begin(
        self, task_id: str, source: str, task: PluginTask, final: JsonValue
    ) -> None:
        """Keep that a task is about to be adopted; `final` is how it has ended."""
        values = {
            **adoption_key(task_id).model_dump(),
            "source": source,
            "sent_at": datetime.now(UTC),
            "fenced": False,
            "plugin_task": task.uri,
            "plugin_task_started": task.started,
            "final": None if final is None else self._seal(final),
        }
        try:
            async with self._store.write() as connection:
                await connection.execute(insert(journal).values(**values))
        except IntegrityError:
            return

    async def started(self, task_id: str) -> None:
        """Keep that a task has been adopted: it never is again."""
        its = (journal.c.workflow_id == task_id) & (journal.c.run_id == ADOPTED)
        async with self._store.write() as connection:
            await connection.execute(
                update(journal).where(its).values(answer=self._seal(_STARTED))
            )

    def _told(self, sealed: bytes | None) -> set[str]:
        """Return the names of a task in the answer by which a change was accepted."""
        if sealed is None:
            return set()
        answer: JsonValue = json.loads(self._store.keyring.open(sealed))
        task = answer.get("task") if isinstance(answer, dict) else None
        if not isinstance(task, dict):
            return set()
        found = PluginTask.model_validate(task)
        return _names(found.monitor, found.task)

    def _seal(self, value: JsonValue) -> bytes:
        return self._store.keyring.seal(json.dumps(value).encode())


def _names(*uris: str | None) -> set[str]:
    return {task_name(uri) for uri in uris if uri}
