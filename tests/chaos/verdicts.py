"""What must hold of every change, whatever went wrong."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from taskfish.plugins.emulator import Emulator
from taskfish.plugins.machine.executions import Execution
from tests.chaos.changes import Mark, mark_of, volumes_named
from tests.chaos.requested import Requested

_OVERDUE, _ENDED_LATE = "did not end within", "its source ended its task as"
"""What an overdue task says that was sent, and one whose source has ended it then:
else the source may go on."""
UNDONE = ("cancelled", "forgotten")


class Violation(BaseModel):
    """One thing that must not be: sent twice, lost, or ended otherwise than it went."""

    kind: Literal["repeated", "lost", "wrong end"]
    text: str


def judge(emulator: Emulator, all_requested: Sequence[Requested]) -> list[Violation]:
    """Compare what the tasks say with what the machines did."""
    executed: dict[Mark, list[Execution]] = defaultdict(list)
    for execution in emulator.executions():
        executed[mark_of(execution)].append(execution)
    groups: dict[Mark, list[Requested]] = defaultdict(list)
    for requested in all_requested:
        groups[requested.request.mark].append(requested)
    found = [
        _violation("repeated", f"{mark}: executed, and nobody has asked for it")
        for mark in executed.keys() - groups.keys()
    ]
    for mark, group in groups.items():
        found += _judge_group(emulator, group, executed[mark])
    return found


def _judge_group(
    emulator: Emulator, group: list[Requested], executed: list[Execution]
) -> list[Violation]:
    """Judge the changes that nothing tells from one another, most often one."""
    found = [violation for each in group for violation in _judge_readings(each)]
    method = group[0].request.method
    if method in ("POST", "DELETE") and len(executed) > len(group):
        count = f"{len(executed)} executions of {len(group)}"
        found.append(_violation("repeated", f"{group[0].request.mark}: {count}"))
    if len(group) == 1 and not found:
        problem = _wrong_end(emulator, group[0], executed)
        if problem:
            found.append(_told(group[0], "wrong end", f"{problem}; {_seen(executed)}"))
    return found


def _judge_readings(requested: Requested) -> list[Violation]:
    trace = requested.trace
    if requested.is_rejected:
        return []
    if requested.refusal:
        return [_told(requested, "wrong end", f"refused: {requested.refusal}")]
    found = [_told(requested, "wrong end", wrong) for wrong in trace.wrong]
    if trace.lost:
        found.append(_told(requested, "lost", "its task was not there"))
    if not trace.ended:
        found.append(_told(requested, "lost", f"it lies open as {trace.state}"))
    return found


def _wrong_end(
    emulator: Emulator, requested: Requested, executed: list[Execution]
) -> str:
    """Say what the task's end claims that is not so; empty if all is true."""
    outcomes = {execution.outcome for execution in executed}
    if requested.is_rejected:
        return "rejected, yet done" if executed else ""
    match requested.trace.state:
        case "Completed":
            return _wrong_completion(emulator, requested, executed)
        case "Cancelled":
            return "" if outcomes <= set(UNDONE) else "cancelled, yet done"
        case "Exception":
            return _wrong_exception(requested, outcomes)
    return _wrong_killing(requested, outcomes)


def _wrong_completion(
    emulator: Emulator, requested: Requested, executed: list[Execution]
) -> str:
    machine = emulator.machines[requested.change.machine]
    volumes = volumes_named(machine, requested.change.name)
    match requested.change.kind:
        case "volume" | "volume_on_reset":
            return "" if volumes == 1 else f"completed, and {volumes} volumes are there"
        case "volume_deletion":
            return "completed, and the volume is there" if volumes else ""
    return "" if executed else "completed, and never executed"


def _wrong_exception(requested: Requested, outcomes: set[str]) -> str:
    words = requested.trace.words
    if "is unknown" in words:
        return "" if "Read /redfish/v1/" in words else "it does not say how to check"
    if _OVERDUE in words and _ENDED_LATE not in words:
        return ""
    undone = {"failed", *UNDONE} if _OVERDUE in words else {"failed"}
    if not outcomes <= undone:
        return "it says that nothing was done, or not what"
    return ""


def _wrong_killing(requested: Requested, outcomes: set[str]) -> str:
    """A killed task does not know what becomes of it, unless nothing was sent."""
    if requested.change.kill_after is None:
        return "it was killed by nobody"
    if outcomes and "Nothing had been sent" in requested.trace.words:
        return "killed before it was sent, yet done"
    return ""


def _seen(executed: list[Execution]) -> str:
    outcomes = [execution.outcome for execution in executed]
    return f"executions: {', '.join(outcomes) or 'none'}"


def _told(
    requested: Requested, kind: Literal["lost", "wrong end"], text: str
) -> Violation:
    task, change = requested.task_id, requested.change
    told = f"{change.kind} {change.name} at {change.machine} ({task}): {text}"
    states = " → ".join(requested.trace.states)
    return _violation(kind, f"{told}; {states}; it says: {requested.trace.words}")


def _violation(kind: Literal["repeated", "lost", "wrong end"], text: str) -> Violation:
    return Violation(kind=kind, text=text)
