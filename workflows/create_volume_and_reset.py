"""Create a volume, then reset the system so that it takes effect."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field, JsonValue

    from taskfish.redfish.action_parameters import OBJECT_TYPE
    from taskfish.redfish.conditions import Condition
    from taskfish.redfish.schema import SCHEMA
    from taskfish.redfish.steps import (
        Plan,
        PlanError,
        Step,
        delete,
        get,
        get_until,
        post,
    )
    from workflows.composition import CompositeOperation, operation
    from workflows.graceful_reset import (
        A_LOOK_AT_MOST,
        ResetParameters,
        reset_steps,
        reset_until_on,
    )
    from workflows.steps import Steps

UNTIL_LISTED = 3600.0
"""How long the volume may take to be listed once the machine is on, in seconds."""


class VolumeAndReset(ResetParameters):
    """Which volume, and how the system is reset."""

    storage: str = Field(
        alias="Storage",
        pattern=r"^/redfish/v1/Systems/[^/]+/Storage/[^/]+$",
        description="The URI of the storage that gets the volume.",
    )
    volume: dict[str, JsonValue] = Field(
        alias="Volume",
        description="The volume, as in a POST to Volumes.",
        json_schema_extra={OBJECT_TYPE: SCHEMA.odata_type("Volume")},
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
        volumes = f"{parameters.storage}/Volumes"
        made = {"@odata.id": "${create-volume#/Location}"}
        is_listed = Condition(pointer="/Members", value=made, test="has")
        return (
            Step(name="volumes-before", request=get(volumes), seconds=A_LOOK_AT_MOST),
            Step(
                name="create-volume",
                request=post(volumes, parameters.volume),
                undo=delete("${create-volume#/Location}"),
            ),
            *reset_steps(uri, parameters),
            Step(
                name="volume-listed",
                request=get_until(volumes, is_listed),
                seconds=UNTIL_LISTED,
            ),
        )

    async def carry_out(self, steps: Steps) -> None:
        """Run the plan; a volume that its source does not name is known by its being
        new.
        """
        await steps.run(steps["volumes-before"])
        await steps.run(steps["create-volume"])
        await reset_until_on(steps)
        created = await steps.end_of(steps["create-volume"])
        listed = steps["volume-listed"]
        if created.created is None:
            is_new = Condition(
                pointer="/Members",
                value="${volumes-before#/Body/Members}",
                test="is_not",
            )
            request = get_until(listed.request.uri, is_new)
            listed = listed.model_copy(update={"request": request})
        await steps.run(listed)
