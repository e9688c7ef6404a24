"""Keeps the parts of a running Taskfish alive, and ends them in order."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from taskfish.cli.child_processes import log_end, start_child, stop_child
from taskfish.errors import TaskfishError

FIRST_DELAY = 0.2
LONGEST_DELAY = 3.0
STEADY_SECONDS = 10.0
"""A part that lived so long starts with the first delay again."""
PROBE_INTERVAL = 0.1
START_TRIES = 3
START_SECONDS = 60.0
STOP_GRACE = 10.0
LOG_BYTES = 10 << 20

logger = logging.getLogger(__name__)


class PartFailedError(TaskfishError):
    """A part never became ready; the text holds the end of its log."""


@dataclass(frozen=True)
class Part:
    """One process. `probe` gets its pid and says whether it is ready for use."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    probe: Callable[[int], Awaitable[bool]]


class Supervisor:
    """Starts parts, restarts those that die, stops all in reverse order at its end.

    `changed` is set whenever a part becomes ready or ends; `kill` may be called while
    the parts are being stopped, to end that at once.
    """

    def __init__(self, logs: Path) -> None:
        self.changed = asyncio.Event()
        self._logs = logs
        self._parts: dict[str, _KeptPart] = {}
        self._killed = False

    async def __aenter__(self) -> "Supervisor":
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for part in self._parts.values():
            part.give_up()
        for part in reversed(self._parts.values()):
            await part.stop(0 if self._killed else STOP_GRACE)

    async def start(self, part: Part) -> None:
        """Start a part and return when it is ready for the first time.

        Raise PartFailedError when it never is; later deaths raise nothing.
        """
        kept = _KeptPart(part, self._logs / f"{part.name}.log", self.changed)
        self._parts[part.name] = kept
        await kept.ready_once()

    @property
    def all_ready(self) -> bool:
        """Whether every part that was started is ready now."""
        return all(part.ready for part in self._parts.values())

    def pids(self) -> dict[str, int]:
        """Return the process id of each part."""
        return {name: part.pid for name, part in self._parts.items()}

    def kill(self) -> None:
        """End every part at once."""
        self._killed = True
        for part in self._parts.values():
            part.kill()


class _KeptPart:
    """One part with its present process."""

    def __init__(self, part: Part, log: Path, changed: asyncio.Event) -> None:
        self.ready = False
        self._part = part
        self._log = log
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._was_ready = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep())

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def ready_once(self) -> None:
        first = asyncio.create_task(self._was_ready.wait())
        await asyncio.wait(
            {first, self._keeper},
            timeout=START_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        first.cancel()
        if self._keeper.done():
            self._keeper.result()
        if not self._was_ready.is_set():
            raise self._failure(f"is not ready after {START_SECONDS:.0f} seconds")

    def give_up(self) -> None:
        self._keeper.cancel()

    def kill(self) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self, grace: float) -> None:
        await asyncio.wait([self._keeper])
        if self._process:
            await stop_child(self._process, grace)

    async def _keep(self) -> None:
        """Start the process for ever, with longer and longer pauses if it dies soon."""
        clock = asyncio.get_running_loop().time
        delay, tries = FIRST_DELAY, 0
        while True:
            began, tries = clock(), tries + 1
            await self._live()
            if tries == START_TRIES and not self._was_ready.is_set():
                raise self._failure("does not start")
            if clock() - began > STEADY_SECONDS:
                delay = FIRST_DELAY
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)

    async def _live(self) -> None:
        """One life of the process, from its start to its end."""
        _shorten(self._log)
        try:
            process = await start_child(
                self._part.command, self._log, self._part.environment
            )
        except OSError as error:
            logger.warning("%s cannot be started: %s", self._part.name, error)
            return
        self._process = process
        probing = asyncio.create_task(self._become_ready(process.pid))
        try:
            code = await process.wait()
        finally:
            probing.cancel()
            self._set_ready(False)
        logger.warning("%s ended with exit code %d", self._part.name, code)

    async def _become_ready(self, pid: int) -> None:
        while True:
            if await self._part.probe(pid):
                break
            await asyncio.sleep(PROBE_INTERVAL)
        logger.info("%s is ready, process id %d", self._part.name, pid)
        self._was_ready.set()
        self._set_ready(True)

    def _set_ready(self, ready: bool) -> None:
        self.ready = ready
        self._changed.set()

    def _failure(self, problem: str) -> PartFailedError:
        return PartFailedError(
            f"{self._part.name} {problem}; the end of {self._log}:\n"
            f"{log_end(self._log)}"
        )


def _shorten(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.write_bytes(b"")
