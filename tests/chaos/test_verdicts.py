"""The judge of chaos notices every lie: it is the proof's own proof."""

from typing import Any

import httpx
import pytest

from taskfish.plugins.emulator import Emulator
from taskfish.plugins.machine.modes import Modes
from tests.chaos.changes import make_request
from tests.chaos.plans import Kind, PlannedChange
from tests.chaos.requested import Requested
from tests.chaos.traces import Trace
from tests.chaos.verdicts import judge

OVERDUE = "The change did not end within 1 s; its source goes on with its task."
UNKNOWN = "The outcome is unknown. Read /redfish/v1/Systems/bmc1.1/Storage/1/Volumes."


@pytest.fixture
def emulator() -> Emulator:
    """Give machines that do at once what they are asked for."""
    return Emulator(systems=1, bmcs=1, modes=Modes(seconds=0, answer="sync"))


async def requested(
    emulator: Emulator,
    state: str,
    *,
    words: str = "",
    kind: Kind = "volume",
    executions: int = 0,
    **planned: Any,
) -> Requested:
    """Return a change that was executed so often, and whose task has ended so."""
    change = PlannedChange(
        kind=kind, machine="bmc1", name="data", reset_type="ForceRestart", **planned
    )
    machine = emulator.machines["bmc1"]
    request = await make_request(change, machine)
    for _ in range(executions):
        uri = request.uri.replace("bmc1.1", "1")
        body = {name: value for name, value in (request.body or {}).items()}
        body.pop("Links", None)
        await machine.change(request.method, uri, body)
    found = Requested(httpx.AsyncClient(), change, request)
    message = {"Message": words}
    found.trace.note(reading(TaskState=state, Messages=[message]))
    return found


def reading(**task: Any) -> httpx.Response:
    """Return an answer with a Task."""
    return httpx.Response(200, json=task)


@pytest.mark.parametrize(
    ("state", "words", "kind", "executions"),
    [
        ("Completed", "", "volume", 1),
        ("Completed", "", "reset", 1),
        ("Completed", "", "volume_deletion", 1),
        ("Cancelled", "", "volume", 0),
        ("Exception", "It was not sent.", "volume", 0),
        ("Exception", UNKNOWN, "volume", 1),
        ("Exception", UNKNOWN, "volume", 0),
        ("Exception", OVERDUE, "volume", 1),
    ],
)
async def test_true_ends_pass(
    emulator: Emulator, state: str, words: str, kind: Kind, executions: int
) -> None:
    one = await requested(
        emulator, state, words=words, kind=kind, executions=executions
    )
    assert judge(emulator, [one]) == []


@pytest.mark.parametrize(
    ("state", "words", "kind", "executions", "verdict"),
    [
        ("Completed", "", "volume", 2, "repeated"),
        ("Exception", UNKNOWN, "reset", 2, "repeated"),
        ("Completed", "", "volume", 0, "wrong end"),
        ("Completed", "", "reset", 0, "wrong end"),
        ("Completed", "", "volume_deletion", 0, "wrong end"),
        ("Cancelled", "", "volume", 1, "wrong end"),
        ("Exception", "It was not sent.", "volume", 1, "wrong end"),
        ("Exception", "The outcome is unknown.", "volume", 1, "wrong end"),
        ("Killed", "", "volume", 0, "wrong end"),
        ("Running", "", "volume", 1, "lost"),
    ],
)
async def test_lies_are_noticed(
    emulator: Emulator,
    state: str,
    words: str,
    kind: Kind,
    executions: int,
    verdict: str,
) -> None:
    one = await requested(
        emulator, state, words=words, kind=kind, executions=executions
    )
    assert verdict in [violation.kind for violation in judge(emulator, [one])]


@pytest.mark.parametrize(
    ("words", "executions", "wrong"),
    [
        ("Nothing had been sent to the source.", 0, 0),
        ("Nothing had been sent to the source.", 1, 1),
        ("It may have been sent to the source.", 1, 0),
    ],
)
async def test_killed_task_may_say_that_nothing_was_sent_if_so(
    emulator: Emulator, words: str, executions: int, wrong: int
) -> None:
    killed = await requested(
        emulator, "Killed", words=words, executions=executions, kill_after=0.5
    )
    assert len(judge(emulator, [killed])) == wrong


@pytest.mark.parametrize(("executions", "wrong"), [(0, 0), (1, 1)])
async def test_rejected_change_is_not_to_be_made(
    emulator: Emulator, executions: int, wrong: int
) -> None:
    change = await requested(emulator, "", executions=executions, conflict="reject")
    change.is_rejected = True
    assert len(judge(emulator, [change])) == wrong


async def test_execution_that_nobody_asked_for_is_noticed(emulator: Emulator) -> None:
    await requested(emulator, "Completed", executions=1)
    (violation,) = judge(emulator, [])
    assert violation.kind == "repeated"


async def test_reset_is_not_to_be_seen_in_another_one(emulator: Emulator) -> None:
    other = await requested(emulator, "Completed", kind="reset", executions=1)
    change = PlannedChange(
        kind="reset", machine="bmc1", name="b", reset_type="PowerCycle"
    )
    request = await make_request(change, emulator.machines["bmc1"])
    lost = Requested(httpx.AsyncClient(), change, request)
    lost.trace.note(reading(TaskState="Completed", Messages=[]))
    assert [found.kind for found in judge(emulator, [other, lost])] == ["wrong end"]


async def test_task_that_is_gone_is_lost(emulator: Emulator) -> None:
    one = await requested(emulator, "Completed", executions=1)
    one.trace.note(httpx.Response(404))
    assert [violation.kind for violation in judge(emulator, [one])] == ["lost"]


@pytest.mark.parametrize(
    ("readings", "wrong"),
    [
        ([("Running", 50), ("Running", 30)], 1),
        ([("Completed", 100), ("Running", 100)], 1),
        ([("Cancelled", 10), ("Completed", 100)], 1),
        ([("Running", 50), ("Interrupted", 50), ("Completed", 100)], 0),
    ],
)
def test_what_goes_back_is_noticed(readings: list[tuple[str, int]], wrong: int) -> None:
    trace = Trace()
    for state, percent in readings:
        trace.note(reading(TaskState=state, PercentComplete=percent))
    assert len(trace.wrong) == wrong


def test_error_instead_of_a_task_is_noticed() -> None:
    trace = Trace()
    trace.note(httpx.Response(500))
    trace.note(httpx.Response(503))
    assert len(trace.wrong) == 1
