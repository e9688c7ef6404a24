"""Child processes that never outlive their parent."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


async def start_child(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Start `command` in a session of its own, with its output appended to `log`.

    The terminal's Ctrl-C does not reach it. On Linux the kernel kills it when the
    thread that called this ends, so call it from the main thread's event loop; on
    other systems a `kill -9` of the parent leaves it running.
    """
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=_death_with_parent(),
        )


async def stop_child(process: asyncio.subprocess.Process, grace: float) -> None:
    """Ask with SIGTERM, kill after `grace` seconds; return when it has ended."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        await kill_child(process)


async def kill_child(process: asyncio.subprocess.Process) -> None:
    """End it at once, and wait for that."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def log_end(log: Path, characters: int = 2000) -> str:
    """Return the last lines that a child wrote."""
    return log.read_text(errors="replace")[-characters:].strip()


def _death_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_for_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the request: then nothing would ever come.
        if os.getppid() != parent:
            os._exit(1)

    return ask_for_signal
