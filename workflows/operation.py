"""The input of `PluginOperation`: a change, and the limits it runs under."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict

    from taskfish.plugins.protocol import Change
    from taskfish.redfish.apply_time import ApplyTime
    from taskfish.redfish.turn import Turn


class Operation(BaseModel):
    """What the API starts: a change of a northbound URI, and the limits it runs under.

    `token` is this one start; the store's rows and the memo have it too (tasks that an
    earlier version started have none). `secret_body`
    refers to the body as it was sent, which its end forgets unless others share it;
    `change.body` has its secrets masked. `deadline`
    counts from the first sending. `supersedes` are tasks that this one makes pointless:
    they are told to end. `logs_events` is False in what an earlier version started.
    A step of another operation knows the run that its task began with, `root_run`; if
    it is not to keep its body, its result is without the source's answer's body.
    Durations are seconds.
    """

    model_config = ConfigDict(frozen=True)

    operation: str
    source: str
    change: Change
    token: str = ""
    secret_body: str | None = None
    shares_secret: bool = False
    submit_deadline: float
    answer_timeout: float
    heartbeat_timeout: float
    interrupted_after: float
    deadline: float | None = None
    abort_grace: float = 30
    apply_time: ApplyTime | None = None
    turn: Turn = Turn()
    supersedes: tuple[str, ...] = ()
    logs_events: bool = False
    root_run: str | None = None
    keeps_body: bool = True
