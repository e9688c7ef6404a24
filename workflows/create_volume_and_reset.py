"""Create a volume, then reset the system so that it takes effect."""

from typing import Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field, JsonValue

    from taskfish.redfish.operations import RESET_ACTION
    from taskfish.redfish.steps import (
        Plan,
        PlanError,
        Step,
        StepRequest,
        Together,
        delete,
        get,
        post,
    )
    from workflows.composition import CompositeOperation, Parameters, operation
    from workflows.steps import Steps

UNTIL_THERE = 3600.0
"""How long the machine may take to come up with its volume, in seconds."""


class VolumeAndReset(Parameters):
    """Which volume, and how the system is reset."""

    storage: str = Field(
        alias="Storage",
        pattern=r"^/redfish/v1/Systems/[^/]+/Storage/[^/]+$",
        description="The URI of the storage that gets the volume.",
    )
    volume: dict[str, JsonValue] = Field(
        alias="Volume", description="The volume, as in a POST to Volumes."
    )
    reset_type: Literal["GracefulRestart", "ForceRestart", "PowerCycle"] = Field(
        alias="ResetType",
        default="GracefulRestart",
        description="How the system is reset.",
    )
    grace_period: float = Field(
        alias="GracePeriodSeconds",
        default=300,
        ge=1,
        le=86400,
        description="How long a graceful restart may take before a forced one.",
    )


@operation("CreateVolumeAndReset", on="Systems")
class CreateVolumeAndReset(CompositeOperation):
    """Creates a volume and resets its system: gracefully first, by force if that does
    not end in time. It ends when the machine is on and has the volume.
    """

    parameters = VolumeAndReset

    @staticmethod
    def plan(uri: str, parameters: VolumeAndReset) -> Plan:
        """Create, reset, then see that both have worked."""
        if not parameters.storage.startswith(f"{uri}/Storage/"):
            raise PlanError("Storage", f"it is no storage of {uri}")
        is_graceful = parameters.reset_type == "GracefulRestart"
        return (
            Step(
                name="create-volume",
                request=post(f"{parameters.storage}/Volumes", parameters.volume),
                undo=delete("${create-volume#/Location}"),
            ),
            Step(
                name="reset",
                request=reset(uri, parameters.reset_type),
                seconds=parameters.grace_period if is_graceful else None,
                goes_on=is_graceful,
            ),
            Together(
                steps=(
                    Step(
                        name="machine-on",
                        request=get(uri, "/PowerState", "On"),
                        seconds=UNTIL_THERE,
                    ),
                    Step(
                        name="volume-there",
                        request=get("${create-volume#/Location}"),
                        seconds=UNTIL_THERE,
                    ),
                )
            ),
        )

    async def carry_out(self, steps: Steps) -> None:
        """Run the plan, with a forced reset behind a graceful one that fails."""
        await steps.run(steps["create-volume"])
        gracefully = await steps.run(steps["reset"])
        if gracefully and not gracefully.is_done:
            system = steps["machine-on"].request.uri
            forced = reset(system, "ForceRestart")
            await steps.run(Step(name="forced-reset", request=forced))
        await steps.run_together(steps["machine-on"], steps["volume-there"])


def reset(system: str, reset_type: str) -> StepRequest:
    """Return the reset of a system."""
    return post(f"{system}/Actions/{RESET_ACTION}", {"ResetType": reset_type})
