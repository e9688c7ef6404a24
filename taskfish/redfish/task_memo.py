"""What is kept of a task's request with its workflow, for whoever reads it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, JsonValue

TASK_MEMO = "task"
"""The memo's key that it has."""


class TaskMemo(BaseModel):
    """What a Task says of its request, from its start to its removal.

    `body` is the request's with its secrets masked, None if it `is_long`; `headers`
    are `Name: value`.
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
