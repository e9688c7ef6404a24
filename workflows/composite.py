"""The input of a multi-step operation: what it was asked for, and for whom."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict, JsonValue

    from taskfish.redfish.messages import Message
    from taskfish.redfish.turn import Turn
    from workflows.time_limits import TimeLimits


class Carried(BaseModel):
    """What a long operation takes along into its next run (continue-as-new).

    `ended` has how many steps ended how: TaskState → number; `messages` what is told of
    those that have failed, and `began` is when the first run did.
    """

    model_config = ConfigDict(frozen=True)

    begun: int = 0
    ended: dict[str, int] = {}
    messages: tuple[Message, ...] = ()
    untold: int = 0
    began: datetime
    percent: int = 0


class Composite(BaseModel):
    """What the API starts: the action of ours at `uri`.

    `parameters` is its body with secrets masked; `secrets` has references to the true
    bodies of those steps that hold some, by the steps' names. `token` is this one
    start. `privileges` are those of its owner when it was started: no request inside
    may need others. `deadline` (seconds) counts from the first step. A step that is
    itself such an operation has the run that its task began with as its `root_run`.
    """

    model_config = ConfigDict(frozen=True)

    operation: str
    uri: str
    parameters: JsonValue = None
    token: str
    privileges: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    limits: TimeLimits
    deadline: float | None = None
    turn: Turn = Turn()
    root_run: str | None = None
    carried: Carried | None = None
