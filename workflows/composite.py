"""The input of a multi-step operation: what it was asked for, and for whom."""

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict, JsonValue

    from taskfish.redfish.bulk import Bulk
    from taskfish.redfish.messages import Message
    from taskfish.redfish.turn import Turn
    from workflows.time_limits import TimeLimits


class Carried(BaseModel):
    """What a bulk operation takes along into its next run (continue-as-new).

    `begun` steps have begun, and ended, `failed` of them without being done;
    `messages` tell of the first of those. `batch_end` is where the batch ends that it
    is in; the next one begins at `goes_on_at`. The deadline counts from `first_begun`.
    """

    model_config = ConfigDict(frozen=True)

    begun: int = 0
    failed: int = 0
    messages: tuple[Message, ...] = ()
    batch_end: int = 0
    goes_on_at: datetime | None = None
    first_begun: datetime | None = None
    suspended_by: str | None = None
    cancelled_by: str = ""


class Composite(BaseModel):
    """What the API starts: the action of ours at `uri`.

    `parameters` is its body with secrets masked; `secrets` has references to the true
    bodies of those steps that hold some, by the steps' names; `shared_secret` is that
    of all steps together. `token` is this one start. `privileges` are those of its
    owner when it was started: no request inside may need others. `deadline` (seconds)
    counts from the first step. A step that is itself such an operation has the run that
    its task began with as its `root_run`. A bulk operation has `bulk` instead of
    parameters.
    """

    model_config = ConfigDict(frozen=True)

    operation: str
    uri: str
    parameters: JsonValue = None
    token: str
    privileges: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    shared_secret: str | None = None
    limits: TimeLimits
    deadline: float | None = None
    turn: Turn = Turn()
    root_run: str | None = None
    bulk: Bulk | None = None
    carried: Carried | None = None
