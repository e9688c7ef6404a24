"""Watch one source: is it there, what has it, what do others do (contracts.md 9)."""

import asyncio
import time

from pydantic import BaseModel
from temporalio import activity

from activities.adoption import Adoption
from activities.heartbeat import heartbeating
from activities.source_events import SourceEvents
from activities.sources import SourceActivities
from taskfish.errors import SourceUnknownError, TaskfishError
from taskfish.plugins.connections import Connections


class Health(BaseModel):
    """What the watcher last saw: the heartbeat's details.

    `events` says how the subscription to the source's events stands.
    """

    answers: bool
    members: int
    error: str = ""
    events: str = ""


class WatchActivities:
    """The watcher's one long activity, given what it needs by the composition root."""

    def __init__(
        self,
        connections: Connections,
        sources: SourceActivities,
        events: SourceEvents,
        adoption: Adoption,
        *,
        health_check: float,
        inventory_refresh: float,
    ) -> None:
        self._connections = connections
        self._sources = sources
        self._events = events
        self._adoption = adoption
        self._health_check = health_check
        self._inventory_refresh = inventory_refresh

    @activity.defn
    async def watch_source(self, source_id: str) -> None:
        """Check and refresh until the source is removed; its faults end nothing."""
        health = Health(answers=True, members=0)
        due = time.monotonic()
        async with heartbeating(health) as beat, self._adoption.going_on(source_id):
            while True:
                try:
                    refused = await self._is_refused(source_id)
                    if not refused and time.monotonic() >= due:
                        due = time.monotonic() + self._inventory_refresh
                        members = await self._sources.read_inventory(source_id)
                        events = await self._events.keep(source_id)
                        health = Health(answers=True, members=members, events=events)
                    elif not refused:
                        await self._check(source_id)
                        health = health.model_copy(
                            update={"answers": True, "error": ""}
                        )
                except SourceUnknownError:
                    return
                except TaskfishError as error:
                    health = health.model_copy(
                        update={"answers": False, "error": str(error)}
                    )
                beat(health)
                await asyncio.sleep(self._health_check)

    async def _is_refused(self, source_id: str) -> bool:
        """Say whether the source is to be left alone: more tries may lock accounts."""
        async with self._connections.open(source_id) as connection:
            return connection.refused

    async def _check(self, source_id: str) -> None:
        async with self._connections.open(source_id) as connection:
            await connection.check()
