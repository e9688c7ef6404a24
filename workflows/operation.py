"""The input of `PluginOperation`: a change, and the limits it runs under."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict

    from taskfish.plugins.protocol import Change


class Operation(BaseModel):
    """What the API starts: a change of a northbound URI, and the limits it runs under.

    `secret_body` refers to the body as it was sent; `change.body` has its secrets
    masked. Durations are seconds.
    """

    model_config = ConfigDict(frozen=True)

    operation: str
    source: str
    change: Change
    secret_body: str | None = None
    submit_deadline: float
    answer_timeout: float
    heartbeat_timeout: float
    interrupted_after: float
