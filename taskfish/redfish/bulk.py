"""Bulk operations: the same request to many machines, in batches (issue 7)."""

import itertools
import re
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, JsonValue

from taskfish.redfish.operations import name_operation
from taskfish.redfish.packed import Lists, Names
from taskfish.redfish.step_plan import PlanMemo, PlannedStep, RefusedSteps
from taskfish.redfish.steps import STEP_NAME, UNDO, Step, StepRequest

MOST_AT_ONCE = 200
"""Steps in flight, whatever a BatchSize says (contracts.md 4)."""
MOST_MACHINES = 10_000
SIMPLE_UPDATE_MANY = "Taskfish.SimpleUpdateMany"
"""The workflow type of an update of several sources."""
_STEP_NAME = re.compile(STEP_NAME)


class Bulk(BaseModel):
    """What a bulk operation sends: `body` to each of `uris`, by steps of these `names`.

    `targets`, if there are any, are the Targets of each step, beside the `body` that
    all have. `refused` are steps that never begin. `batch_size` (0: no batches) steps
    begin together; `delay` (seconds) after the end of a batch the next one does. At
    most `at_once` are in flight. A run begins no more than `most_a_run` steps, or as
    many as Temporal suggests (0).
    """

    model_config = ConfigDict(frozen=True)

    names: Names
    uris: Names
    body: JsonValue = None
    targets: Lists = ()
    refused: tuple[RefusedSteps, ...] = ()
    batch_size: int = 0
    delay: float = 0
    at_once: int = MOST_AT_ONCE
    most_a_run: int = 0

    def __len__(self) -> int:
        return len(self.names)

    @property
    def total(self) -> int:
        """The number of all steps, also of those that never begin."""
        return len(self) + sum(len(each.names) for each in self.refused)

    def step(self, number: int) -> Step:
        """Return a step by its place."""
        body = self.body
        if self.targets and isinstance(body, dict):
            body = {**body, "Targets": list(self.targets[number])}
        request = StepRequest(method="POST", uri=self.uris[number], body=body)
        return Step(name=self.names[number], request=request, goes_on=True)


def step_names(members: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the steps on these members: theirs, or numbers for those
    that cannot be names of steps, or that two have in common.
    """
    taken, listed = set[str](), frozenset(members)
    found = []
    for number, member in enumerate(members, 1):
        is_name = _STEP_NAME.fullmatch(member) and not member.startswith(UNDO)
        if not is_name or member in taken:
            # A number that is no member's.
            numbers = map(str, itertools.count(number, len(members)))
            member = next(each for each in numbers if each not in listed)
        taken.add(member)
        found.append(member)
    return tuple(found)


def planned_bulk(bulk: Bulk, refused_uris: Sequence[str] = ()) -> PlanMemo:
    """Return the plan of a bulk operation for its memo; `refused_uris` are where the
    steps would go that never begin.
    """
    refused = [name for each in bulk.refused for name in each.names]
    names, uris = (*bulk.names, *refused), (*bulk.uris, *refused_uris)
    alike = _alike(names, uris)
    first = alike or uris[0]
    return PlanMemo(
        alike=PlannedStep(
            name="",
            operation=name_operation("POST", uris[0]).name,
            method="POST",
            uri=first,
        ),
        members=names,
        uris=() if alike else uris,
        refused=bulk.refused,
    )


def _alike(names: Sequence[str], uris: Sequence[str]) -> str | None:
    """Return the URI of all with `{}` for the name; None if they differ otherwise."""
    patterns = set(_patterns(names, uris))
    return patterns.pop() if len(patterns) == 1 else None


def _patterns(names: Sequence[str], uris: Sequence[str]) -> Iterator[str]:
    for name, uri in zip(names, uris, strict=True):
        yield uri.replace(f"/{name}/", "/{}/")
