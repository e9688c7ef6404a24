"""The maintenance window of a request, and the gateway's own (TaskService)."""

from datetime import UTC, datetime

from pydantic import JsonValue, ValidationError

from api.gateway import Gateway
from taskfish.errors import RequestRefusedError, StoreUnavailableError
from taskfish.redfish.apply_time import MAINTENANCE_WINDOW
from taskfish.redfish.maintenance_window import (
    MaintenanceWindow,
    range_problem,
    read_window,
)
from taskfish.redfish.messages import base_message
from taskfish.redfish.requests import messages_of
from taskfish.redfish.resources import TASK_SERVICE


async def window_for(gateway: Gateway, body: dict[str, JsonValue]) -> MaintenanceWindow:
    """Return the window that a request brings, else the gateway's own.

    Raises 400 for one that is over or cannot be, and if there is none.
    """
    if MAINTENANCE_WINDOW in body:
        return _read(body[MAINTENANCE_WINDOW])
    window = (await gateway.service_settings.read()).maintenance_window
    if window is None:
        how = (
            f"Add {MAINTENANCE_WINDOW} to the request, or set it for all requests by a "
            f"PATCH of {TASK_SERVICE}."
        )
        message = base_message("PropertyMissing", MAINTENANCE_WINDOW, resolution=how)
        raise RequestRefusedError(message)
    return _not_over(window)


async def changed_window(
    gateway: Gateway, body: dict[str, JsonValue]
) -> dict[str, JsonValue]:
    """Return what a PATCH of the TaskService changes of its window, by the name of its
    option; null takes the window away. Raises 400.
    """
    if MAINTENANCE_WINDOW not in body:
        return {}
    given = body[MAINTENANCE_WINDOW]
    if given is None:
        return {"maintenance_window": None}
    current = (await gateway.service_settings.read()).maintenance_window
    return {"maintenance_window": _read(given, current).model_dump(mode="json")}


async def offered_window(gateway: Gateway) -> MaintenanceWindow | None:
    """Return the gateway's own window unless it is over.

    While the store is silent there is none: what is read of a source goes on.
    """
    try:
        window = (await gateway.service_settings.read()).maintenance_window
    except StoreUnavailableError:
        return None
    return window if window and window.end > datetime.now(UTC) else None


def _read(
    given: JsonValue, current: MaintenanceWindow | None = None
) -> MaintenanceWindow:
    try:
        return _not_over(read_window(given, current))
    except ValidationError as error:
        raise RequestRefusedError(*messages_of(error)) from error


def _not_over(window: MaintenanceWindow) -> MaintenanceWindow:
    problem = range_problem(window, datetime.now(UTC))
    if problem is not None:
        raise RequestRefusedError(problem)
    return window
