"""What the settings say of a change by its kind: how long its request waits."""

from api.preferences import Wait
from taskfish.redfish.operations import OperationName
from taskfish.settings import Settings

_MEDIA = ("VirtualMedia.InsertMedia", "VirtualMedia.EjectMedia")
"""Ironic needs their refusal in the answer itself (contracts.md 6)."""
_SETTINGS_TYPES = ("ManagerAccount", "Certificate", "CertificateService")


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
