"""Every multi-step operation there is: who adds one names its module here."""

import re

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from taskfish.redfish.operations import (
        action_owner,
        composite_at,
        owner_of_action,
    )
    from workflows import apply_firmware as apply_firmware
    from workflows import create_volume_and_reset as create_volume_and_reset
    from workflows import run_plan as run_plan
    from workflows.await_state import AwaitState
    from workflows.bulk import BULK_OPERATIONS
    from workflows.composition import REGISTERED, CompositeOperation

OPERATIONS: dict[str, type[CompositeOperation]] = REGISTERED
"""By their names: `Taskfish.CreateVolumeAndReset`."""


def operation_at(uri: str) -> type[CompositeOperation] | None:
    """Return the operation that a POST to a URI starts, None where there is none."""
    name = composite_at(uri)
    found = OPERATIONS.get(name.name) if name else None
    if found is None:
        return None
    owner = re.escape(action_owner(found.resources)).replace(r"\{member\}", "[^/]+")
    return found if re.fullmatch(owner, owner_of_action(uri)) else None


def step_workflows() -> list[type]:
    """Return the workflows of the operations, and those that only steps are."""
    return [AwaitState, *OPERATIONS.values(), *BULK_OPERATIONS.values()]
