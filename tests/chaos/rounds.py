"""One round: a plan carried out, the faults ended, every task waited for and judged."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.chaos.changes import make_request
from tests.chaos.faults import carry_out, end_faults
from tests.chaos.plans import RELEASE_TYPE, Plan, PlannedChange
from tests.chaos.requested import Requested
from tests.chaos.site import Site
from tests.chaos.verdicts import Violation, judge

SAMPLE_PAUSE = 0.15
END_WITHIN = 60.0
"""How many seconds after the last fault every task must have ended."""
RELEASE_PAUSE = 3.0
AT_LARGE = 1.0
"""For how many seconds a change is exposed to the faults at least."""


@dataclass
class Round:
    """What came of a plan. `slowest` is the seconds from the last fault to the end."""

    requested: list[Requested] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    executions: int = 0
    slowest: float = 0.0

    @property
    def states(self) -> Counter[str]:
        """How many tasks ended in which state."""
        return Counter(each.trace.state or "none" for each in self.requested)


async def play(site: Site, plan: Plan) -> Round:
    """Carry a plan out on a site whose tasks have all ended."""
    _prepare(site, plan)
    played = Round([await _planned(site, change) for change in plan.changes])
    begin = time.monotonic()
    async with _sampling(played.requested), asyncio.TaskGroup() as group:
        for requested in played.requested:
            group.create_task(requested.live(begin))
        faults = [
            asyncio.create_task(carry_out(site, fault, begin)) for fault in plan.faults
        ]
        await asyncio.gather(*faults)
        await asyncio.sleep(begin + _faulty_seconds(plan) - time.monotonic())
        await end_faults(site)
    over = time.monotonic()
    async with _sampling(played.requested):
        await _finish(site, played)
    ends = [each.ended_at for each in played.requested if each.ended_at]
    played.slowest = max([0.0, *(end - over for end in ends)])
    await _read_again(played.requested)
    played.executions = len(site.emulator.executions())
    played.violations = judge(site.emulator, played.requested)
    played.violations += [
        Violation(kind="wrong end", text=f"{name} {end}")
        for name, process in (("worker", site.worker), ("api", site.api))
        for end in process.ends
    ]
    return played


def _faulty_seconds(plan: Plan) -> float:
    """Return for how long boundaries kill: until the last change may have met them."""
    return max((change.at for change in plan.changes), default=0) + AT_LARGE


def _prepare(site: Site, plan: Plan) -> None:
    """Let every machine be as the plan says, with nothing left of earlier rounds."""
    site.emulator.reset_modes()
    for name, machine in site.emulator.machines.items():
        machine.timeline.forget(reset_ids=False)
        machine.storage.volumes.clear()
        machine.set_modes(**plan.modes.get(name, {}))
    site.emulator.clear_executions()
    site.worker.ends.clear()
    site.api.ends.clear()


async def _planned(site: Site, change: PlannedChange) -> Requested:
    machine = site.emulator.machines[change.machine]
    return Requested(site.client, change, await make_request(change, machine))


@asynccontextmanager
async def _sampling(all_requested: list[Requested]) -> AsyncIterator[None]:
    """Read every task again and again while the block lasts."""

    async def sample() -> None:
        while True:
            for requested in list(all_requested):
                await requested.read()
            await asyncio.sleep(SAMPLE_PAUSE)

    sampling = asyncio.create_task(sample())
    try:
        yield
    finally:
        sampling.cancel()
        with suppress(asyncio.CancelledError):
            await sampling


async def _finish(site: Site, played: Round) -> None:
    """Resume what is suspended, reset what waits for a reset, wait for every end."""
    deadline = time.monotonic() + END_WITHIN
    releases = 0
    while time.monotonic() < deadline:
        for requested in played.requested:
            if requested.trace.state == "Suspended":
                await requested.resume()
        waiting = _waiting_for_reset(played.requested)
        for machine in waiting:
            releases += 1
            await _release(site, played, machine, releases)
        if await _all_ended(played, RELEASE_PAUSE):
            return


def _waiting_for_reset(all_requested: list[Requested]) -> set[str]:
    """Return the machines on which a change waits, and no reset is coming."""
    open_ones = [each for each in all_requested if not each.ended]
    waiting = {
        each.change.machine
        for each in open_ones
        if each.change.kind == "volume_on_reset"
    }
    resets = {each.change.machine for each in open_ones if each.change.kind == "reset"}
    return waiting - resets


async def _release(site: Site, played: Round, machine: str, number: int) -> None:
    name = f"{played.requested[0].change.name}-release-{number}"
    change = PlannedChange(
        kind="reset", machine=machine, name=name, reset_type=RELEASE_TYPE
    )
    requested = await _planned(site, change)
    await requested.send()
    played.requested.append(requested)


async def _all_ended(played: Round, seconds: float) -> bool:
    """Wait for all ends, but for so many seconds at most."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(requested.ended for requested in played.requested):
            return True
        await asyncio.sleep(0.05)
    return False


async def _read_again(all_requested: list[Requested]) -> None:
    """Repeat every request once more, then read its task: both must be as they were."""
    for requested in all_requested:
        if not requested.is_unknown:
            await requested.send()
        await requested.read()
