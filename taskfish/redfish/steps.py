"""What a multi-step operation is made of: steps, one after the other or together.

A step is one Redfish request. A change becomes a task of its machine, the action of
another operation that operation, and a GET waits until the resource is as wanted.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from taskfish.redfish.apply_time import OPERATION_APPLY_TIME
from taskfish.redfish.conditions import Condition as Condition
from taskfish.redfish.expressions import steps_in

StepMethod = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
MOST_STEPS = 200
"""How many steps a plan of a client has, and are held back before they begin."""
UNDO = "undo-"
"""What the names of the steps begin with that undo others; no other's does."""
STEP_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}$"
"""Behind the Id of its task and a colon it is a workflow id."""


class PlanError(ValueError):
    """A parameter of an operation does not fit the others, or the resource."""

    def __init__(self, parameter: str, why: str) -> None:
        super().__init__(f"{parameter}: {why}")
        self.parameter = parameter
        self.why = why


class StepRequest(BaseModel):
    """One request. `uri` and the texts in `body` may have values of earlier answers in
    them: `${create-volume#/Location}` (`taskfish.redfish.expressions`).

    `until` is for a GET: it is repeated until the resource is there and shows that.
    """

    model_config = ConfigDict(frozen=True)

    method: StepMethod
    uri: str
    body: JsonValue = None
    until: Condition | None = None

    @property
    def refers_to(self) -> frozenset[str]:
        """The names of the steps whose answers it needs."""
        wanted = self.until.model_dump() if self.until else None
        return steps_in(self.uri) | steps_in(self.body) | steps_in(wanted)

    @property
    def waits_for_reset(self) -> bool:
        """Whether its change is made at the machine's next reset only."""
        body = self.body if isinstance(self.body, dict) else {}
        return body.get(OPERATION_APPLY_TIME) == "OnReset"


def _no_undo(name: str) -> str:
    if name.startswith(UNDO):
        raise ValueError(f"names that begin with {UNDO} are those of undoing steps")
    return name


class Step(BaseModel):
    """One step. `undo` takes it back once it is done; if the step `goes_on`, so does
    the operation though the step has failed. `seconds` is its deadline, if not that of
    its kind of change.
    """

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, AfterValidator(_no_undo)] = Field(pattern=STEP_NAME)
    request: StepRequest
    undo: StepRequest | None = None
    goes_on: bool = False
    seconds: float | None = None


class Together(BaseModel):
    """Steps that run at the same time."""

    model_config = ConfigDict(frozen=True)

    steps: tuple[Step, ...]


Plan = tuple[Annotated[Step | Together, Field(union_mode="left_to_right")], ...]
"""Steps in their order."""


def steps_of(plan: Plan) -> Iterator[Step]:
    """Yield every step of a plan."""
    for part in plan:
        yield from part.steps if isinstance(part, Together) else (part,)


def get(uri: str, pointer: str | None = None, value: JsonValue = None) -> StepRequest:
    """Return the request that waits until a resource is there, and shows a value."""
    until = None if pointer is None else Condition(pointer=pointer, value=value)
    return get_until(uri, until)


def get_until(uri: str, until: Condition | None) -> StepRequest:
    """Return the request that waits until a resource is there, and as wanted."""
    return StepRequest(method="GET", uri=uri, until=until)


def post(uri: str, body: JsonValue = None) -> StepRequest:
    """Return a POST."""
    return StepRequest(method="POST", uri=uri, body=body)


def patch(uri: str, body: JsonValue) -> StepRequest:
    """Return a PATCH."""
    return StepRequest(method="PATCH", uri=uri, body=body)


def delete(uri: str) -> StepRequest:
    """Return a DELETE."""
    return StepRequest(method="DELETE", uri=uri)
