"""How an emulated machine behaves: every fault a test can ask for."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from taskfish.redfish.task import TaskState

AnswerMode = Literal["auto", "sync", "task"]
LocationMode = Literal[
    "relative", "absolute", "monitor", "task", "foreign", "none_with_body", "none"
]
EventMode = Literal["normal", "lost", "duplicated", "unordered", "early"]
AbortMode = Literal["supported", "refused", "ignored", "unsupported"]
Status = Annotated[int, Field(ge=400, le=599)]
Seconds = Annotated[float, Field(ge=0)]


class Modes(BaseModel):
    """The modes of one target; all are read at the moment they matter.

    Only `seconds`, `fail` and `warn` are also taken down when a change is accepted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # How long, and in which form changes are answered.
    seconds: Seconds = 2.0
    """How long a change takes that is accepted from now on."""
    answer: AnswerMode = "auto"
    """`auto`: 202 for long changes; `sync`: the final answer at once; `task`: 202."""
    slow_sync: bool = False
    """The work is done inside the request, then answered."""
    location: LocationMode = "relative"
    foreign_origin: str = "http://foreign.invalid"
    """Scheme, host and port of the Location in the mode `foreign`."""
    empty_body: bool | None = None
    """True: 204 and no bodies; False: always a body; None: as the protocol has it."""
    retry_after: str | None = None
    """Retry-After of each 202: seconds or an HTTP date."""
    instance: str | None = "127.0.0.1"
    """X-Forwarded-For that the plugin sends with a 202."""

    # What tasks and their monitors do.
    one_shot_monitor: bool = False
    """The monitor gives the final answer once, then 404."""
    monitor_ends_with_task: bool = False
    """A finished /taskmon answers a Task instead of the change's own body."""
    task_list: bool = True
    """Whether the TaskService lists its tasks."""
    fail: bool = False
    """The change is not done: Exception, with an error as the final answer."""
    fail_status: Status = 500
    warn: bool = False
    """The change is done, with a warning."""
    shows_state: TaskState | None = None
    """What tasks under way show instead of their own state; they go on as they are."""
    pausable: bool = False
    """Tasks offer Taskfish.Suspend and Taskfish.Resume of their own."""
    pause_at: Annotated[int, Field(ge=0, le=99)] | None = None
    """Tasks are Suspended at this percent until the mode is cleared."""
    hang: bool = False
    """Changes are accepted and never go on (until the mode is cleared)."""
    hang_graceful: bool = False
    """The same for GracefulShutdown, GracefulRestart and Nmi only."""
    abort: AbortMode = "supported"
    """`refused`: Allow has DELETE, which is answered 405; `ignored`: 202, and the task
    goes on; `unsupported`: Allow has no DELETE, which is answered 405."""
    abort_seconds: Seconds | None = None
    """How long Cancelling takes; a quarter of `seconds` if None."""
    abort_delay: Seconds = 0.0
    """How long the answer to an abort is kept back; it is carried out before that."""
    exclusive: bool = False
    """A second reset while one runs is refused (409), unless it is a forced one."""
    apply_times: bool = True
    """Whether changes take @Redfish.OperationApplyTime, and say so."""
    reuse_volume_ids: bool = False
    update_restarts: bool = False
    """A firmware update of the BMC makes it vanish for a part of the task."""
    update_needs_reset: bool = False
    """A firmware update takes effect at the next reset: its Task says ResetRequired in
    its Messages, its answer does where there is no task."""

    # What subscribers are told of tasks.
    event_service: bool = True
    """Whether there is an EventService to subscribe at."""
    events: EventMode = "normal"
    """`lost`: none is sent; `duplicated`: each twice; `unordered`: those of a task at
    its end, the last one first; `early`: the first ones before the change's answer."""
    event_delay: Seconds = 0.0
    """How long after it has happened something is told."""

    # What happens to requests.
    refuse: Status | None = None
    """Every change is refused with this status."""
    refuse_times: Annotated[int, Field(ge=0)] | None = None
    """How many changes are still refused; None: all."""
    refuse_reads: Status | None = None
    """Every GET is refused with this status, monitors too."""
    vanish: bool = False
    """The connection of every request is dropped; nothing is done."""
    lose_answer: bool | Annotated[int, Field(ge=0)] = False
    """The change is done, its answer lost: always, or this many times."""
    answer_delay: Seconds = 0.0
    """How long the answer of a change is kept back after it was accepted."""
    read_delay: Seconds = 0.0
    token_lifetime: Seconds | None = None
    """Seconds after which a token gives 401."""
    token_requests: Annotated[int, Field(ge=0)] | None = None
    """Requests after which a token gives 401."""
    auth_required: bool = True
    headers: dict[str, str] = {}
    """Sent with every answer, in place of those of the same name."""

    def merged(self, changes: dict[str, JsonValue]) -> "Modes":
        """Return these modes with `changes`; ValidationError if they are not modes."""
        return Modes.model_validate(self.model_dump() | changes)
