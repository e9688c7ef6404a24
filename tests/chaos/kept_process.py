"""A process of the gateway that is started again whenever it has died."""

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from taskfish.cli.child_processes import kill_child, start_child
from tests.chaos import armed
from tests.worker_process import START_SECONDS
from tests.workflows.houses import until

PAUSE = 0.05


class KeptProcess:
    """A worker or an API. `deaths` counts how it was killed; `ends` has what it said
    where it ended by itself.
    """

    def __init__(
        self,
        part: tuple[str, ...],
        environment: Mapping[str, str],
        folder: Path,
        is_ready: Callable[["KeptProcess"], Awaitable[bool]],
    ) -> None:
        self.deaths: Counter[str] = Counter()
        self.ends: list[str] = []
        self._armed = folder / "armed"
        self._command = [sys.executable, *armed.PROGRAM, str(self._armed), *part]
        self._environment = environment
        self._folder = folder
        self._is_ready = is_ready
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self._starts = 0

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep it running while the block lasts."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping

    @property
    def said(self) -> str:
        """What the running process has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def kill(self, how: str = "killed") -> None:
        """End it as `kill -9` does; it comes back."""
        if self._is_alive:
            self.deaths[how] += 1
            self._killed = True
            self._signal(signal.SIGKILL)

    def kill_at(self, boundary: str) -> None:
        """Have it die when it gets to a boundary; it comes back."""
        armed.arm(self._armed, boundary)

    def disarm(self) -> None:
        """Let it live on if it has not got to its boundary."""
        self._armed.unlink(missing_ok=True)

    async def freeze(self, seconds: float) -> None:
        """Let it stand still for a while, alive for nobody; then it goes on."""
        process = self._process
        if self._is_alive:
            self.deaths["frozen"] += 1
            self._signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            if process is self._process and self._is_alive:
                self._signal(signal.SIGCONT)

    async def until_ready(self) -> None:
        """Wait until it works."""

        async def is_ready() -> bool:
            return self._is_alive and await self._is_ready(self)

        try:
            await until(is_ready, START_SECONDS)
        except TimeoutError:
            ends = "; ".join(self.ends[-3:])
            said = self.said[-2000:]
            raise AssertionError(f"not ready: {said}; before: {ends}") from None

    @property
    def _is_alive(self) -> bool:
        alive = self._process is not None and self._process.returncode is None
        return alive and not self._killed

    @property
    def _log(self) -> Path:
        return self._folder / f"{self._starts}.log"

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "only what runs gets signals"
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def _keep(self) -> None:
        while True:
            self._starts += 1
            process = await start_child(self._command, self._log, self._environment)
            self._process, self._killed = process, False
            try:
                code = await process.wait()
            finally:
                await kill_child(process)
            self._note(code)
            await asyncio.sleep(PAUSE)

    def _note(self, code: int) -> None:
        died = armed.last_words(self._armed)
        at_boundary = died.exists()
        died.unlink(missing_ok=True)
        if at_boundary:
            self.deaths["killed at a boundary"] += 1
        elif not self._killed:
            self.ends.append(f"ended by itself with {code}: {self.said[-2000:]}")
