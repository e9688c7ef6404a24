"""What the tests of the command know of processes."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def is_alive(pid: int) -> bool:
    """Whether the process runs: a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def descendants(pid: int) -> set[int]:
    """Return the ids of the process's children, and of theirs."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= {int(child)} | descendants(int(child))
    return found


async def until(condition: Callable[[], object], seconds: float) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def environment() -> dict[str, str]:
    """Return an environment in which `python -m taskfish.cli.main` is this checkout.

    What a process compiles it keeps: each would take longer to start otherwise.
    """
    ours = {k: v for k, v in os.environ.items() if not k.startswith("TASKFISH_")}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)
    return ours | {"PYTHONPATH": str(ROOT)}
