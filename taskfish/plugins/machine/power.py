"""The power of a machine: what a reset does, step by step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from taskfish.plugins.machine.answers import Body, done, nothing_to_do, refused
from taskfish.plugins.machine.jobs import Action, Work
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import Answer

RESET = "ComputerSystem.Reset"
OFF_TYPES = ("ForceOff", "GracefulShutdown")
ON_TYPES = ("On", "ForceOn")
RESTART_TYPES = ("ForceRestart", "GracefulRestart", "PowerCycle")
RESET_TYPES = (*ON_TYPES, *OFF_TYPES, *RESTART_TYPES, "Nmi", "PushPowerButton")
FORCED_TYPES = ("ForceOff", "ForceRestart", "PowerCycle", "ForceOn")


@dataclass
class Power:
    """PowerState and who is changing it; `at_boot` is called when power comes back.

    The newest reset owns the power: an older one still under way goes on without it.
    """

    wall: Callable[[], datetime]
    at_boot: list[Action] = field(default_factory=list)
    state: str = "On"
    last_reset: datetime | None = None
    _owner: object = None
    _settled: str = "On"

    def __post_init__(self) -> None:
        self.last_reset = self.wall()

    @property
    def changing(self) -> bool:
        """Whether a reset is under way."""
        return self._owner is not None

    def reset(self, body: Body, exclusive: bool) -> Work:
        """Return the work of a ComputerSystem.Reset; a refusal if it cannot be."""
        kind = body.get("ResetType")
        if kind is None:
            raise refused(base_message("ActionParameterMissing", RESET, "ResetType"))
        if kind not in RESET_TYPES:
            raise refused(
                base_message(
                    "ActionParameterValueNotInList", str(kind), "ResetType", RESET
                )
            )
        if exclusive and self.changing and kind not in FORCED_TYPES:
            raise refused(base_message("ResourceInUse"))
        return self._work(str(kind))

    def _work(self, kind: str) -> Work:
        if kind == "PushPowerButton":
            kind = "On" if self.state == "Off" else "GracefulShutdown"
        settled_on = self.state == "On" and not self.changing
        if (kind in ON_TYPES and settled_on) or (
            kind in OFF_TYPES and self.state == "Off"
        ):
            return Work(RESET, nothing_to_do, at_once=True)
        if self.state == "Off" and kind not in ON_TYPES:
            message = base_message("ActionParameterValueConflict", "ResetType", kind)
            raise refused(message, 409)
        if kind == "Nmi":
            return Work(RESET, done, long=True, lags=True, graceful=True)
        return self._transition(kind)

    def _transition(self, kind: str) -> Work:
        owner = object()
        off = (0.0, lambda: self._take(owner, "PoweringOff"))
        on = (0.5, lambda: self._boot(owner))
        steps = {
            "On": ((0.0, lambda: self._take(owner, "PoweringOn")), (0.0, on[1])),
            "Off": (off,),
            "Restart": (off, on),
        }
        final = "Off" if kind in OFF_TYPES else "On"
        name = "Restart" if kind in RESTART_TYPES else final
        return Work(
            RESET,
            finish=lambda: self._finish(owner, final),
            steps=steps[name],
            undo=lambda: self._undo(owner),
            long=True,
            lags=True,
            graceful=kind.startswith("Graceful"),
        )

    def _take(self, owner: object, state: str) -> None:
        self._owner = owner
        self.state = state

    def _boot(self, owner: object) -> None:
        """Power comes back: settings and changes that waited for it are applied."""
        if self._owner is not owner:
            return
        self.state = "PoweringOn"
        self.last_reset = self.wall()
        for act in self.at_boot:
            act()

    def _finish(self, owner: object, state: str) -> Answer:
        if self._owner is owner:
            self._settle(state)
        return done()

    def _undo(self, owner: object) -> None:
        if self._owner is owner:
            self._settle(self._settled)

    def _settle(self, state: str) -> None:
        self.state = self._settled = state
        self._owner = None
