"""Ironic's words for what is done to a node's power, and Redfish's for the same."""

from collections.abc import Mapping

from taskfish.plugins.protocol import ABORTABLE_RESETS
from taskfish.redfish.inventory import Member
from taskfish.redfish.operations import RESET_ACTION
from taskfish.redfish.sources import Source

ON, OFF, ERROR = "power on", "power off", "error"
SOFT_OFF, SOFT_REBOOTING = "soft power off", "soft rebooting"
INJECT_NMI = "inject nmi"
SOFT = ("GracefulShutdown", "GracefulRestart")

CHANGES: Mapping[str, tuple[str, ...]] = {
    ON: ("On", "ForceOn"),
    OFF: ("ForceOff",),
    "rebooting": ("ForceRestart", "PowerCycle"),
    SOFT_OFF: ("GracefulShutdown",),
    SOFT_REBOOTING: ("GracefulRestart",),
    INJECT_NMI: ("Nmi",),
}
"""Target → the ResetTypes that do it; the first that the System has is taken."""
ABORTS: Mapping[str, tuple[str, ...]] = {
    f"abort {SOFT_OFF}": SOFT,
    f"abort {SOFT_REBOOTING}": SOFT,
    f"abort {INJECT_NMI}": ("Nmi",),
}
"""Target → the ResetTypes that it ends: either soft abort ends either soft change."""
UNDER_WAY: Mapping[str, str] = {
    "On": ON,
    "ForceOn": ON,
    "ForceOff": OFF,
    "ForceRestart": ON,
    "PowerCycle": ON,
    "GracefulShutdown": SOFT_OFF,
    "GracefulRestart": SOFT_REBOOTING,
    "Nmi": INJECT_NMI,
}
"""ResetType → the target_power_state meanwhile; others have none."""
_STATES = {"On": ON, "PoweringOn": ON, "Off": OFF, "PoweringOff": OFF}


def state_of(member: Member) -> str | None:
    """Return the power state that a System was last seen in, None if it is neither."""
    return _STATES.get(member.power_state or "")


def supported_targets(member: Member, source: Source) -> list[str]:
    """Return the targets that a node takes, an abort only where its source can do it.

    A System that does not list its ResetTypes takes all.
    """
    changes = [target for target in CHANGES if reset_type(member, target)]
    if not source.has_tasks:
        return changes
    soft = [target for target in changes if CHANGES[target][0] in ABORTABLE_RESETS]
    return [*changes, *(f"abort {target}" for target in soft)]


def reset_type(member: Member, target: str) -> str | None:
    """Return the ResetType by which a System does what is asked, None if by none."""
    known = member.allowable_values
    if known and RESET_ACTION not in known:
        return None
    listed = known.get(RESET_ACTION, {}).get("ResetType")
    offered = CHANGES[target]
    return next((each for each in offered if listed is None or each in listed), None)
