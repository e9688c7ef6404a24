"""Changes that take time: a timeline computed from the clock whenever it is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf

from taskfish.plugins.machine.answers import Body
from taskfish.plugins.machine.executions import Execution
from taskfish.plugins.machine.modes import Modes
from taskfish.redfish.messages import (
    Message,
    base_message,
    error_body,
    task_message,
)
from taskfish.redfish.task import Answer, TaskState

SHOWN_PERCENTS = (0, 10, 30, 50, 70, 90, 100)
MOST_TASKS = 1000
"""More tasks than these push out the oldest one that has ended."""
Action = Callable[[], None]


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Work:
    """What a change does: `steps` on the way, `finish` at the end, `undo` if not.

    `long` work is answered 202 in the mode `auto`. `lags`: a synchronous answer does
    not wait for it. `at_once`: it is answered at once in every mode, without a task.
    `shows` is the resource whose body the final answer has. `graceful` work waits for
    the operating system. `says` is what its task tells at its good end.
    """

    name: str
    finish: Callable[[], Answer]
    steps: tuple[tuple[float, Action], ...] = ()
    undo: Action = _nothing
    long: bool = False
    lags: bool = False
    at_once: bool = False
    graceful: bool = False
    waits_for_reset: bool = False
    apply_time: str | None = None
    shows: str | None = None
    says: tuple[Message, ...] = ()


@dataclass(eq=False)
class Job:
    """One piece of work under way; a hidden one has no Task."""

    id: str
    work: Work
    execution: Execution
    seconds: float
    position: float
    started: datetime
    hidden: bool = False
    fails: bool = False
    warns: bool = False
    waiting: bool = False
    paused: bool = False
    pausable: bool = False
    shows: TaskState | None = None
    progress: float = 0.0
    done_steps: int = 0
    cancel_at: float | None = None
    state: TaskState = TaskState.NEW
    answer: Answer | None = None
    ended: datetime | None = None
    messages: list[Message] = field(default_factory=list)
    monitor_gone: bool = False
    removed: bool = False

    @property
    def shown_state(self) -> TaskState:
        """The state that is shown, true or not."""
        return self.shows or self.state

    @property
    def percent(self) -> int:
        """The highest of the percents that this machine shows, reached so far."""
        reached = self.progress * 100 + 1e-6
        return max(value for value in SHOWN_PERCENTS if value <= reached)

    @property
    def created(self) -> list[str]:
        """The URIs of what the work has made."""
        location = self.answer and self.answer.header("Location")
        return [location] if location else []

    @property
    def next_step(self) -> float:
        """The progress at which something happens next."""
        steps = self.work.steps
        return steps[self.done_steps][0] if self.done_steps < len(steps) else 1.0


class Timeline:
    """The jobs of one machine, moved on to the present whenever somebody looks."""

    def __init__(self, clock: Callable[[], float], modes: Callable[[], Modes]) -> None:
        self._clock = clock
        self._modes = modes
        self._moment: float | None = None
        self._next_id = 0
        self.jobs: dict[str, Job] = {}
        self.active: list[Job] = []

    @property
    def moment(self) -> float:
        """The time that things happen at: of the event under way, else of the clock."""
        return self._clock() if self._moment is None else self._moment

    def wall(self) -> datetime:
        """The same as a date."""
        return datetime.now(UTC) - timedelta(seconds=self._clock() - self.moment)

    def start(self, work: Work, execution: Execution, seconds: float) -> Job:
        """Begin a piece of work: a hidden job, until `show` makes a Task of it."""
        modes = self._modes()
        job = Job(
            id="",
            work=work,
            execution=execution,
            seconds=seconds,
            position=self.moment,
            started=self.wall(),
            hidden=True,
            fails=modes.fail,
            warns=modes.warn,
            waiting=work.waits_for_reset,
        )
        self.active.append(job)
        return job

    def show(self, job: Job) -> None:
        """Make a Task of a job."""
        job.hidden = False
        job.id = str(self._next_id)
        self._next_id += 1
        self.jobs[job.id] = job
        if len(self.jobs) > MOST_TASKS:
            oldest = next((key for key, each in self.jobs.items() if each.ended), None)
            self.jobs.pop(oldest or "", None)

    def release(self) -> None:
        """Let the jobs go that wait for a reset: it happens now."""
        for job in self.active:
            if job.waiting:
                job.waiting = False
                job.position = self.moment

    def cancel(self, job: Job) -> None:
        """Begin to cancel a job: at once if it has not begun to work."""
        modes = self._modes()
        delay = modes.abort_seconds
        if delay is None:
            delay = job.seconds / 4
        job.cancel_at = self.moment + (0 if job.waiting else delay)
        self.advance()

    def pause(self, job: Job, paused: bool) -> None:
        """Let a job stand still, or go on from where it stood."""
        self.advance()
        job.paused = paused
        self.advance()

    def forget(self, reset_ids: bool) -> None:
        """Drop every job, as a restart does; what they did so far is undone."""
        for job in self.active:
            job.execution.outcome = "forgotten"
            job.work.undo()
        self.active.clear()
        self.jobs.clear()
        if reset_ids:
            self._next_id = 0

    def advance(self) -> None:
        """Let happen, in order, what is due by now; read states after that only."""
        if self._moment is not None:
            return
        now = self._clock()
        try:
            while due := min(self._due(now), key=lambda item: item[0], default=None):
                self._moment, job = due
                self._move(self._moment)
                self._fire(job)
        finally:
            self._moment = None
        self._move(now)
        modes = self._modes()
        for job in self.active:
            job.state = self._state(job)
            job.shows, job.pausable = modes.shows_state, modes.pausable

    def next_event(self) -> float:
        """Return the clock's time of what happens next, infinite if nothing will."""
        return min((self._when(job) for job in self.active), default=inf)

    def _due(self, now: float) -> list[tuple[float, Job]]:
        times = ((self._when(job), job) for job in self.active)
        return [(when, job) for when, job in times if when <= now]

    def _when(self, job: Job) -> float:
        if job.cancel_at is not None:
            return job.cancel_at
        if self._stands_still(job) or job.next_step > self._limit(job):
            return inf
        return job.position + max(0.0, job.next_step - job.progress) * job.seconds

    def _limit(self, job: Job) -> float:
        """Return how far the job may go as things are."""
        pause_at = self._modes().pause_at
        if self._stands_still(job):
            return job.progress
        if pause_at is not None and job.progress <= pause_at / 100:
            return pause_at / 100
        return 1.0

    def _stands_still(self, job: Job) -> bool:
        modes = self._modes()
        hangs = modes.hang or (modes.hang_graceful and job.work.graceful)
        held = job.waiting or job.paused or hangs
        return held or job.cancel_at is not None

    def _state(self, job: Job) -> TaskState:
        pause_at = self._modes().pause_at
        if job.cancel_at is not None:
            return TaskState.CANCELLING
        if job.paused:
            return TaskState.SUSPENDED
        if job.waiting:
            return TaskState.PENDING
        if pause_at is not None and job.progress == pause_at / 100:
            return TaskState.SUSPENDED
        return TaskState.RUNNING

    def _move(self, moment: float) -> None:
        for job in self.active:
            limit = max(self._limit(job), job.progress)
            gone = max(0.0, moment - job.position)
            if job.seconds:
                limit = min(limit, job.progress + gone / job.seconds)
            job.progress = min(limit, job.next_step)
            job.position = max(moment, job.position)

    def _fire(self, job: Job) -> None:
        if job.cancel_at is not None:
            job.work.undo()
            self._end(job, TaskState.CANCELLED, None)
            return
        job.progress = job.next_step
        if job.next_step < 1.0 or job.done_steps < len(job.work.steps):
            self._step(job)
            return
        if job.fails or self._modes().fail:
            job.work.undo()
            self._end(job, TaskState.EXCEPTION, self._failure())
            return
        job.warns = job.warns or self._modes().warn
        self._end(job, TaskState.COMPLETED, job.work.finish())

    def _step(self, job: Job) -> None:
        if not job.fails:
            job.work.steps[job.done_steps][1]()
        job.done_steps += 1

    def _failure(self) -> Answer:
        body: Body = error_body(base_message("OperationFailed"))
        return Answer(status=self._modes().fail_status, body=body)

    def _end(self, job: Job, state: TaskState, answer: Answer | None) -> None:
        job.state, job.answer, job.ended = state, answer, self.wall()
        job.shows, job.pausable = None, False
        self.active = [other for other in self.active if other is not job]
        key, outcome = {
            TaskState.COMPLETED: ("TaskCompletedOK", "completed"),
            TaskState.EXCEPTION: ("TaskAborted", "failed"),
            TaskState.CANCELLED: ("TaskCancelled", "cancelled"),
        }[state]
        if state is TaskState.COMPLETED and job.warns:
            key = "TaskCompletedWarning"
        if state is TaskState.COMPLETED:
            job.messages += job.work.says
        if state is TaskState.EXCEPTION:
            job.messages.append(base_message("OperationFailed"))
        job.messages.append(task_message(key, job.id or "0"))
        job.execution.outcome = outcome
