"""What sources have said of their tasks: when to look again, for a minute."""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from taskfish.store.database import Store, notify, serialized
from taskfish.store.tables import task_news

KEPT_FOR = timedelta(seconds=60)
"""Longer than it takes to learn of a task that has spoken before its source's 202."""
MOST_OF_A_SOURCE = 2000
"""How many of a source's tasks have news at once; older ones go before their time."""


class News(NamedTuple):
    """One row: a source has spoken of the task that has this name there."""

    position: int
    source: str
    name: str


class TaskNews:
    """Writes and reads of the `task_news` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tell(self, source: str, names: Collection[str]) -> bool:
        """Keep that a source has spoken of tasks; forget what is older than a minute.

        A task has one row, whatever is said of it. Positions rise in the order in which
        readers see the rows. Returns False if there is no such source.
        """
        try:
            async with self._store.write() as connection:
                await serialized(connection, task_news.name)
                await _replace(connection, source, _newest(names))
                await _limit(connection, source)
                await notify(connection, task_news.name)
        except IntegrityError:
            return False
        return True

    def hints(self, hint: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Have `hint` called when there is news, where the database can tell."""
        return self._store.hints(task_news.name, hint)

    async def after(self, position: int, limit: int) -> list[News]:
        """Return the rows behind a position, the oldest first."""
        statement = (
            select(task_news.c.position, task_news.c.source, task_news.c.plugin_task)
            .where(task_news.c.position > position)
            .order_by(task_news.c.position)
            .limit(limit)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [News(row.position, row.source, row.plugin_task) for row in rows]


def _newest(names: Collection[str]) -> list[str]:
    """Return the names that would remain, each once: a statement takes so many."""
    return list(dict.fromkeys(names))[-MOST_OF_A_SOURCE:]


async def _replace(connection: AsyncConnection, source: str, names: list[str]) -> None:
    """Insert a row for each name, in place of its earlier one and of all old rows."""
    now = datetime.now(UTC)
    is_old = task_news.c.at < now - KEPT_FOR
    is_same = (task_news.c.source == source) & task_news.c.plugin_task.in_(names)
    await connection.execute(delete(task_news).where(is_old | is_same))
    rows = [{"at": now, "source": source, "plugin_task": name} for name in names]
    if rows:
        await connection.execute(insert(task_news), rows)


async def _limit(connection: AsyncConnection, source: str) -> None:
    """Forget all but the newest rows of a source: names can be made up for ever."""
    its = task_news.c.source == source
    newest = select(task_news.c.position).where(its).limit(MOST_OF_A_SOURCE)
    kept = newest.order_by(task_news.c.position.desc())
    too_many = its & task_news.c.position.not_in(kept)
    await connection.execute(delete(task_news).where(too_many))
