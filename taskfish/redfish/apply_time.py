"""When a change is to be made (`@Redfish.OperationApplyTime`, DSP0266 7.12)."""

from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, JsonValue

ApplyTimeValue = Literal[
    "Immediate", "OnReset", "AtMaintenanceWindowStart", "InMaintenanceWindowOnReset"
]
"""The values that are supported, of Settings.OperationApplyTime."""
OPERATION_APPLY_TIME = "@Redfish.OperationApplyTime"
MAINTENANCE_WINDOW = "@Redfish.MaintenanceWindow"
RESETS = ("ComputerSystem.Reset", "Chassis.Reset", "Manager.Reset")
"""The operations that wait for no reset: they are one."""
_ON_RESET = ("OnReset", "InMaintenanceWindowOnReset")
_IN_WINDOW = ("AtMaintenanceWindowStart", "InMaintenanceWindowOnReset")


class ApplyTime(BaseModel):
    """What a request asks for; the window is there where its value needs one."""

    model_config = ConfigDict(frozen=True)

    value: ApplyTimeValue
    window_start: datetime | None = None
    window_end: datetime | None = None

    @property
    def needs_reset(self) -> bool:
        """Whether the change waits for the machine's next reset."""
        return self.value in _ON_RESET


def apply_times_for(
    operation: str, *, has_window: bool = True, has_system: bool = True
) -> tuple[ApplyTimeValue, ...]:
    """Return the values that an operation may ask for.

    Without a window none that need one; without a system to be reset, and for a reset
    itself, none that wait for a reset.
    """
    may_wait = has_system and operation not in RESETS
    return tuple(
        value
        for value in get_args(ApplyTimeValue)
        if (has_window or value not in _IN_WINDOW)
        and (may_wait or value not in _ON_RESET)
    )


def needs_window(value: ApplyTimeValue) -> bool:
    """Say whether an apply time is nothing without a maintenance window."""
    return value in _IN_WINDOW


def without_apply_time(body: JsonValue) -> JsonValue:
    """Return a body as it is sent when the gateway itself keeps its apply time."""
    return _without(body, OPERATION_APPLY_TIME, MAINTENANCE_WINDOW)


def without_window(body: JsonValue) -> JsonValue:
    """Return a body as it is sent when its source keeps its apply time."""
    return _without(body, MAINTENANCE_WINDOW)


def _without(body: JsonValue, *names: str) -> JsonValue:
    """Return a body without some of its annotations, None if nothing is left.

    One without an apply time stays as it is: its window is then the source's own.
    """
    if not isinstance(body, dict) or OPERATION_APPLY_TIME not in body:
        return body
    return {name: value for name, value in body.items() if name not in names} or None
