"""What the settings say of a change by its kind: its deadline, how long it waits."""

from api.preferences import Wait
from taskfish.redfish.operations import OperationName
from taskfish.settings import Settings

_MEDIA = ("VirtualMedia.InsertMedia", "VirtualMedia.EjectMedia")
"""Ironic needs their refusal in the answer itself (contracts.md 6)."""
_SETTINGS_TYPES = ("ManagerAccount", "Certificate", "CertificateService")
_LONG_TYPES = ("Volume", "Drive")
"""They may be initialized or erased."""


def deadline_of(settings: Settings, operation: OperationName) -> float:
    """Return the seconds that a change may take from its first sending."""
    if operation.name.startswith("UpdateService."):
        return settings.deadline_update
    if operation.name.endswith(".Reset"):
        return settings.deadline_reset
    if operation.name.startswith(tuple(f"{kind}." for kind in _LONG_TYPES)):
        return settings.deadline_volume
    return settings.deadline_other


def wait_of(settings: Settings, operation: OperationName, method: str) -> Wait:
    """Return how long the request of a change waits for its final answer."""
    kind, _, verb = operation.name.partition(".")
    if operation.name in _MEDIA:
        return Wait(settings.wait_media)
    if (
        method in ("PATCH", "PUT")
        or verb == "SetDefaultBootOrder"
        or kind in _SETTINGS_TYPES
    ):
        return Wait(settings.wait_settings)
    return Wait(settings.wait_other)
