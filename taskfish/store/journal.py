"""The southbound journal: what makes a change be sent once (contracts.md 3).

A row stands before the request leaves. A row with an answer is the answer; a row
without one means that the request may have left and must never leave again.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue
from sqlalchemy import (
    ColumnElement,
    Row,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import journal

ADOPTED = "adopted"
"""The run id in the rows of tasks that others started: their workflows run once."""
_Parameters = dict[str, Any] | list[dict[str, Any]]
_FORGOTTEN: JsonValue = {"kind": "forgotten"}
"""What stays of an answer."""


class JournalKey(BaseModel):
    """Which sending: `run_id` is the first execution's, so that a reset keeps it."""

    model_config = ConfigDict(frozen=True)

    workflow_id: str
    run_id: str
    step: str


class JournalEntry(BaseModel):
    """One row. `before` is what was seen of the target before the request left;
    `answer` is what the source said to it, `final` how its task ended.
    """

    model_config = ConfigDict(frozen=True)

    sent_at: datetime
    fenced: bool
    before: JsonValue = None
    answer: JsonValue = None
    final: JsonValue = None


class Journal:
    """Reads and writes of the `journal` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, key: JournalKey, source: str, before: JsonValue) -> bool:
        """Insert the row of a request that is about to leave.

        Returns False when there is a row already: then the request must not leave.
        """
        return await self._insert(key, source, fenced=False, before=before)

    async def fence(self, key: JournalKey, source: str) -> bool:
        """Take the place of a request that was never begun, so that it never will be.

        Returns False when it had begun.
        """
        return await self._insert(key, source, fenced=True, before=None)

    async def entry(self, key: JournalKey) -> JournalEntry | None:
        """Return the row, None if the request was never begun."""
        async with self._store.read() as connection:
            row = (await connection.execute(select(journal).where(_is(key)))).first()
        return None if row is None else self._entry(row)

    async def forget(self, key: JournalKey) -> None:
        """Delete the row of a request that surely never left."""
        async with self._store.write() as connection:
            await connection.execute(delete(journal).where(_is(key)))

    async def answered(
        self,
        key: JournalKey,
        answer: JsonValue,
        *,
        plugin_task: str | None = None,
        started: datetime | None = None,
        created: str | None = None,
    ) -> None:
        """Keep what the source answered.

        `plugin_task` is the URI of the task it made and `started` its StartTime;
        `created` the URI of a resource that is there already.
        """
        await self._update(
            key,
            answer=self._seal(answer),
            plugin_task=plugin_task,
            plugin_task_started=started,
            created=created,
        )

    async def finished(
        self,
        key: JournalKey,
        final: JsonValue,
        *,
        created: str | None = None,
        started: datetime | None = None,
    ) -> None:
        """Keep how the source's task ended: some monitors can be read only once.

        `started` is its StartTime as it was seen on the way, if its first answer did
        not tell: by that another task with its URI is told from it later.
        """
        await self._update(
            key,
            final=self._seal(final),
            created=created,
            plugin_task_started=func.coalesce(journal.c.plugin_task_started, started),
        )

    async def follows(
        self, source: str, plugin_task: str, started: datetime | None
    ) -> bool:
        """Say whether a sending follows, or followed, this very task of the source.

        One whose StartTime was never known counts: it may be the same.
        """
        began = journal.c.plugin_task_started
        same = or_(began.is_(None), began == started)
        return await self._exists(
            (journal.c.source == source) & (journal.c.plugin_task == plugin_task) & same
        )

    async def created(self, source: str, uri: str, since: datetime) -> bool:
        """Say whether a sending since then has already created this resource."""
        return await self._exists(
            (journal.c.source == source)
            & (journal.c.created == uri)
            & (journal.c.sent_at >= since)
        )

    async def others_since(
        self, key: JournalKey, source: str, since: datetime
    ) -> list[JournalEntry]:
        """Return what other tasks have begun to send to the source since then."""
        its = (journal.c.workflow_id == key.workflow_id) & (
            journal.c.run_id == key.run_id
        )
        theirs = (journal.c.source == source) & (journal.c.sent_at >= since) & ~its
        async with self._store.read() as connection:
            rows = (await connection.execute(select(journal).where(theirs))).all()
        return [self._entry(row) for row in rows if not row.fenced]

    async def forget_answers(self, workflow_id: str, run_id: str) -> None:
        """Forget what was seen and answered in the sendings of a task that is removed.

        Its rows stay for a while: that a task of a source was ours is asked later, and
        whether its source had answered.
        """
        run_ids = (run_id, ADOPTED)
        its = (journal.c.workflow_id == workflow_id) & journal.c.run_id.in_(run_ids)
        await self._forget_answers(its, {})

    async def forget_answers_until(self, ends: Mapping[str, datetime]) -> None:
        """Forget the same of workflows that have ended, workflow id → end: of what
        they had sent by then.
        """
        its = (journal.c.workflow_id == bindparam("its_id")) & (
            journal.c.sent_at <= bindparam("its_end")
        )
        rows = [{"its_id": each, "its_end": end} for each, end in ends.items()]
        await self._forget_answers(its, rows)

    async def prune(self, before: datetime) -> None:
        """Forget what was sent before a moment: nothing follows it any more."""
        async with self._store.write() as connection:
            await connection.execute(delete(journal).where(journal.c.sent_at < before))

    async def _forget_answers(
        self, its: ColumnElement[bool], parameters: _Parameters
    ) -> None:
        seen = update(journal).where(its).values(before=None, final=None)
        answered = update(journal).where(its & journal.c.answer.is_not(None))
        forgotten = answered.values(answer=self._seal(_FORGOTTEN))
        async with self._store.write() as connection:
            await connection.execute(seen, parameters)
            await connection.execute(forgotten, parameters)

    async def _exists(self, condition: ColumnElement[bool]) -> bool:
        statement = select(journal.c.workflow_id).where(condition).limit(1)
        async with self._store.read() as connection:
            return (await connection.execute(statement)).first() is not None

    async def _update(self, key: JournalKey, **values: object) -> None:
        async with self._store.write() as connection:
            await connection.execute(update(journal).where(_is(key)).values(**values))

    async def _insert(
        self, key: JournalKey, source: str, *, fenced: bool, before: JsonValue
    ) -> bool:
        values = {
            **key.model_dump(),
            "source": source,
            "sent_at": datetime.now(UTC),
            "fenced": fenced,
            "before": self._seal(before),
        }
        try:
            async with self._store.write() as connection:
                await connection.execute(insert(journal).values(**values))
        except IntegrityError:
            return False
        return True

    def _entry(self, row: Row[*tuple[Any, ...]]) -> JournalEntry:
        answer = self._open(row.answer)
        return JournalEntry(
            sent_at=row.sent_at,
            fenced=row.fenced,
            before=self._open(row.before),
            answer=None if answer == _FORGOTTEN else answer,
            final=self._open(row.final),
        )

    def _seal(self, value: JsonValue) -> bytes | None:
        if value is None:
            return None
        return self._store.keyring.seal(json.dumps(value).encode())

    def _open(self, sealed: bytes | None) -> JsonValue:
        if sealed is None:
            return None
        opened: JsonValue = json.loads(self._store.keyring.open(sealed))
        return opened


def _is(key: JournalKey) -> ColumnElement[bool]:
    return (
        (journal.c.workflow_id == key.workflow_id)
        & (journal.c.run_id == key.run_id)
        & (journal.c.step == key.step)
    )
