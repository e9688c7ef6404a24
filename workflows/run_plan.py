"""Run a plan of Redfish requests, for those who write no Python (docs/plans.md)."""

from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field

    from taskfish.redfish.action_parameters import OBJECT_TYPE
    from taskfish.redfish.plan_faults import plan_faults
    from taskfish.redfish.steps import Plan, PlanError, Step
    from taskfish.redfish.written_plans import WrittenSteps, placed_steps, plan_of
    from workflows.composition import CompositeOperation, Parameters, operation


class WrittenPlan(Parameters):
    """The requests, one after the other or together."""

    steps: WrittenSteps = Field(
        alias="Steps",
        strict=False,
        description="The requests: each is a step, or has steps that run together.",
        json_schema_extra={OBJECT_TYPE: "#Taskfish.v1_0_0.PlanStep"},
    )


@operation("RunPlan", on="TaskService")
class RunPlan(CompositeOperation):
    """Runs a list of Redfish requests, each of which is a step. A step that fails ends
    the plan, unless it says to go on: what is done is undone then.
    """

    parameters = WrittenPlan

    @staticmethod
    def plan(uri: str, parameters: WrittenPlan) -> Plan:
        """Return the steps as they are written."""
        return plan_of(parameters.steps)

    @staticmethod
    def placed(plan: Plan) -> Sequence[tuple[str, Step]]:
        """Return the steps, each with where it is written."""
        return placed_steps(plan)

    @staticmethod
    def faults(parameters: WrittenPlan) -> Sequence[PlanError]:
        """Return all that is wrong with the plan as a whole."""
        return plan_faults(plan_of(parameters.steps))
