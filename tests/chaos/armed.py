"""Worker and API that die where they are told to: `… armed FILE worker|api …`.

The file names a boundary, a moment between two lines; who gets there first renames it,
to say so, and dies as `kill -9` would have it.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import worker
from api.task_commands import TaskCommands
from api.task_starter import TaskStarter
from taskfish.cli import main
from taskfish.store.requests import Requests
from tests.crashing_worker import BOUNDARIES, Boundary

PROGRAM = ("-m", "tests.chaos.armed")
API_BOUNDARIES: Final = {
    "kept": Boundary(Requests, "add"),
    "started": Boundary(TaskStarter, "start"),
    "known": Boundary(Requests, "started"),
    "signalled": Boundary(TaskCommands, "_signal"),
    "cancelled": Boundary(TaskCommands, "cancel"),
}
"""The request has its row; its task runs; the row says so. A cancel's signal is sent;
the cancel is sent too.
"""


def arm(file: Path, boundary: str) -> None:
    """Have the process of this file die when it gets to a boundary."""
    prepared = file.with_suffix(".new")
    prepared.write_text(boundary)
    prepared.rename(file)


def last_words(file: Path) -> Path:
    """Return the file that is there when the process has died at its boundary."""
    return file.with_suffix(".died")


def _watch(name: str, boundary: Boundary, file: Path) -> None:
    original = getattr(boundary.owner, boundary.method)

    async def watched(*args: Any, **options: Any) -> object:
        if boundary.before:
            _die_if_named(name, file)
        result: object = await original(*args, **options)
        if not boundary.before and boundary.when(result):
            _die_if_named(name, file)
        return result

    setattr(boundary.owner, boundary.method, watched)


def _die_if_named(name: str, file: Path) -> None:
    try:
        if file.read_text() != name:
            return
    except FileNotFoundError:
        return
    file.rename(last_words(file))
    os.kill(os.getpid(), signal.SIGKILL)


def run(file: Path, part: str) -> None:
    """Run the part with its boundaries watched."""
    boundaries = BOUNDARIES if part == "worker" else API_BOUNDARIES
    for name, boundary in boundaries.items():
        _watch(name, boundary, file)
    if part == "worker":
        worker.run()
    else:
        main.run()


if __name__ == "__main__":
    watched_file = Path(sys.argv.pop(1))
    run(watched_file, sys.argv[1])
