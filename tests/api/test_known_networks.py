"""Networks of right logins: known for a day, and not more than there is room for."""

import pytest

from api.known_networks import KNOWN_SECONDS, MOST_NETWORKS, KnownNetworks


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_login_is_known_for_a_day(clock: Clock) -> None:
    known = KnownNetworks(clock)
    known.note("eve", "192.0.2.1")
    clock.now += KNOWN_SECONDS - 1
    assert ("eve", "192.0.2.1") in known
    assert ("eve", "192.0.2.2") not in known
    assert ("adam", "192.0.2.1") not in known
    clock.now += 1
    assert ("eve", "192.0.2.1") not in known


def test_next_login_prolongs_it(clock: Clock) -> None:
    known = KnownNetworks(clock)
    for _ in range(2):
        known.note("eve", "192.0.2.1")
        clock.now += KNOWN_SECONDS - 1
    assert ("eve", "192.0.2.1") in known


def test_names_go_after_a_day(clock: Clock) -> None:
    known = KnownNetworks(clock)
    for number in range(100):
        known.note(f"name{number}", "192.0.2.1")
    clock.now += KNOWN_SECONDS
    known.note("eve", "192.0.2.1")
    assert len(known) == 1


def test_account_with_many_networks_takes_no_room_of_another(clock: Clock) -> None:
    known = KnownNetworks(clock)
    known.note("admin", "192.0.2.1")
    for number in range(3 * MOST_NETWORKS):
        known.note("eve", f"2001:db8:0:{number:x}::/64")
        known.note("eve", "192.0.2.2")
    assert len(known) == MOST_NETWORKS + 1
    assert ("admin", "192.0.2.1") in known
    assert ("eve", "192.0.2.2") in known
    assert ("eve", "2001:db8::/64") not in known
