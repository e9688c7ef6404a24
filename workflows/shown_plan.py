"""The plan of an operation as its memo shows it, from before its first step on."""

from collections.abc import Iterable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from taskfish.redfish.expressions import with_any
    from taskfish.redfish.step_plan import PLAN_MEMO, PlanMemo, PlannedStep
    from taskfish.redfish.steps import Plan, Step, steps_of
    from workflows.step_calls import name_of


class ShownPlan:
    """Keeps the memo right where an operation leaves its plan. The API has written the
    first one, with the start.
    """

    def __init__(self, plan: Plan) -> None:
        self._memo = planned(plan)

    def add(self, step: Step, begun: Iterable[str]) -> None:
        """List a step, if it was not planned: behind those that have begun."""
        if step.name not in self._memo.names:
            known = set(begun)
            steps = self._memo.steps
            places = [i for i, each in enumerate(steps) if each.name in known]
            place = max(places, default=len(steps) - 1) + 1
            self._show((*steps[:place], planned_step(step), *steps[place:]))

    def refuse(self, step: Step, why: str) -> None:
        """Say of a listed step why it could not begin."""
        refused = planned_step(step).model_copy(update={"refused": why})
        steps = self._memo.steps
        self._show(refused if each.name == step.name else each for each in steps)

    def leave_out(self, names: Iterable[str]) -> None:
        """List some steps no more."""
        left = set(names)
        self._show(each for each in self._memo.steps if each.name not in left)

    def _show(self, steps: Iterable[PlannedStep]) -> None:
        self._memo = self._memo.model_copy(update={"steps": tuple(steps)})
        workflow.upsert_memo({PLAN_MEMO: self._memo})


def planned(plan: Plan) -> PlanMemo:
    """Return what a plan looks like before it begins."""
    return PlanMemo(steps=tuple(planned_step(step) for step in steps_of(plan)))


def planned_step(step: Step) -> PlannedStep:
    """Return what a step looks like before it begins."""
    request = step.request
    known = request.model_copy(update={"uri": with_any(request.uri)})
    name = name_of(known).name
    return PlannedStep(
        name=step.name, operation=name, method=request.method, uri=request.uri
    )
