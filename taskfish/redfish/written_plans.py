"""Plans as clients write them: the parameters of `Taskfish.RunPlan` (docs/plans.md)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_pascal
from pydantic_core import PydanticCustomError

from taskfish.redfish.conditions import Condition
from taskfish.redfish.steps import MOST_STEPS, Plan, Step, StepRequest, Together

LONGEST_TIMEOUT = 2_592_000
"""30 days, in seconds."""
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""Shorter than what a step may have: it may be an operation with steps of its own."""
MOST_POINTER = 255
"""Characters of a pointer: every answer about its step shows it."""
_TESTS: dict[str, Literal["is", "is_not", "has"]] = {
    "Is": "is",
    "IsNot": "is_not",
    "Has": "has",
}


class Written(BaseModel):
    """A part of a plan: what it does not know it refuses."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_pascal
    )


class WrittenCondition(Written):
    """For what a GET waits."""

    pointer: str = Field(pattern=r"^(/([^~]|~[01])*)?$", max_length=MOST_POINTER)
    value: JsonValue
    test: Literal["Is", "IsNot", "Has"] = "Is"

    def condition(self) -> Condition:
        return Condition(pointer=self.pointer, value=self.value, test=_TESTS[self.test])


class WrittenUndo(Written):
    """What takes a step back."""

    method: Literal["POST", "PATCH", "PUT", "DELETE"]
    uri: str
    body: JsonValue = None

    def request(self) -> StepRequest:
        return StepRequest(method=self.method, uri=self.uri, body=self.body)


class WrittenStep(Written):
    """One request."""

    name: str = Field(pattern=_NAME)
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    uri: str
    body: JsonValue = None
    until: WrittenCondition | None = None
    undo: WrittenUndo | None = None
    on_failure: Literal["Undo", "Continue"] = "Undo"
    timeout_seconds: float | None = Field(default=None, ge=1, le=LONGEST_TIMEOUT)

    def step(self) -> Step:
        """Return the step; one whose name is an undoing's has been refused."""
        return Step.model_construct(
            name=self.name,
            request=StepRequest(
                method=self.method,
                uri=self.uri,
                body=self.body,
                until=self.until.condition() if self.until else None,
            ),
            undo=self.undo.request() if self.undo else None,
            goes_on=self.on_failure == "Continue",
            seconds=self.timeout_seconds,
        )


class WrittenTogether(Written):
    """Steps that run at the same time."""

    together: Annotated[tuple[WrittenStep, ...], Field(strict=False)]


def _part(value: Any) -> Any:
    """Tell the two apart, so that a fault is told of one of them only."""
    is_several = isinstance(value, dict) and "Together" in value
    model = WrittenTogether if is_several else WrittenStep
    return model.model_validate(value)


WrittenPart = Annotated[WrittenStep | WrittenTogether, BeforeValidator(_part)]


def _few(value: Any) -> Any:
    """Refuse too many steps before they are read: that alone would take long."""
    if isinstance(value, list | tuple) and sum(map(_number_of, value)) > MOST_STEPS:
        raise PydanticCustomError(
            "too_long", "more steps than a plan has", {"max_length": MOST_STEPS}
        )
    return value


def _number_of(part: Any) -> int:
    together = part.get("Together") if isinstance(part, dict) else None
    return len(together) if isinstance(together, list | tuple) else 1


WrittenSteps = Annotated[tuple[WrittenPart, ...], BeforeValidator(_few)]


def plan_of(parts: WrittenSteps) -> Plan:
    """Return the plan that was written."""
    return tuple(
        Together.model_construct(steps=tuple(each.step() for each in part.together))
        if isinstance(part, WrittenTogether)
        else part.step()
        for part in parts
    )


def placed_steps(plan: Plan) -> list[tuple[str, Step]]:
    """Return the steps of a written plan, each with where it is written: `Steps/3`."""
    placed = []
    for number, part in enumerate(plan):
        place = f"Steps/{number}"
        if isinstance(part, Together):
            for inner, step in enumerate(part.steps):
                placed.append((f"{place}/Together/{inner}", step))
        else:
            placed.append((place, part))
    return placed
