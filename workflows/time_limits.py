"""The time limits that changes run under: the settings', as workflows get them."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict

    from taskfish.redfish.operations import SLOW_RESTARTS

_LONG_TYPES = ("Volume.", "Drive.")
"""They may be initialized or erased."""


class TimeLimits(BaseModel):
    """All in seconds; the fields are the settings of the same names."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    submit_deadline: float
    submit_answer_timeout: float
    heartbeat_timeout: float
    interrupted_after: float
    interrupted_after_update: float
    abort_grace: float
    deadline_reset: float
    deadline_update: float
    deadline_volume: float
    deadline_other: float

    def deadline_of(self, operation: str) -> float:
        """Return how long a change may take from its first sending."""
        if operation.startswith("UpdateService."):
            return self.deadline_update
        if operation.endswith(".Reset"):
            return self.deadline_reset
        if operation.startswith(_LONG_TYPES):
            return self.deadline_volume
        return self.deadline_other

    def interrupted_after_of(self, operation: str) -> float:
        """Return how long a source may be out of reach before its task is Interrupted:
        longer where the change restarts the BMC itself.
        """
        is_slow = operation.startswith(SLOW_RESTARTS)
        return self.interrupted_after_update if is_slow else self.interrupted_after
