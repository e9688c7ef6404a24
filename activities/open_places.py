"""Which places in a queue still count: those whose run is open in Temporal (D13)."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.memos import request_in
from taskfish.errors import TemporalUnavailableError
from taskfish.store.turns import Place, Turns
from taskfish.temporal import RPC_TIMEOUT

LONGEST_START = timedelta(seconds=10)
"""After which a run that was to have its place has started, or never will."""
MOST_A_SWEEP = 1000
MOST_AT_ONCE = 16
"""How many places are looked at together, at most."""
_PAGE_SIZE = 1000
_RUNNING_TASKS = "TaskOperation IS NOT NULL AND ExecutionStatus = 'Running'"
_NO_SUCH_RUN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)


async def is_open(client: Client, place: Place) -> bool:
    """Say whether the run that has a place is open, or may be about to start.

    The task's newest run has it if its memo has the place's token, or cannot be read.
    Raises `TemporalUnavailableError`.
    """
    is_young = datetime.now(UTC) - place.taken_at < LONGEST_START
    found = await newest_run(client, place.task_id)
    if found is None or await token_of(found) not in (place.token, None):
        return is_young
    return found.status is WorkflowExecutionStatus.RUNNING


async def newest_run(
    client: Client, task_id: str
) -> WorkflowExecutionDescription | None:
    """Return the newest run of a task, None if there is none.

    Raises `TemporalUnavailableError`.
    """
    handle = client.get_workflow_handle(task_id)
    try:
        return await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except (RPCError, RuntimeError) as error:
        if isinstance(error, RPCError) and error.status in _NO_SUCH_RUN:
            return None
        raise TemporalUnavailableError("Temporal does not answer") from error


async def token_of(run: WorkflowExecutionDescription) -> str | None:
    """Return the token of a run's start, which its rows have; "" without one, None if
    its memo cannot be read.
    """
    request = await request_in(run)
    return None if request is None else str(request.get("token", ""))


class OpenPlaces:
    """The places that count; those that do not are deleted when they are met."""

    def __init__(self, client: Client, turns: Turns) -> None:
        self._client = client
        self._turns = turns

    async def first(self, places: Iterable[Place]) -> Place | None:
        """Return the first that counts, None if none does.

        Mostly it is the very first. Where it is not, many may have ended since the last
        sweep: twice as many are looked at each time, so that an answer comes in time.
        Raises `TemporalUnavailableError` and `StoreUnavailableError`.
        """
        left, width = list(places), 1
        while left:
            some, left = left[:width], left[width:]
            found = await self._that_count(some)
            if found:
                return found[0]
            width = min(2 * width, MOST_AT_ONCE)
        return None

    async def sweep(self, taken_before: datetime) -> None:
        """Delete what ended tasks have left behind, so that every line stays short.

        A task gives no place up at its end: the end itself does. Looks closer only at
        what Temporal does not list as running, at 1000 of it at most.
        """
        places = await self._turns.taken_before(taken_before)
        by_token = {place.token: place for place in places}
        if not by_token:
            return
        running = await self._running()
        ended = [each for each in by_token.values() if each.task_id not in running]
        for place in ended[:MOST_A_SWEEP]:
            await self._that_count([place])

    async def _that_count(self, places: Sequence[Place]) -> list[Place]:
        """Return those that count, and delete the others."""
        looks = (is_open(self._client, place) for place in places)
        pairs = list(zip(places, await asyncio.gather(*looks), strict=True))
        await self._turns.leave(*(place.token for place, counts in pairs if not counts))
        return [place for place, counts in pairs if counts]

    async def _running(self) -> set[str]:
        try:
            return {
                run.id
                async for run in self._client.list_workflows(
                    _RUNNING_TASKS, page_size=_PAGE_SIZE, rpc_timeout=RPC_TIMEOUT
                )
            }
        except (RPCError, RuntimeError) as error:
            raise TemporalUnavailableError("Temporal lists no tasks") from error
