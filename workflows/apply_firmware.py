"""Update firmware, reset the system if that takes it, and see that it is there."""

import re
from collections.abc import Sequence
from typing import Annotated

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field, StringConstraints

    from taskfish.redfish.bulk import step_names
    from taskfish.redfish.links import ROOT, LinkMap, member_of
    from taskfish.redfish.requests import TransferProtocol
    from taskfish.redfish.resources import SIMPLE_UPDATE, UPDATE_SERVICE
    from taskfish.redfish.steps import Plan, PlanError, Step, Together, get, post
    from workflows.composition import CompositeOperation, operation
    from workflows.graceful_reset import (
        LOOK,
        ResetParameters,
        leave_out_reset,
        reset_steps,
        reset_until_on,
    )
    from workflows.steps import Steps

UNTIL_SHOWN = 1800.0
"""How long a component may take to show its version, in seconds: a BMC restarts."""
LONGEST_NAME = 80
"""Characters of a component's Id in the name of its step."""
MANAGER_RESET = "/Actions/Manager.Reset"
MANAGER = re.compile(rf"{ROOT}/Managers/[^/\s]+(?={MANAGER_RESET})")
Component = Annotated[
    str,
    StringConstraints(pattern=rf"^{UPDATE_SERVICE}/FirmwareInventory/[^/]+$"),
]
_OF_UPDATE = {"image_uri", "transfer_protocol", "targets", "username", "password"}


class Firmware(ResetParameters):
    """Which firmware for what, and how the system is reset if it needs that.

    The first five are those of UpdateService.SimpleUpdate.
    """

    image_uri: str = Field(alias="ImageURI", description="The URI of the image.")
    transfer_protocol: TransferProtocol | None = Field(
        alias="TransferProtocol",
        default=None,
        description="How the image is fetched, if its URI does not say.",
    )
    targets: list[Component] = Field(
        alias="Targets",
        min_length=1,
        description="The URIs of what is updated, in FirmwareInventory.",
    )
    username: str | None = Field(
        alias="Username", default=None, description="The user who fetches the image."
    )
    password: str | None = Field(
        alias="Password", default=None, description="The password of that user."
    )
    version: str | None = Field(
        alias="Version",
        default=None,
        description="The Version that all Targets must show in the end.",
    )


@operation("ApplyFirmware", on="Systems")
class ApplyFirmware(CompositeOperation):
    """Updates firmware of a system, resets the system or its BMC if the update says
    that it takes that (Base.ResetRequired, whose argument is the reset's URI), and ends
    when all of it shows the version that is wanted.

    There is no undo: an older image is an update of its own.
    """

    parameters = Firmware

    @staticmethod
    def plan(uri: str, parameters: Firmware) -> Plan:
        """Update, reset, then see that it has worked."""
        for target in parameters.targets:
            if _source_of(target) != _source_of(uri):
                raise PlanError("Targets", f"{target} is not at the source of {uri}")
        body = parameters.model_dump(
            include=_OF_UPDATE, by_alias=True, exclude_none=True, mode="json"
        )
        pointer = None if parameters.version is None else "/Version"
        targets = tuple(dict.fromkeys(parameters.targets))
        shown = (
            Step(
                name=f"verify-{name}",
                request=get(target, pointer, parameters.version),
                seconds=UNTIL_SHOWN,
            )
            for target, name in zip(targets, _names(targets), strict=True)
        )
        return (
            Step(name="update", request=post(SIMPLE_UPDATE, body)),
            *reset_steps(uri, parameters),
            Together(steps=tuple(shown)),
        )

    async def carry_out(self, steps: Steps) -> None:
        """Run the plan, with those resets that the update asks for."""
        end = await steps.run(steps["update"])
        required = {
            " ".join(each.message_args)
            for each in (end.messages if end is not None else ())
            if each.message_id.endswith(".ResetRequired")
        }
        of_managers = {each for each in required if MANAGER_RESET in each}
        source = _source_of(steps[LOOK].request.uri)
        if required - of_managers:
            await reset_until_on(steps)
        else:
            leave_out_reset(steps)
        managers = sorted(_managers(of_managers, source))
        for uri, name in zip(managers, _names(managers), strict=True):
            reset = post(f"{uri}{MANAGER_RESET}", {"ResetType": "GracefulRestart"})
            await steps.run(Step(name=f"reset-{name}", request=reset))
        verifying = [steps[name] for name in steps.states if name.startswith("verify-")]
        await steps.run_together(*verifying)


def _names(uris: Sequence[str]) -> tuple[str, ...]:
    """Return what steps on these resources are called, behind a word of their own."""
    return step_names([uri.rpartition("/")[2][:LONGEST_NAME] for uri in uris])


def _managers(messages: set[str], source: str) -> set[str]:
    """Return the managers, in our names, of whose resets the messages tell."""
    found = (MANAGER.search(each) for each in messages)
    links = LinkMap(source)
    return {uri for each in found if each and (uri := links.north_uri(each[0]))}


def _source_of(uri: str) -> str:
    found = member_of(uri)
    return found[0] if found else ""
