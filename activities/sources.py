"""Take a source in, and forget one that could not be taken in (contracts.md 2)."""

import logging

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities.errors import as_application_errors
from activities.heartbeat import heartbeating
from taskfish.errors import SourceUnknownError
from taskfish.plugins.connections import Connections
from taskfish.store.inventory import Inventory
from taskfish.store.sources import Sources
from taskfish.temporal import RPC_TIMEOUT

logger = logging.getLogger(__name__)

WATCH = "WatchSource"
"""The workflow type of the watchers, started here by name: workflows lie above."""
WATCHER = "watch:"
"""What the id of a watcher begins with; its source's Id follows."""


class SourceRequest(BaseModel):
    """Which source; never with its password. `task_id` is the task that adds it."""

    model_config = ConfigDict(frozen=True)

    source: str
    task_id: str
    uri: str


class SourceActivities:
    """Activities about one source, given what they need by the composition root."""

    def __init__(
        self,
        client: Client,
        connections: Connections,
        sources: Sources,
        inventory: Inventory,
        task_queue: str,
    ) -> None:
        self._client = client
        self._connections = connections
        self._sources = sources
        self._inventory = inventory
        self._task_queue = task_queue

    @activity.defn
    async def admit_source(self, request: SourceRequest) -> int:
        """Prove the credentials, read the inventory, make the source ready.

        Returns how many members it has.
        """
        with as_application_errors(request.uri):
            async with heartbeating():
                return await self.read_inventory(request.source, request.task_id)

    @activity.defn
    async def discard_source(self, request: SourceRequest) -> None:
        """Forget a source that could not be added, with its credentials.

        Also one that its last step made ready before the task learned of that.
        """
        with as_application_errors(request.uri):
            async with heartbeating():
                record = await self._sources.get(request.source)
                if record is not None and record.task_id == request.task_id:
                    await self._sources.remove(request.source)

    @activity.defn
    async def start_watch(self, request: SourceRequest) -> None:
        """Start the source's watcher, in place of one of an earlier source's."""
        async with heartbeating():
            conflict = WorkflowIDConflictPolicy.TERMINATE_EXISTING
            await self.watch(request.source, conflict)

    async def watch(self, source_id: str, conflict: WorkflowIDConflictPolicy) -> None:
        """Start `watch:{source}`; `conflict` says what becomes of one that runs."""
        await start_watcher(self._client, self._task_queue, source_id, conflict)

    async def watch_all(self) -> None:
        """Start the watchers that do not run, as when Temporal's data are new."""
        for record in await self._sources.ready():
            try:
                conflict = WorkflowIDConflictPolicy.USE_EXISTING
                await self.watch(record.source.id, conflict)
            except RPCError as error:
                logger.warning("%s is not watched: %s", record.source.id, error)

    async def read_inventory(self, source_id: str, task_id: str | None = None) -> int:
        """Replace the source's inventory by what it has now; return how many.

        `task_id` is the task that adds the source, if it is not there yet.
        """
        async with self._connections.open(source_id, fresh=True) as connection:
            found = await connection.discover()
        kept = await self._inventory.replace(
            source_id,
            found.members,
            uuid=found.identity.uuid,
            has_accounts=found.identity.has_accounts,
            has_tasks=found.identity.has_tasks,
            task_id=task_id,
        )
        if not kept:
            raise SourceUnknownError(f"{source_id} was removed meanwhile")
        return len(found.members)


async def start_watcher(
    client: Client, task_queue: str, source_id: str, conflict: WorkflowIDConflictPolicy
) -> None:
    """Start `watch:{source}`; `conflict` says what becomes of one that runs."""
    await client.start_workflow(
        WATCH,
        source_id,
        id=f"{WATCHER}{source_id}",
        task_queue=task_queue,
        id_conflict_policy=conflict,
        static_summary=f"Watches {source_id}: health and inventory",
        rpc_timeout=RPC_TIMEOUT,
    )
