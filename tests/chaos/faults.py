"""Carry out a planned fault at its moment, and end all of them."""

import asyncio
import time
from typing import Final

from pydantic import JsonValue

from tests.chaos.plans import TARGETS, FaultKind, PlannedFault
from tests.chaos.site import Site

MODES: Final[dict[FaultKind, dict[str, JsonValue]]] = {
    "lose answers": {"lose_answer": True},
    "delay answers": {"answer_delay": 1.5},
    "vanish": {"vanish": True},
    "refuse": {"refuse": 503},
    "refuse reads": {"refuse_reads": 503},
}
NO_FAULTS: Final[dict[str, JsonValue]] = {
    "lose_answer": False,
    "answer_delay": 0.0,
    "vanish": False,
    "refuse": None,
    "refuse_reads": None,
}


async def carry_out(site: Site, fault: PlannedFault, begin: float) -> None:
    """Make one fault happen; a mode ends after its seconds."""
    await asyncio.sleep(begin + fault.at - time.monotonic())
    match fault.kind:
        case "kill worker":
            site.worker.kill()
        case "kill api":
            site.api.kill()
        case "kill both":
            site.worker.kill("with the other")
            site.api.kill("with the other")
        case "kill worker at":
            site.worker.kill_at(fault.target)
        case "kill api at":
            site.api.kill_at(fault.target)
        case "freeze worker":
            await site.worker.freeze(fault.seconds)
        case "restart":
            site.emulator.restart(fault.target)
        case _:
            changes = MODES[fault.kind]
            site.emulator.set_modes(fault.target, **changes)
            await asyncio.sleep(fault.seconds)
            back = {name: NO_FAULTS[name] for name in changes}
            site.emulator.set_modes(fault.target, **back)


async def end_faults(site: Site) -> None:
    """Have every machine and every process be well again."""
    for target in TARGETS:
        site.emulator.set_modes(target, **NO_FAULTS)
    site.worker.disarm()
    site.api.disarm()
    await site.until_ready()
