"""What a task is made of: states, messages, answers (Task v1.7.4, DSP0266 12.2)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from taskfish.redfish.messages import Message


class TaskState(StrEnum):
    """Task.TaskState; the sources' spelling is Redfish's own."""

    NEW = "New"
    STARTING = "Starting"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    INTERRUPTED = "Interrupted"
    PENDING = "Pending"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    KILLED = "Killed"
    EXCEPTION = "Exception"
    SERVICE = "Service"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing follows this state."""
        return self in ENDED_STATES


ENDED_STATES = frozenset(
    {TaskState.COMPLETED, TaskState.KILLED, TaskState.EXCEPTION, TaskState.CANCELLED}
)


class Health(StrEnum):
    """Resource.Health, the type of Task.TaskStatus."""

    OK = "OK"
    WARNING = "Warning"
    CRITICAL = "Critical"


class Answer(BaseModel):
    """An HTTP answer of a source: what its client would have got, body parsed.

    `body` is the JSON value, a string for any other text, None when empty.
    """

    model_config = ConfigDict(frozen=True)

    status: int
    headers: dict[str, str] = {}
    body: JsonValue = None

    @property
    def succeeded(self) -> bool:
        """Whether the status is one of the 2xx."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """Return a header by its name in any case."""
        wanted = name.lower()
        for key, value in self.headers.items():
            if key.lower() == wanted:
                return value
        return None


class PluginTask(BaseModel):
    """Where a source's own task is followed. URIs are the source's own.

    `monitor` answers 202 until the end; `task` is the Task resource, if known;
    `instance` is the address of the plugin instance that runs it (southbound.md A7);
    `started` tells two tasks apart that had the same URI.
    """

    model_config = ConfigDict(frozen=True)

    monitor: str | None = None
    task: str | None = None
    instance: str | None = None
    started: datetime | None = None

    @property
    def uri(self) -> str:
        """The address people know it by."""
        return self.monitor or self.task or ""


class TaskReport(BaseModel):
    """What a source says of its task at one moment; `answer` is there at the end.

    `abortable` is what its Allow says, None if it has none; `pausable`: the task
    offers to suspend and to resume itself. Of an ended task both say nothing. `started`
    and `ended` are its StartTime and EndTime.
    """

    model_config = ConfigDict(frozen=True)

    state: TaskState
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    messages: tuple[Message, ...] = ()
    created: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    answer: Answer | None = None
    retry_after: float | None = None
    abortable: bool | None = None
    pausable: bool = False


class Outcome(BaseModel):
    """How a task ended: what the client gets and what the Task says for ever.

    `ended` is when, if not just now.
    """

    model_config = ConfigDict(frozen=True)

    state: TaskState
    status: Health
    answer: Answer
    messages: tuple[Message, ...] = ()
    created: tuple[str, ...] = ()
    percent: int = 0
    ended: datetime | None = None
