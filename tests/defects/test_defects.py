"""The defects of the system that came before, each of which must come out right here.

The numbers are those of the research on it (ODIM, its plugin tasks). Each scenario says
how its defect would show.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from tests.defects import following, many, truth
from tests.house import House


class Defect(NamedTuple):
    """One defect; `name` is what is right instead."""

    number: int
    name: str
    scenario: Callable[[House], Awaitable[None]]


DEFECTS = [
    Defect(
        1,
        "plugin that refuses connections is asked again without haste",
        following.refused_connections,
    ),
    Defect(
        2, "task whose end nobody heard is completed", following.lost_terminal_event
    ),
    Defect(
        3,
        "task that is over before it is known is completed",
        following.end_before_the_first_look,
    ),
    Defect(4, "aborted task is an Exception, its monitor not 202", truth.aborted_task),
    Defect(
        5,
        "two resets of one machine end each for itself",
        following.two_resets_of_one_machine,
    ),
    Defect(
        6, "202 without Location hangs nothing", following.accepted_without_location
    ),
    Defect(
        7,
        "task is asked for at its instance, and ends with any 2xx",
        following.instance_that_runs_the_task,
    ),
    Defect(8, "session answered 201 is a session", following.session_of_a_plugin),
    Defect(
        9,
        "message with one argument breaks nothing",
        following.messages_with_too_few_arguments,
    ),
    Defect(10, "failure is never Completed", truth.failures),
    Defect(11, "virtual media answered 200 is completed", truth.virtual_media),
    Defect(12, "invalid request leaves no open task", truth.invalid_requests),
    Defect(13, "changes at once lose nothing of each other", many.changes_at_once),
    Defect(14, "percent rises on the way", truth.percent_on_the_way),
    Defect(15, "ended task still has its Payload", truth.payload_at_the_end),
    Defect(
        16, "plugin that works inside the call is sent it once", many.blocking_calls
    ),
    Defect(17, "queue goes first come, first served", many.queue),
    Defect(18, "deletion ends right", truth.deletions),
    Defect(19, "waiting costs next to nothing", many.waiting),
    Defect(20, "deadline and attempts are bounded", many.bounds),
]


def _id(defect: object) -> str:
    assert isinstance(defect, Defect)
    return f"{defect.number:02} {defect.name}"


@pytest.mark.parametrize("defect", DEFECTS, ids=_id)
async def test_defect_comes_out_right(house: House, defect: Defect) -> None:
    await defect.scenario(house)


def test_every_defect_has_its_case() -> None:
    assert [defect.number for defect in DEFECTS] == list(range(1, 21))
    assert len({defect.scenario for defect in DEFECTS}) == len(DEFECTS)
