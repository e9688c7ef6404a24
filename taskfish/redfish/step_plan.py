"""The plan of a multi-step operation, as its task's memo has it for all readers."""

import hashlib

from pydantic import BaseModel, ConfigDict

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


class PlanMemo(BaseModel):
    """The steps in their order.

    Those of a bulk operation differ by a member's name only: `uri` of `alike` has `{}`
    in its place, and `members` are the names, which are those of the steps too.
    """

    model_config = ConfigDict(frozen=True)

    steps: tuple[PlannedStep, ...] = ()
    alike: PlannedStep | None = None
    members: tuple[str, ...] = ()

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
        if self.alike is None or name not in self.members:
            return None
        uri = self.alike.uri.replace("{}", name)
        return self.alike.model_copy(update={"name": name, "uri": uri})
