"""What is kept of a task's request with its workflow, for whoever reads it."""

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

TASK_MEMO = "task"
"""The memo's key that it has."""
LONGEST_BODY = 16_384
"""Characters of a request that are kept: every list reads them, and Temporal writes
the memo of an operation anew with each of its steps.
"""


class TaskMemo(BaseModel):
    """What a Task says of its request, from its start to its removal.

    `body` is the request's with its secrets masked, of one that `is_long` only what it
    says of its time; `headers` are `Name: value`.
    `token` tells this start from others with the same Id; `chosen` says that the
    caller chose the Id; `deadline` is in seconds from the first sending; before
    `not_before`, its maintenance window, nothing is sent. `abortable` is False where
    its source makes no tasks of what it is sent, which nothing can abort. An adopted
    task `began` when its source says so; one that had ended before is `untold`: nobody
    gets events of it.
    """

    model_config = ConfigDict(frozen=True)

    token: str = ""
    chosen: bool = False
    deadline: float | None = None
    not_before: datetime | None = None
    abortable: bool = True
    began: datetime | None = None
    untold: bool = False
    name: str
    method: str
    uri: str
    headers: tuple[str, ...] = ()
    body: JsonValue = None
    is_long: bool = False

    @model_validator(mode="before")
    @classmethod
    def _leave_long_body_out(cls, given: Any) -> Any:
        body = given.get("body") if isinstance(given, dict) else None
        if body is None or len(json.dumps(body)) <= LONGEST_BODY:
            return given
        names = body if isinstance(body, dict) else ()
        when = {name: body[name] for name in names if name.startswith("@Redfish.")}
        return {**given, "body": when or None, "is_long": True}
