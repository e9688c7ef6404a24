from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue
from temporalio.testing import ActivityEnvironment

from activities.state_waiting import Settling
from taskfish.redfish.conditions import Condition

AGAIN = Condition(pointer="/LastResetTime", value="before", test="is_not")
ON = Condition(pointer="/PowerState", value="On", proof=AGAIN, settles=30)


def counted(*shown: tuple[str, str | None], waited: float = 0.0) -> list[bool]:
    """Say of each state, shown one after the other, whether it ends the wait."""
    env, settling = ActivityEnvironment(), Settling(ON)
    began = datetime.now(UTC) - timedelta(seconds=waited)
    env.info = replace(env.info, scheduled_time=began)
    bodies: list[JsonValue] = [
        {"PowerState": power, "LastResetTime": last} for power, last in shown
    ]
    return [bool(env.run(settling.counts, body)) for body in bodies]


def test_state_from_before_does_not_count() -> None:
    assert counted(("On", "before"), ("On", "before")) == [False, False]


def test_state_counts_with_its_proof() -> None:
    assert counted(("On", "before"), ("On", "after")) == [False, True]


def test_state_counts_after_another_one() -> None:
    assert counted(("Off", None), ("On", None)) == [False, True]


def test_state_counts_once_it_has_settled() -> None:
    assert counted(("On", None), waited=29) == [False]
    assert counted(("On", None), waited=31) == [True]
