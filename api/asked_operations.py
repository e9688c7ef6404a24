"""From a POST to an action to the multi-step operation that it asks for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pydantic import JsonValue, ValidationError

from api.checked_bodies import checked_action
from api.errors import refuse
from taskfish.errors import RequestRefusedError
from taskfish.redfish.messages import Message, base_message
from taskfish.redfish.operations import OperationName, composite_at, owner_of_action
from taskfish.redfish.steps import Plan, PlanError, Step
from workflows.composition import Parameters
from workflows.operations import operation_at

_SHOWN = 200
"""Characters of what a client has sent, or might send, in a message."""


@dataclass(frozen=True)
class Asked:
    """An operation and its steps: `placed` has each with what a client knows it by.

    `faults` are those that are told together with what refuses the steps.
    """

    name: OperationName
    plan: Plan
    placed: Sequence[tuple[str, Step]]
    faults: tuple[PlanError, ...] = ()
    unknown_pauses: tuple[Message, ...] = ()

    @property
    def messages(self) -> list[Message]:
        """What is wrong with the operation itself."""
        found = [_conflict(self.name.name, fault) for fault in self.faults]
        return [*found, *self.unknown_pauses]

    def is_faulty(self, place: str) -> bool:
        """Say whether something is wrong with a step already."""
        return place in self._faulty

    @cached_property
    def _faulty(self) -> frozenset[str]:
        """The places of all faults, and all that they lie in."""
        ways = (each.parameter.split("/") for each in self.faults)
        return frozenset(
            "/".join(way[:depth]) for way in ways for depth in range(1, len(way) + 1)
        )


def asked_at(uri: str, body: dict[str, JsonValue]) -> Asked:
    """Return what a POST to an action asks for.

    Raises 404 for an action that there is not, 400 for its parameters.
    """
    name, operation = composite_at(uri), operation_at(uri)
    if name is None or operation is None:
        raise refuse("ResourceMissingAtURI", uri)
    parameters = checked_action(operation.parameters, body, name.name)
    try:
        plan = operation.plan(owner_of_action(uri), parameters)
    except PlanError as error:
        raise RequestRefusedError(_conflict(name.name, error)) from error
    except ValidationError as error:
        # A step cannot be made of what its parameters name.
        fault = PlanError("Parameters", error.errors()[0]["msg"])
        raise RequestRefusedError(_conflict(name.name, fault)) from error
    placed = operation.placed(plan)
    return Asked(
        name=name,
        plan=plan,
        placed=placed,
        faults=tuple(operation.faults(parameters)),
        unknown_pauses=tuple(_unknown_pauses(name.name, placed, parameters)),
    )


def _conflict(action: str, fault: PlanError) -> Message:
    """Return the message for parameters that do not fit."""
    return base_message(
        "ActionParameterValueConflict",
        fault.parameter,
        fault.why,
        text=f"{fault.parameter}: {fault.why}."[:_SHOWN],
        resolution=f"Correct {fault.parameter} of {action}.",
    )


def _unknown_pauses(
    action: str, placed: Sequence[tuple[str, Step]], parameters: Parameters
) -> Iterator[Message]:
    known = [step.name for _, step in placed]
    for name in parameters.pause_before:
        if name not in known:
            yield base_message(
                "ActionParameterValueNotInList",
                name[:_SHOWN],
                "PauseBefore",
                action,
                resolution=f"Choose from {', '.join(known)[:_SHOWN]}.",
            )
