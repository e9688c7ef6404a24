"""A worker that is killed at one boundary: `python -m tests.crashing_worker sent`."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import worker
from activities.sources import SourceActivities
from taskfish.plugins.connection import Connection
from taskfish.redfish.task import TaskReport
from taskfish.store.adopted_tasks import AdoptedTasks
from taskfish.store.event_log import EventLog
from taskfish.store.inventory import Inventory
from taskfish.store.journal import Journal
from taskfish.store.reset_waits import ResetWaits
from taskfish.store.secret_bodies import SecretBodies

PROGRAM = ("-m", "tests.crashing_worker")


def _always(result: object) -> bool:
    return True


def _has_ended(result: object) -> bool:
    return isinstance(result, TaskReport) and result.answer is not None


def _was_untold(result: object) -> bool:
    """Say whether an end was told of just now, not before another kill."""
    return result is None


@dataclass(frozen=True)
class Boundary:
    """A method; the process dies when it has returned what `when` says, or `before`."""

    owner: type
    method: str
    when: Callable[[object], bool] = _always
    before: bool = False


BOUNDARIES = {
    "begun": Boundary(Journal, "begin"),
    "sent": Boundary(Connection, "submit"),
    "answered": Boundary(Journal, "answered"),
    "read": Boundary(Connection, "poll", when=_has_ended),
    "finished": Boundary(Journal, "finished"),
    "aborting": Boundary(Connection, "abort", before=True),
    "aborted": Boundary(Connection, "abort"),
    "forgetting": Boundary(SecretBodies, "forget", before=True),
    "admitted": Boundary(Inventory, "replace"),
    "announced": Boundary(ResetWaits, "announce"),
    "released": Boundary(ResetWaits, "forget", before=True),
    "watching": Boundary(SourceActivities, "watch", before=True),
    "told": Boundary(EventLog, "end"),
    "ended": Boundary(EventLog, "end", when=_was_untold),
    "adopting": Boundary(AdoptedTasks, "begin"),
}


def crash_at(boundary: Boundary) -> None:
    """Make this process die at a boundary, as `kill -9` would."""
    original = getattr(boundary.owner, boundary.method)

    async def crashing(*args: Any, **options: Any) -> object:
        if boundary.before:
            os.kill(os.getpid(), signal.SIGKILL)
        result: object = await original(*args, **options)
        if boundary.when(result):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(boundary.owner, boundary.method, crashing)


if __name__ == "__main__":
    crash_at(BOUNDARIES[sys.argv[1]])
    worker.run()
