"""Graceful resets that a forced power-off makes pointless (D13)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus

from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from activities.memos import request_in
from activities.open_places import newest_run
from taskfish.redfish.operations import is_graceful_reset
from taskfish.store.turns import Place, Turns


class SupersededRequest(BaseModel):
    """Whose forced power-off of which systems: a step of the task `task_id`."""

    model_config = ConfigDict(frozen=True)

    systems: tuple[str, ...]
    task_id: str


class SupersedingActivities:
    """Finds what a step makes pointless; of single changes the API has found it."""

    def __init__(self, client: Client, turns: Turns) -> None:
        self._client = client
        self._turns = turns

    @activity.defn
    async def superseded(self, request: SupersededRequest) -> tuple[str, ...]:
        """Return the Ids of the open graceful resets of the systems whose places are
        older than the operation's: what was asked for after it is wanted after it.

        An operation has no place on a system that an answer named: it counts from its
        start.
        """
        with as_application_errors(request.systems[0]):
            async with heartbeating():
                places = await self._turns.on(request.systems)
                came = await self._came(request.task_id, places)
                before = [
                    place
                    for place in places
                    if place.task_id != request.task_id and place.taken_at < came
                ]
                return await graceful_resets(self._client, before)

    async def _came(self, task_id: str, places: Sequence[Place]) -> datetime:
        """Return when an operation has come to be ahead of those that came later."""
        mine = [place.taken_at for place in places if place.task_id == task_id]
        if mine:
            return max(mine)
        run = await newest_run(self._client, task_id)
        return run.start_time if run is not None else datetime.now(UTC)


async def graceful_resets(client: Client, places: Sequence[Place]) -> tuple[str, ...]:
    """Return the Ids of the open graceful resets among the tasks in these places.

    Raises `TemporalUnavailableError`.
    """
    return tuple(
        [each.task_id for each in places if await _is_graceful_reset(client, each)]
    )


async def _is_graceful_reset(client: Client, place: Place) -> bool:
    run = await newest_run(client, place.task_id)
    if run is None or run.status is not WorkflowExecutionStatus.RUNNING:
        return False
    request = await request_in(run) or {}
    return request.get("token") == place.token and is_graceful_reset(
        str(request.get("uri")), request.get("body")
    )
