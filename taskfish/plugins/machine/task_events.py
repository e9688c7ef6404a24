"""What there is to tell of a machine's tasks: TaskEvents, as they come about."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from taskfish.plugins.machine.jobs import Job
from taskfish.redfish.task import TaskState

A_PROGRESS_AT_LEAST = 1.0
"""How many seconds lie between two events of a task's progress."""
ENDS = ("TaskCompletedOK", "TaskCompletedWarning", "TaskAborted", "TaskCancelled")


@dataclass(frozen=True)
class TaskEvent:
    """One event of a job: `key` is its message in the TaskEvent registry."""

    job: Job
    key: str
    percent: int

    @property
    def is_end(self) -> bool:
        """Whether nothing but the removal of the task comes after it."""
        return self.key in ENDS


@dataclass
class _Told:
    state: TaskState
    percent: int
    at: float


class TaskWatch:
    """Compares a machine's tasks with what was told of them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[Job, _Told] = {}

    def skip(self, jobs: Iterable[Job]) -> None:
        """Tell nothing of what has ended before anybody wanted to know."""
        for job in jobs:
            if job.ended:
                self._told[job] = _Told(job.state, job.percent, self._clock())

    def news(self, jobs: Iterable[Job]) -> list[TaskEvent]:
        """Return what has happened since the last look, in its order for each task.

        A task that is not there any more was removed, or its BMC has forgotten it: of
        that nothing is told.
        """
        present = {job: list(self._changes(job)) for job in jobs}
        gone = [job for job in self._told if job not in present]
        for job in gone:
            del self._told[job]
        removed = [_event(job, "TaskRemoved") for job in gone if job.removed]
        return [event for events in present.values() for event in events] + removed

    def _changes(self, job: Job) -> Iterator[TaskEvent]:
        """Yield what is new of one job: it begins, rests, goes on, progresses, ends."""
        if job not in self._told:
            if job.state is TaskState.PENDING:
                return
            self._told[job] = _Told(TaskState.RUNNING, job.percent, self._clock())
            yield _event(job, "TaskStarted")
        told = self._told[job]
        rests, rested = (
            state is TaskState.SUSPENDED for state in (job.state, told.state)
        )
        if rests != rested:
            yield _event(job, "TaskPaused" if rests else "TaskResumed")
        if job.ended:
            if told.state is not job.state:
                yield _event(job, job.messages[-1].message_id.rpartition(".")[2])
        elif job.percent > told.percent and self._is_due(told):
            told.percent, told.at = job.percent, self._clock()
            yield _event(job, "TaskProgressChanged")
        told.state = job.state

    def _is_due(self, told: _Told) -> bool:
        return self._clock() - told.at >= A_PROGRESS_AT_LEAST


def _event(job: Job, key: str) -> TaskEvent:
    return TaskEvent(job, key, job.percent)
