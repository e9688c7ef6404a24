"""What a node says of its power, derived from its tasks."""

from datetime import UTC, datetime, timedelta

import pytest

from api.baremetal.power import power_of
from api.baremetal.power_tasks import PowerTask
from taskfish.redfish.inventory import Member
from taskfish.redfish.task import TaskState

START = datetime(2027, 1, 1, tzinfo=UTC)
SYSTEM = Member(source="a", collection="Systems", id="1", power_state="On")
DONE, FAILED = TaskState.COMPLETED, TaskState.EXCEPTION
ABORTED, RUNNING = TaskState.CANCELLED, TaskState.RUNNING


def task(
    reset_type: str, state: TaskState, started: int, ended: int | None = None
) -> PowerTask:
    """Return a task with its times in seconds."""
    return PowerTask(
        id=f"{reset_type}-{started}",
        run_id=f"run-{started}",
        uri=SYSTEM.uri,
        reset_type=reset_type,
        owner="eve",
        state=state,
        started=START + timedelta(seconds=started),
        ended=None if ended is None else START + timedelta(seconds=ended),
        words="so it was",
    )


def power(*tasks: PowerTask, since: int = 0) -> tuple[str | None, str | None, str]:
    """Return state, target and last error, from tasks given in order."""
    found = power_of(SYSTEM, tasks[::-1], START + timedelta(seconds=since))
    return found.state, found.target, found.last_error or ""


def test_node_without_tasks_is_as_it_was_last_seen() -> None:
    assert power() == ("power on", None, "")


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ("On", "power on"),
        ("PoweringOn", "power on"),
        ("Off", "power off"),
        ("PoweringOff", "power off"),
        ("Paused", None),
        (None, None),
    ],
)
def test_power_state_is_in_ironics_words(seen: str | None, state: str | None) -> None:
    system = SYSTEM.model_copy(update={"power_state": seen})
    assert power_of(system, [], START).state == state


@pytest.mark.parametrize(
    ("reset_type", "target"),
    [
        ("On", "power on"),
        ("ForceOff", "power off"),
        ("ForceRestart", "power on"),
        ("GracefulShutdown", "soft power off"),
        ("GracefulRestart", "soft rebooting"),
        ("Nmi", "inject nmi"),
        ("PushPowerButton", None),
    ],
)
def test_change_under_way_has_a_target(reset_type: str, target: str | None) -> None:
    assert power(task(reset_type, RUNNING, 0)) == ("power on", target, "")


def test_newest_change_under_way_counts() -> None:
    both = task("GracefulShutdown", RUNNING, 0), task("ForceOff", RUNNING, 1)
    assert power(*both)[1] == "power off"


@pytest.mark.parametrize(
    ("reset_type", "named"),
    [("GracefulShutdown", "soft power off"), ("Nmi", "inject nmi")],
)
def test_after_an_abort_the_state_is_error(reset_type: str, named: str) -> None:
    state, target, error = power(task(reset_type, ABORTED, 0, 5))
    assert (state, target) == ("error", None)
    assert error == f"The change to '{named}' was aborted: so it was"


def test_error_goes_when_a_later_change_is_done() -> None:
    aborted = task("GracefulShutdown", ABORTED, 0, 5)
    assert power(aborted, task("On", DONE, 6, 7)) == ("power on", None, "")


def test_error_goes_when_the_change_that_took_its_place_is_done_first() -> None:
    aborted = task("GracefulShutdown", ABORTED, 0, 5)
    assert power(aborted, task("ForceOff", DONE, 3, 4))[0] == "power on"


def test_error_goes_when_an_earlier_change_is_done_later() -> None:
    aborted = task("GracefulShutdown", ABORTED, 1, 5)
    assert power(task("On", DONE, 0, 6), aborted)[0] == "power on"


def test_error_stays_while_a_change_is_under_way_and_when_it_fails() -> None:
    aborted = task("GracefulShutdown", ABORTED, 0, 5)
    for later in (task("On", RUNNING, 6), task("On", FAILED, 6, 7)):
        state, _, error = power(aborted, later)
        assert state == "error"
        assert "aborted" in error


def test_error_goes_with_time_and_its_words_stay() -> None:
    aborted = task("GracefulShutdown", ABORTED, 0, 5)
    assert power(aborted, since=5)[0] == "error"
    state, _, error = power(aborted, since=6)
    assert state == "power on"
    assert "aborted" in error


def test_forced_change_that_was_cancelled_leaves_no_error() -> None:
    assert power(task("ForceOff", ABORTED, 0, 5))[0] == "power on"


def test_failure_is_told_until_the_next_change() -> None:
    failed = task("On", FAILED, 0, 5)
    words = "Failed to change power state to 'power on': so it was"
    assert power(failed) == ("power on", None, words)
    assert power(failed, task("On", RUNNING, 6)) == ("power on", "power on", "")
    assert power(failed, task("On", DONE, 6, 7)) == ("power on", None, "")
