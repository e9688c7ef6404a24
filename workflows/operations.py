"""Every multi-step operation there is: who adds one names its module here."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows import create_volume_and_reset as create_volume_and_reset
    from workflows.await_state import AwaitState
    from workflows.bulk import BULK_OPERATIONS
    from workflows.composition import REGISTERED, CompositeOperation

OPERATIONS: dict[str, type[CompositeOperation]] = REGISTERED
"""By their names: `Taskfish.CreateVolumeAndReset`."""


def step_workflows() -> list[type]:
    """Return the workflows of the operations, and those that only steps are."""
    return [AwaitState, *OPERATIONS.values(), *BULK_OPERATIONS.values()]
