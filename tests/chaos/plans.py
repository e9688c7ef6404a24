"""What one round of chaos does: changes, what people do to them, and faults."""

from random import Random
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from taskfish.plugins.machine.system import DEFAULT_ORDER

Kind = Literal["reset", "volume", "volume_on_reset", "volume_deletion", "boot_order"]
FaultKind = Literal[
    "kill worker",
    "kill api",
    "kill both",
    "kill worker at",
    "kill api at",
    "freeze worker",
    "lose answers",
    "delay answers",
    "vanish",
    "refuse",
    "refuse reads",
    "restart",
]

MACHINES: Final = ("node1", "node2", "bmc1", "bmc2")
TARGETS: Final = (*MACHINES, "plugin")
RESET_TYPES: Final = ("PowerCycle", "GracefulRestart", "Nmi")
"""One of each per machine and round, so that each execution belongs to one change."""
RELEASE_TYPE: Final = "ForceRestart"
"""The type of the resets that end a round: changes may be waiting for one."""
KINDS: Final[tuple[Kind, ...]] = (
    "reset",
    "reset",
    "volume",
    "volume",
    "volume_on_reset",
    "volume_deletion",
    "boot_order",
)
FAULTS: Final[tuple[FaultKind, ...]] = (
    "kill worker",
    "kill worker",
    *("kill worker at",) * 6,
    "kill api",
    *("kill api at",) * 2,
    "kill both",
    "freeze worker",
    "lose answers",
    "lose answers",
    "delay answers",
    "vanish",
    "refuse",
    "refuse reads",
    "restart",
)
CONFLICTS: Final[tuple[Literal["", "queue", "reject"], ...]] = (
    *("",) * 3,
    "queue",
    "reject",
)
TIMEOUTS: Final = (None, None, None, 1, 3)
"""Task-Timeout in seconds; None: the deadline of its kind, far away."""
WORKER_BOUNDARIES: Final = (
    *("begun", "sent", "sent", "answered", "read", "finished", "aborting", "aborted"),
)
API_BOUNDARIES: Final = ("kept", "started", "known", "signalled", "cancelled")
LONGEST_FAULT = 3
"""Seconds: longer than the heartbeat time-out, and than the answer time-out."""


class _Planned(BaseModel):
    model_config = ConfigDict(frozen=True)


class PlannedChange(_Planned):
    """One change. `name` is all its own; times are seconds after its task is known,
    but `at` is after the round's begin.
    """

    kind: Kind
    machine: str
    name: str
    at: float = 0
    reset_type: str = ""
    boot_order: tuple[str, ...] = ()
    chooses_id: bool = False
    cancel_after: float | None = None
    conflict: Literal["", "queue", "reject"] = ""
    timeout: int | None = None
    kill_after: float | None = None
    suspend_after: float | None = None
    resume_after: float = 0


class PlannedFault(_Planned):
    """One fault, and for how long; `target` is a machine, the plugin or a boundary,
    and says nothing where a process is killed at once.
    """

    kind: FaultKind
    target: str = ""
    at: float = 0
    seconds: float = 0


class Plan(_Planned):
    """One round: how each machine is, what is asked of it, what goes wrong."""

    modes: dict[str, dict[str, JsonValue]] = {}
    changes: tuple[PlannedChange, ...] = ()
    faults: tuple[PlannedFault, ...] = ()


class PlanSize(_Planned):
    """How much may happen in one round: so much, or half of it at least."""

    changes: int
    faults: int
    seconds: float


def draw_plan(random: Random, size: PlanSize, prefix: str) -> Plan:
    """Return a plan; hypothesis draws the numbers, or a seed does."""
    left = {machine: list(RESET_TYPES) for machine in MACHINES}
    changes = [
        _change(random, size, left, f"{prefix}-{number}")
        for number in range(_half_or_more(random, size.changes))
    ]
    faults = [_fault(random, size) for _ in range(_half_or_more(random, size.faults))]
    modes = {machine: _modes(random) for machine in MACHINES}
    return Plan(modes=modes, changes=tuple(changes), faults=tuple(faults))


def _modes(random: Random) -> dict[str, JsonValue]:
    """Return how a machine does its work in this round."""
    return {
        "seconds": random.choice([0.0, 0.4, 1.0]),
        "answer": random.choice(["auto", "auto", "task"]),
        "answer_delay": random.choice([0.0, 0.0, 0.4, 1.0]),
        "slow_sync": random.choice([False, False, False, True]),
        "one_shot_monitor": random.choice([False, True]),
        "monitor_ends_with_task": random.choice([False, True]),
        "apply_times": random.choice([False, True]),
        "pausable": random.choice([False, True]),
        "abort_seconds": random.choice([0.0, 0.3]),
        "abort": random.choice(["supported", "supported", "refused"]),
    }


def _change(
    random: Random, size: PlanSize, left: dict[str, list[str]], name: str
) -> PlannedChange:
    kind = random.choice(KINDS)
    machine = random.choice(MACHINES)
    if kind == "reset" and not left[machine]:
        kind = "volume"
    reset_type = left[machine].pop() if kind == "reset" else ""
    order = list(DEFAULT_ORDER) if kind == "boot_order" else []
    random.shuffle(order)
    ordered = random.choice(["", "", "", "cancel", "suspend", "kill"])
    return PlannedChange(
        kind=kind,
        machine=machine,
        name=name,
        at=_moment(random, size.seconds),
        reset_type=reset_type,
        boot_order=tuple(order),
        chooses_id=random.choice([False, True]),
        cancel_after=_moment(random, 1) if ordered == "cancel" else None,
        conflict=random.choice(CONFLICTS),
        timeout=random.choice(TIMEOUTS),
        kill_after=_moment(random, 1) if ordered == "kill" else None,
        suspend_after=_moment(random, 1) if ordered == "suspend" else None,
        resume_after=_moment(random, 1),
    )


def _fault(random: Random, size: PlanSize) -> PlannedFault:
    kind = random.choice(FAULTS)
    choices = {
        "kill worker at": WORKER_BOUNDARIES,
        "kill api at": API_BOUNDARIES,
    }.get(kind, TARGETS)
    # What waits for a boundary is there before those who get to it.
    latest = size.seconds / 2 if kind.endswith(" at") else size.seconds
    return PlannedFault(
        kind=kind,
        target=random.choice(choices),
        at=_moment(random, latest),
        seconds=_moment(random, LONGEST_FAULT),
    )


def _half_or_more(random: Random, most: int) -> int:
    return random.randint(most // 2, most)


def _moment(random: Random, longest: float) -> float:
    return random.randint(0, int(longest * 20)) / 20
