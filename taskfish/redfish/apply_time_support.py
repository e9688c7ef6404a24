"""Which apply times a resource takes (`@Redfish.OperationApplyTimeSupport`)."""

from collections.abc import Sequence

from pydantic import JsonValue

from taskfish.redfish.apply_time import apply_times_for, needs_window
from taskfish.redfish.links import ROOT
from taskfish.redfish.maintenance_window import MaintenanceWindow
from taskfish.redfish.resources import TASK_SERVICE
from taskfish.redfish.schema import SCHEMA

OPERATION_APPLY_TIME_SUPPORT = "@Redfish.OperationApplyTimeSupport"
_SYSTEMS = f"{ROOT}/Systems/"


def apply_time_support(
    operation: str, window: MaintenanceWindow | None
) -> dict[str, JsonValue]:
    """Return the annotation's value: what the gateway takes for an operation.

    `window` is the gateway's own; without one, values that need one are not offered,
    though a request may bring its own.
    """
    values = apply_times_for(operation, has_window=window is not None)
    settings = SCHEMA.odata_type("Settings").rpartition(".")[0]
    support: dict[str, JsonValue] = {
        "@odata.type": f"{settings}.OperationApplyTimeSupport",
        "SupportedValues": [*values],
    }
    if window is not None and any(needs_window(value) for value in values):
        resource: JsonValue = {"@odata.id": TASK_SERVICE}
        support |= window.properties() | {"MaintenanceWindowResource": resource}
    return support


def with_apply_times(
    uri: str, body: JsonValue, window: MaintenanceWindow | None
) -> JsonValue:
    """Return a source's resource with what the gateway takes, in place of what the
    source itself says: on collections that take new members, and on each action.
    """
    if not isinstance(body, dict):
        return body
    shown = dict(body)
    if OPERATION_APPLY_TIME_SUPPORT in body or _takes_new_members(uri):
        shown[OPERATION_APPLY_TIME_SUPPORT] = apply_time_support("", window)
    if "Actions" in body:
        shown["Actions"] = _with_apply_times(body["Actions"], window)
    return shown


def supported_values(holder: JsonValue) -> tuple[str, ...]:
    """Return the values that a resource or an action of a source says it takes."""
    support = (
        holder.get(OPERATION_APPLY_TIME_SUPPORT) if isinstance(holder, dict) else None
    )
    values = support.get("SupportedValues") if isinstance(support, dict) else None
    return _texts(values if isinstance(values, list) else [])


def action_of(body: JsonValue, name: str) -> JsonValue:
    """Return the object of an action (`UpdateService.SimpleUpdate`) in a resource."""
    actions = body.get("Actions") if isinstance(body, dict) else None
    return actions.get(f"#{name}") if isinstance(actions, dict) else None


def _takes_new_members(uri: str) -> bool:
    kind = SCHEMA.kind_at(uri) if uri.startswith(_SYSTEMS) else None
    return kind is not None and "POST" in kind.methods


def _with_apply_times(
    actions: JsonValue, window: MaintenanceWindow | None
) -> JsonValue:
    """Annotate each action object; those of `Oem` are one level deeper."""
    if not isinstance(actions, dict):
        return actions
    shown = dict(actions)
    for key, action in actions.items():
        if key == "Oem":
            shown[key] = _with_apply_times(action, window)
        elif key.startswith("#") and isinstance(action, dict) and "target" in action:
            support: JsonValue = apply_time_support(key.removeprefix("#"), window)
            shown[key] = {**action, OPERATION_APPLY_TIME_SUPPORT: support}
    return shown


def _texts(values: Sequence[JsonValue]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str))
