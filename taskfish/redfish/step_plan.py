"""The plan of a multi-step operation, as its task's memo has it for all readers."""

import hashlib
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from taskfish.redfish.operations import name_operation
from taskfish.redfish.packed import Names

PLAN_MEMO = "plan"
"""The memo's key that it has."""


def step_workflow(task_id: str, name: str) -> str:
    """Return the workflow id of a step (contracts.md 1)."""
    return f"{task_id}:{name}"


def token_of_step(token: str, name: str) -> str:
    """Return what tells a step's start from all others, as that of its task does."""
    return hashlib.sha256(f"{token}:{name}".encode()).hexdigest()[:32]


class PlannedStep(BaseModel):
    """A step as it is listed before it begins. `refused` is why it could not begin."""

    model_config = ConfigDict(frozen=True)

    name: str
    operation: str
    method: str
    uri: str
    refused: str = ""


class RefusedSteps(BaseModel):
    """Steps of a bulk operation that were never to begin, and why."""

    model_config = ConfigDict(frozen=True)

    why: str
    names: Names


class PlanMemo(BaseModel):
    """The steps in their order.

    Those of a bulk operation are alike: `members` are their names, and `uris` where
    their requests go; without them `uri` of `alike` has `{}` in the place of the name.
    """

    model_config = ConfigDict(frozen=True)

    steps: tuple[PlannedStep, ...] = ()
    alike: PlannedStep | None = None
    members: Names = ()
    uris: Names = ()
    refused: tuple[RefusedSteps, ...] = ()

    def __len__(self) -> int:
        return len(self.steps) + len(self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all steps."""
        return (*self.members, *(step.name for step in self.steps))

    def step(self, name: str) -> PlannedStep | None:
        """Return a step by its name, None if there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        number = self._numbers.get(name)
        if self.alike is None or number is None:
            return None
        found = self.alike.model_copy(
            update={"name": name, "refused": self._reasons.get(name, "")}
        )
        if not self.uris:
            uri = self.alike.uri.replace("{}", name)
            return found.model_copy(update={"uri": uri})
        uri = self.uris[number]
        operation = name_operation(self.alike.method, uri).name
        return found.model_copy(update={"uri": uri, "operation": operation})

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.members)}

    @cached_property
    def _reasons(self) -> dict[str, str]:
        return {name: each.why for each in self.refused for name in each.names}
