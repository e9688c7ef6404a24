"""What has happened how often: keys that wait, keys that go, room that is bounded."""

import pytest

from api.moving_window import MovingWindow
from taskfish.rates import Rate


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def window_of(clock: Clock, amount: int = 2, most_keys: int = 3) -> MovingWindow:
    return MovingWindow(Rate(amount, 60), most_keys, clock)


def test_key_waits_until_its_oldest_time_has_passed(clock: Clock) -> None:
    window = window_of(clock)
    window.note("eve")
    clock.now += 20
    assert window.seconds_to_wait("eve") == 0
    window.note("eve")
    assert window.seconds_to_wait("eve") == 40
    assert window.seconds_to_wait("adam") == 0
    clock.now += 40
    assert window.seconds_to_wait("eve") == 0
    window.note("eve")
    assert window.seconds_to_wait("eve") == 20


def test_no_more_times_are_kept_than_count(clock: Clock) -> None:
    window = window_of(clock)
    for _ in range(1000):
        window.note("eve")
    clock.now += 60
    assert window.seconds_to_wait("eve") == 0


def test_keys_go_with_their_last_time(clock: Clock) -> None:
    window = window_of(clock, most_keys=100_000)
    for number in range(10_000):
        window.note(str(number))
    clock.now += 30
    window.note("0")
    assert len(window) == 10_000
    clock.now += 30
    window.note("eve")
    assert len(window) == 2


def test_ever_new_keys_do_not_push_out_one_that_has_to_wait(clock: Clock) -> None:
    window = window_of(clock)
    for _ in range(2):
        window.note("eve")
    for number in range(1000):
        window.note(str(number))
    assert len(window) == 3
    assert window.seconds_to_wait("eve") == 60


def test_oldest_of_equal_keys_goes_when_there_are_too_many(clock: Clock) -> None:
    window = window_of(clock, amount=1)
    for key in ("a", "b", "c", "a", "d"):
        window.note(key)
    waiting = [key for key in "abcd" if window.seconds_to_wait(key)]
    assert waiting == ["a", "c", "d"]
