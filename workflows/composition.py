"""What every multi-step operation is: its steps, and nothing else that differs.

A new one is a class with a name, the parameters it takes and the plan of its steps
(docs/composing-operations.md); what it shows, obeys and takes back is here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict, Field, ValidationError

    from taskfish.redfish.messages import base_message
    from taskfish.redfish.operations import owner_of_action
    from taskfish.redfish.steps import MOST_STEPS, Plan, PlanError, Step, steps_of
    from taskfish.redfish.task import Answer, Outcome, TaskState
    from taskfish.redfish.verdicts import failed_answer, failed_outcome
    from workflows.composite import Composite
    from workflows.composite_verdicts import ended_outcome, stopped_outcome
    from workflows.events import TaskEvents
    from workflows.machine_turn import MachineTurn
    from workflows.orders import SOMEBODY, Orders
    from workflows.steps import Steps, StepsStoppedError
    from workflows.task import (
        PERCENT_MEMO,
        conclude,
        show,
    )

Composed = TypeVar("Composed", bound="type[CompositeOperation]")


class Parameters(BaseModel):
    """The parameters of an action of ours: what they do not know they refuse, and "1"
    is no number.

    Field names are as the request has them, or have that as their alias; descriptions
    go into the schema of the action.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pause_before: tuple[str, ...] = Field(
        alias="PauseBefore",
        default=(),
        max_length=MOST_STEPS,
        strict=False,
        description="The steps before which the operation waits for a Resume.",
    )


class CompositeOperation(Orders, ABC):
    """A multi-step operation: runs its steps, shows how far it is, takes back what is
    done should it fail or be cancelled.
    """

    parameters: ClassVar[type[Parameters]] = Parameters
    """What its action takes."""
    resources: ClassVar[str]
    """Below which collection its action is: `Systems`."""
    operation: ClassVar[str]
    """Its name: `Taskfish.CreateVolumeAndReset`, set by the decorator."""

    def __init__(self) -> None:
        """Begin before `run` does: a workflow reset brings signals before it."""
        super().__init__()
        self._state = TaskState.NEW
        self._steps: Steps | None = None
        self._early_pauses: list[tuple[list[str], str]] = []

    @staticmethod
    @abstractmethod
    def plan(uri: str, parameters: Any) -> Plan:
        """Return the steps for the resource `uri`; nothing but its arguments counts."""

    @staticmethod
    def placed(plan: Plan) -> Sequence[tuple[str, Step]]:
        """Return the steps of a plan, each with what its client knows it by."""
        return [(step.name, step) for step in steps_of(plan)]

    @staticmethod
    def faults(parameters: Any) -> Sequence[PlanError]:
        """Return what else is wrong with the parameters: it is told together with what
        refuses the steps.
        """
        return ()

    async def carry_out(self, steps: Steps) -> None:
        """Run the steps: in the plan's order, if it is not overridden."""
        await steps.run_all()

    @workflow.signal(name="PauseBefore")
    def pause_before(self, names: list[str], by: str = SOMEBODY) -> None:
        """Hold the operation before these steps, should they not have begun."""
        if self._steps is None:
            self._early_pauses.append((names, by))
        else:
            self._steps.pause_before(names, by)

    @workflow.query(name="task")
    def task(self) -> dict[str, str]:
        """Return state and request for the Web UI; `GET Task` needs no worker."""
        return {"TaskState": self._state, "Request": f"POST {self._composite.uri}"}

    @workflow.query(name="steps")
    def steps(self) -> dict[str, TaskState]:
        """Return the state of every step, in their order."""
        return {} if self._steps is None else self._steps.states

    async def _perform(self, composite: Composite) -> Answer:
        """Wait for its turn, run the steps, take back, conclude: the whole story."""
        self._composite = composite
        self._events = TaskEvents("POST", composite.uri, logs=True)
        try:
            wanted = self.parameters.model_validate(composite.parameters or {})
            plan = self.plan(owner_of_action(composite.uri), wanted)
        except (ValidationError, PlanError) as error:
            return conclude(await self._events.end(_misfit(self._id, error)))
        turn = MachineTurn(composite, self, self._show)
        steps = Steps(composite, plan, self, turn, self._show, self._tell)
        steps.pause_before(wanted.pause_before, self._events.subject.owner)
        for names, by in self._early_pauses:
            steps.pause_before(names, by)
        self._steps = steps
        refusal = await turn.take()
        if refusal is not None:
            outcome = failed_outcome(self._id, refusal)
        else:
            outcome = await self._carried_out(steps)
        await steps.forget_secrets()
        outcome = await self._events.end(outcome)
        answer = conclude(outcome)
        return answer if composite.root_run is None else _as_step(answer, outcome)

    async def _carried_out(self, steps: Steps) -> Outcome:
        """Run the steps, and take back what is done where they do not all succeed."""
        if not steps.must_stop:
            self._show(TaskState.RUNNING, "Begins.")
        try:
            await self.carry_out(steps)
            await steps.settle()
        except StepsStoppedError:
            await self._take_back(steps)
            return stopped_outcome(self._id, steps, self.cancelled_by)
        return ended_outcome(self._id, steps, self.cancelled_by)

    async def _take_back(self, steps: Steps) -> None:
        """End what runs, then undo what is done, the last first."""
        await steps.end_all()
        await steps.undo()

    @property
    def _id(self) -> str:
        return workflow.info().workflow_id

    def _show(self, state: TaskState, words: str) -> None:
        self._state = state
        show(state, words)
        percent = 0 if self._steps is None else self._steps.percent
        self._events.show(state, percent)

    def _tell(self, percent: int) -> None:
        """Show how far it is."""
        workflow.upsert_memo({PERCENT_MEMO: percent})
        self._events.progress(percent)


def _as_step(answer: Answer, outcome: Outcome) -> Answer:
    """Return what an operation gets of one that is its step: Location is the first
    thing that it has made.
    """
    if not outcome.created:
        return answer
    headers = answer.headers | {"Location": outcome.created[0]}
    return answer.model_copy(update={"status": 201, "headers": headers})


def _misfit(task_id: str, error: ValidationError | PlanError) -> Outcome:
    """Say that an answer has given an operation inside another parameters that do not
    fit it; those of a request were checked before it started.
    """
    if isinstance(error, ValidationError):
        faults = "; ".join(each["msg"] for each in error.errors(include_input=False))
    else:
        faults = f"{error.parameter}: {error.why}"
    text = f"The parameters of the operation do not fit it: {faults}."
    how = "Correct the step that gives them, or what it takes from earlier answers."
    message = base_message("OperationFailed", text=text, resolution=how)
    return failed_outcome(task_id, failed_answer(message))


REGISTERED: dict[str, type[CompositeOperation]] = {}
"""Every operation by its name; a workflow's sandbox changes nothing of it."""


def operation(name: str, *, on: str) -> Callable[[Composed], Composed]:
    """Make a class a multi-step operation: an action of ours on the members of a
    collection, `Actions/Oem/Taskfish.{name}`, and the workflow behind it.
    """

    def made(composed: Composed) -> Composed:
        async def run(self: CompositeOperation, composite: Composite) -> Answer:
            return await self._perform(composite)

        # As if it were defined in the class: Temporal reads all of this.
        del run.__annotations__["self"]
        run.__qualname__ = f"{composed.__qualname__}.run"
        run.__module__ = composed.__module__
        composed.run = workflow.run(run)  # type: ignore[attr-defined]
        composed.operation, composed.resources = f"Taskfish.{name}", on
        workflow.defn(name=composed.operation)(composed)
        REGISTERED.setdefault(composed.operation, composed)
        return composed

    return made
