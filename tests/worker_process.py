"""A worker as a process of its own, over the store and the queue of a test's house."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from taskfish.cli.child_processes import kill_child, log_end, start_child
from taskfish.cli.temporal_server import local_environment
from taskfish.settings import Settings
from tests.cli.processes import environment
from tests.house import House
from tests.workflows.houses import until

ROOT = Path(__file__).parent.parent
WORKER = (str(ROOT / "worker.py"),)
READY = "the worker is ready"
START_SECONDS = 30.0


def settings_environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which another process has these settings."""
    values = settings.model_dump(exclude={"encryption_keys", "admin_password"})
    variables = {
        f"TASKFISH_{name.upper()}": str(value)
        for name, value in values.items()
        if value is not None
    }
    keys = [key.get_secret_value() for key in settings.encryption_keys]
    return variables | {"TASKFISH_ENCRYPTION_KEYS": ",".join(keys)}


class WorkerChild:
    """A worker process under way, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        """What it has written so far."""
        return log_end(self._log, 20000)

    async def until_ready(self) -> None:
        """Wait until it works."""
        await until(self._is_ready, START_SECONDS)

    def _is_ready(self) -> bool:
        assert self.process.returncode is None, self.said
        return READY in self.said

    async def kill(self) -> None:
        """End it as `kill -9` does."""
        await kill_child(self.process)

    async def ended(self) -> int:
        """Wait until it has ended; return its code."""
        async with asyncio.timeout(START_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def worker_process(
    house: House, temporal_address: str, program: tuple[str, ...] = WORKER
) -> AsyncIterator[WorkerChild]:
    """Run a worker for a house; it is dead when the block ends."""
    variables = environment() | settings_environment(house.settings)
    async with child(local_environment(temporal_address, variables), program) as worker:
        yield worker


@asynccontextmanager
async def child(
    variables: dict[str, str], program: tuple[str, ...] = WORKER
) -> AsyncIterator[WorkerChild]:
    """Run a Python program of the checkout; it is dead when the block ends."""
    with tempfile.TemporaryDirectory(prefix="taskfish-worker-") as directory:
        log = Path(directory) / "worker.log"
        command = [sys.executable, *program]
        process = await start_child(command, log, variables)
        try:
            yield WorkerChild(process, log)
        finally:
            await kill_child(process)
