"""Says when another process has written to an SQLite database: its log has changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

LOOK = 0.01
"""Seconds between two looks at the file: each takes some microseconds."""
REST = 0.03
"""How long nothing is hinted after a hint: a busy database changes all the time."""


@asynccontextmanager
async def hinted(database: str, hint: Callable[[], None]) -> AsyncIterator[None]:
    """Call `hint` when something was committed, while the block runs.

    Two commits within a tick of the system's clock may be one.
    """
    watching = asyncio.create_task(_watch(Path(f"{database}-wal"), hint))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(log: Path, hint: Callable[[], None]) -> None:
    seen = _state_of(log)
    while True:
        await asyncio.sleep(LOOK)
        found = _state_of(log)
        if found != seen:
            seen = found
            hint()
            await asyncio.sleep(REST)


def _state_of(log: Path) -> tuple[int, int] | None:
    """Return what changes with each commit, None without a log."""
    try:
        found = log.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
