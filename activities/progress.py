"""What is known of a source's own task while it is waited for, and how it ended."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from taskfish.redfish.messages import Message
from taskfish.redfish.task import PluginTask, TaskReport, TaskState
from taskfish.redfish.task_events import TaskSubject
from taskfish.store.journal import JournalKey

SUSPENDED_MEMO = "suspended"
"""The memo's key under which a workflow says who has suspended it."""
SOURCE_CANCELLED = "the source has cancelled its task"
"""The fixed words with which a task is cancelled that its source has cancelled."""


class Progress(BaseModel):
    """What was last seen: the heartbeat's details, which readers show as they are.

    `sequence` counts the states; `percent` never goes back; `started` is the source's
    StartTime, by which a recycled id is told from the task that had it before.
    `abortable` is False if the source says so of its task; `pausable` if it offers to
    suspend it. `left` is for how many seconds after `as_of` the task may go on, None
    without a deadline; while `stands_still` no time is counted. `silent_since` is since
    when the source is out of reach, once that interrupts the task, `silence` how.
    """

    model_config = ConfigDict(frozen=True)

    state: TaskState
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    messages: tuple[Message, ...] = ()
    sequence: int = 0
    started: datetime | None = None
    abortable: bool | None = None
    pausable: bool = False
    left: float | None = None
    as_of: datetime | None = None
    stands_still: bool = False
    silent_since: datetime | None = None
    silence: str = ""


class FollowRequest(BaseModel):
    """Which task of which source. `uri` is what the change was made to.

    `interrupted_after` is for how many seconds the source may be out of reach before
    the task shows as Interrupted. After `deadline` it is not waited for any longer.
    `grace_after` is what an earlier wait had seen at its own deadline: this one is the
    time to abort it, and nothing stops its clock. `secret_body` refers to the body with
    its secrets, which the source's words are not to repeat. `subject` is what the
    events of its progress are about, None if there are to be none.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    uri: str
    task: PluginTask
    key: JournalKey
    state: TaskState
    interrupted_after: float
    deadline: datetime | None = None
    grace_after: Progress | None = None
    secret_body: str | None = None
    subject: TaskSubject | None = None


class Ended(BaseModel):
    """The source's task has ended; `report.answer` is the final answer.

    `power_state` is the machine's, read after the end.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["ended"] = "ended"
    report: TaskReport
    power_state: str | None = None


class Lost(BaseModel):
    """The source does not know its task any more, and how it ended was not seen."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["lost"] = "lost"
    reason: str
    percent: int = 0
    power_state: str | None = None


class DeadlinePassed(BaseModel):
    """The task goes on at the source, but its time is over."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["deadline_passed"] = "deadline_passed"
    progress: Progress
    power_state: str | None = None


Completion = Annotated[Ended | Lost | DeadlinePassed, Field(discriminator="kind")]


class Observed(BaseModel):
    """A change of state, as the waiting activity signals it to its workflow.

    `run_id` is the workflow's: a reset brings the signals of the run before it.
    """

    model_config = ConfigDict(frozen=True)

    sequence: int
    state: TaskState
    run_id: str | None = None
    percent: int = 0


def first_progress(request: FollowRequest) -> Progress:
    """Return what is known before the first poll, and how long this wait may last."""
    now = datetime.now(UTC)
    seen = request.grace_after or Progress(state=request.state)
    is_grace = request.grace_after is not None
    stands_still = seen.state is TaskState.PENDING and not is_grace
    left = None
    if request.deadline is not None:
        left = (request.deadline - now).total_seconds()
    clock = {"left": left, "as_of": now, "stands_still": stands_still}
    return seen.model_copy(update=clock)
