"""A request that a task answers: what it says, who sends it, and how it is answered."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from pydantic import JsonValue

from api.accepted_modes import accepted_form
from api.authentication import User, authenticated
from api.bodies import json_body
from api.gateway import Gateway, gateway_of
from api.request_headers import TaskWishes, task_wishes
from taskfish.store.accounts import AcceptedForm


@dataclass(frozen=True)
class TaskRequest:
    """All that a route needs to start a task; a route has it by `Depends()`.

    Reading it raises what refuses any such request: 401 for wrong credentials, 400,
    413 and 415 for a body that is none, 400 for a header that asks for nonsense.
    """

    http: Request
    body: Annotated[dict[str, JsonValue], Depends(json_body)]
    user: Annotated[User, Depends(authenticated)]
    wishes: Annotated[TaskWishes, Depends(task_wishes)]
    form: Annotated[AcceptedForm, Depends(accepted_form)]
    gateway: Annotated[Gateway, Depends(gateway_of)]
