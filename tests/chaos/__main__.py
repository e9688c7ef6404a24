"""A long run: `python -m tests.chaos --minutes 10 --seed 7`; exit 1 if it finds one."""

import argparse
import asyncio
import logging
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from taskfish.cli.temporal_server import development_server
from taskfish.encryption import generate_key
from tests.chaos.plans import Plan, PlanSize, draw_plan
from tests.chaos.requested import Requested
from tests.chaos.rounds import Round, play
from tests.chaos.site import Site, open_site
from tests.chaos.verdicts import Violation

SIZE = PlanSize(changes=14, faults=10, seconds=4)


@dataclass
class Tally:
    """What a run has seen so far."""

    rounds: int = 0
    operations: int = 0
    sendings: int = 0
    executions: int = 0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    requested: list[Requested] = field(default_factory=list)

    def add(self, plan: Plan, played: Round) -> None:
        """Count a round."""
        self.rounds += 1
        self.operations += len(played.requested)
        self.sendings += sum(each.sendings for each in played.requested)
        self.executions += played.executions
        self.slowest = max(self.slowest, played.slowest)
        self.faults.update(fault.kind for fault in plan.faults)
        self.states += played.states
        self.violations += played.violations
        self.requested += played.requested

    def count(self, kind: str) -> int:
        """Return how many violations of a kind there were."""
        return sum(violation.kind == kind for violation in self.violations)

    def line(self, site: Site, left: float) -> str:
        """Return the run so far in one line."""
        kills = sum(site.worker.deaths.values()) + sum(site.api.deaths.values())
        return (
            f"{left:4.0f} s left: {self.rounds} rounds, {self.operations} operations, "
            f"{kills} kills, {self.executions} executions, "
            f"{len(self.violations)} violations"
        )


async def main(options: argparse.Namespace) -> int:
    """Run rounds until the time is over, or the one plan; return the exit code."""
    console = Console(soft_wrap=True)
    console.print(f"seed {options.seed}", highlight=False)
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="taskfish-chaos-") as folder:
        key = SecretStr(generate_key())
        async with (
            development_server() as address,
            open_site(address, Path(folder), key) as site,
        ):
            await _run(options, site, tally, console)
            await _read_all_again(tally)
            console.print(_table(tally, site))
    return 1 if tally.violations else 0


async def _run(
    options: argparse.Namespace, site: Site, tally: Tally, console: Console
) -> None:
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        plan = _plan(options, tally.rounds)
        played = await play(site, plan)
        tally.add(plan, played)
        console.print(tally.line(site, max(0, end - time.monotonic())))
        if played.violations:
            for violation in played.violations:
                console.print(f"{violation.kind}: {violation.text}", markup=False)
            console.print(f"--plan '{plan.model_dump_json()}'", markup=False)
        if options.plan:
            return


def _plan(options: argparse.Namespace, number: int) -> Plan:
    if options.plan:
        return Plan.model_validate_json(options.plan)
    seed = f"{options.seed}:{number}"
    return draw_plan(Random(seed), SIZE, f"r{number}")


async def _read_all_again(tally: Tally) -> None:
    """Read every task of the run once more: none may be gone or otherwise."""
    for requested in tally.requested:
        known = len(requested.trace.wrong)
        was_lost = requested.trace.lost
        await requested.read()
        if requested.trace.lost and not was_lost:
            text = f"{requested.task_id} was not there at the end"
            tally.violations.append(Violation(kind="lost", text=text))
        tally.violations += [
            Violation(kind="wrong end", text=f"{requested.task_id}: {wrong}")
            for wrong in requested.trace.wrong[known:]
        ]


def _table(tally: Tally, site: Site) -> Table:
    table = Table("what", "how many", title="Chaos")
    table.add_row("operations tried", str(tally.operations))
    table.add_row("requests sent for them", str(tally.sendings))
    for name, process in (("worker", site.worker), ("api", site.api)):
        for how, times in sorted(process.deaths.items()):
            table.add_row(f"{name} {how}", str(times))
    for kind, times in sorted(tally.faults.items()):
        if not kind.startswith("kill"):
            table.add_row(f"fault: {kind}", str(times))
    table.add_row("executions at the machines", str(tally.executions))
    for state, times in sorted(tally.states.items()):
        table.add_row(f"ended {state}", str(times))
    table.add_row("slowest end after the last fault", f"{tally.slowest:.1f} s")
    for kind in ("repeated", "lost", "wrong end"):
        table.add_row(f"{kind} (must be 0)", str(tally.count(kind)))
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--plan", help="one round, as a failed one was told")
    return parser.parse_args()


if __name__ == "__main__":
    logging.getLogger("httpx").setLevel(logging.WARNING)
    code = asyncio.run(main(_options()))
    sys.stdout.flush()
    sys.stderr.flush()
    # A process that has used Temporal's runtime may crash at its own end.
    os._exit(code)
