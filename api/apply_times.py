"""When a request wants its change to be made (`@Redfish.OperationApplyTime`)."""

from collections.abc import Sequence

from pydantic import JsonValue

from api.change_request import ChangeRequest
from api.conflicts import turn_of
from api.gateway import Gateway
from api.maintenance_window import window_for
from taskfish.errors import RequestRefusedError
from taskfish.redfish.apply_time import (
    MAINTENANCE_WINDOW,
    OPERATION_APPLY_TIME,
    ApplyTime,
    ApplyTimeValue,
    apply_times_for,
    needs_window,
)
from taskfish.redfish.messages import base_message
from taskfish.redfish.operations import name_operation
from taskfish.redfish.requests import shown_value


async def apply_time_of(gateway: Gateway, request: ChangeRequest) -> ApplyTime | None:
    """Return the apply time that a request's body asks for, None if it asks for none.

    Raises 400 for a value that cannot be had, listing those that can, for a maintenance
    window that is over or cannot be, and if one is needed and there is none, or one is
    given to a change that would not wait for it.
    """
    if OPERATION_APPLY_TIME not in request.body:
        return None
    value = _checked(request, request.body[OPERATION_APPLY_TIME])
    asked = ApplyTime(value=value)
    if asked.needs_reset:
        await _check_system(gateway, request, value)
    if not needs_window(value):
        _check_no_window(request, value)
        return asked
    window = await window_for(gateway, request.body)
    return ApplyTime(value=value, window_start=window.start, window_end=window.end)


def _checked(request: ChangeRequest, value: JsonValue) -> ApplyTimeValue:
    if not isinstance(value, str):
        raise _refusal("ValueTypeError", request, value, "Send a string.")
    allowed = apply_times_for(_operation(request))
    if value not in allowed:
        raise _refusal("ValueNotInList", request, value, _choice(allowed))
    return value


def _check_no_window(request: ChangeRequest, value: str) -> None:
    """Raise 400 for a window beside a value that does not wait for one: the change
    would be made at another time than its sender thinks.
    """
    if MAINTENANCE_WINDOW in request.body:
        fitting = filter(needs_window, apply_times_for(_operation(request)))
        how = f"With {MAINTENANCE_WINDOW}: {_choice(tuple(fitting))}"
        raise _refusal("ValueNotInList", request, value, how)


async def _check_system(gateway: Gateway, request: ChangeRequest, value: str) -> None:
    """Raise 400 for a change that waits for a reset where nothing is ever reset."""
    turn = await turn_of(gateway, request, "allow")
    if not turn.systems:
        allowed = apply_times_for(_operation(request), has_system=False)
        how = f"No system belongs to the resource. {_choice(allowed)}"
        raise _refusal("ValueNotInList", request, value, how)


def _refusal(
    kind: str, request: ChangeRequest, value: JsonValue, resolution: str
) -> RequestRefusedError:
    """Return the error for the annotation: an action's parameter, or a property."""
    name = OPERATION_APPLY_TIME
    shown = shown_value(name, value)
    if "/Actions/" in request.uri:
        key, args = f"ActionParameter{kind}", (shown, name, _operation(request))
        message = base_message(key, *args, resolution=resolution)
    else:
        message = base_message(
            f"Property{kind}",
            shown,
            name,
            resolution=resolution,
            related=(f"#/{name}",),
        )
    return RequestRefusedError(message)


def _operation(request: ChangeRequest) -> str:
    return name_operation(request.method, request.uri).name


def _choice(allowed: Sequence[str]) -> str:
    return f"Choose one of {', '.join(allowed)}."
