"""The inventory's PowerState after a task on a machine (contracts.md 1)."""

import asyncio
import logging
import re

from taskfish.errors import TaskfishError
from taskfish.plugins.connections import Connections
from taskfish.redfish.links import ROOT
from taskfish.store.inventory import Inventory

REFRESH_SECONDS = 5.0
_SYSTEM = re.compile(rf"({ROOT}/Systems/[^/]+)(/.*)?")

logger = logging.getLogger(__name__)


class MachineState:
    """Reads a system once its task has ended; the watcher reads what this misses."""

    def __init__(self, connections: Connections, inventory: Inventory) -> None:
        self._connections = connections
        self._inventory = inventory

    async def refresh(self, source: str, uri: str) -> str | None:
        """Keep and return the PowerState of the system that `uri` lies in.

        None if it lies in none, or the system does not answer soon.
        """
        match = _SYSTEM.fullmatch(uri)
        if match is None:
            return None
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                return await self._read(source, match[1])
        except (TaskfishError, TimeoutError) as error:
            logger.info("the state of %s was not read: %s", match[1], error)
            return None

    async def _read(self, source: str, system: str) -> str | None:
        async with self._connections.open(source) as connection:
            answer = await connection.read(system)
        if answer.succeeded and isinstance(answer.body, dict):
            power_state = answer.body.get("PowerState")
            if isinstance(power_state, str):
                member = system.rpartition("/")[2].partition(".")[2]
                await self._inventory.note_power_state(source, member, power_state)
                return power_state
        return None
