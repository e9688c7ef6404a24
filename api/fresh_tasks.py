"""What somebody has just done to tasks, which visibility may not know of yet.

Every API process keeps its requests in the store, so each knows those of the others
(contracts.md 6).
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from api.task_reader import TaskReader
from api.task_view import TaskView
from taskfish.store.requests import RequestRecord, Requests

VISIBLE_AFTER = timedelta(seconds=60)
"""After this long visibility knows of everything."""
SHOWN_AFTER = timedelta(seconds=5)
"""After this long it has, as a rule, the state of a task that was just started."""
MOST = 100
"""How many tasks of the last minute are looked up by themselves, the newest."""
_AT_ONCE = 16


class FreshTasks:
    """Reads the tasks that the last requests of somebody were about."""

    def __init__(self, reader: TaskReader, requests: Requests) -> None:
        self._reader = reader
        self._requests = requests

    async def recent(self, caller: str) -> list[RequestRecord]:
        """Return the caller's requests of the last minute, the newest first."""
        since = datetime.now(UTC) - VISIBLE_AFTER
        return (await self._requests.of_owner_since(caller, since))[:MOST]

    async def read(self, task_ids: Iterable[str]) -> dict[str, TaskView | None]:
        """Return these tasks as they are now; None for one that is no more."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def read(task_id: str) -> TaskView | None:
            async with places:
                return await self._reader.read(task_id)

        ids = list(dict.fromkeys(task_ids))
        return dict(zip(ids, await asyncio.gather(*map(read, ids)), strict=True))


def is_unsettled(request: RequestRecord) -> bool:
    """Say whether what a request did may not show in visibility though its task does:
    it has just started it, or asked to end it.
    """
    return request.ends_task or datetime.now(UTC) - request.made_at < SHOWN_AFTER
