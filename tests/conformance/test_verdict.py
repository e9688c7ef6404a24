"""When `make conformance` fails, and when it does not."""

import pytest

from tests.conformance.verdict import verdict

GOOD = [
    "protocol pass=1 warn=2 fail=0 nottested=3",
    "service pass=10 warn=0 fail=0 nottested=0",
    "interop pass=10 warn=0 fail=0 nottested=0",
]


def test_three_lines_without_failures_are_good() -> None:
    assert verdict(GOOD).is_good


def test_warnings_and_what_is_not_tested_do_not_fail() -> None:
    lines = [line.replace("warn=0", "warn=99") for line in GOOD]
    assert verdict(lines).is_good


@pytest.mark.parametrize("number", range(3))
def test_failure_of_any_tool_is_one(number: int) -> None:
    lines = list(GOOD)
    lines[number] = lines[number].replace("fail=0", "fail=1")
    assert not verdict(lines).is_good


@pytest.mark.parametrize(
    "line",
    [
        "",
        "protocol gave no report; see protocol.log",
        "the service did not answer at https://127.0.0.1:1; see server.log",
        "protocol pass= warn= fail= nottested=",
    ],
)
def test_tool_without_numbers_is_a_failure(line: str) -> None:
    found = verdict([line, *GOOD[1:]])
    assert found.complaints == ("protocol: no numbers",)


def test_tool_that_was_not_asked_for_is_not_missed() -> None:
    assert verdict(GOOD[1:2], ["service"]).is_good
    assert not verdict([], ["service"]).is_good


def test_failures_are_counted() -> None:
    lines = [GOOD[0].replace("fail=0", "fail=3"), *GOOD[1:]]
    assert verdict(lines).complaints == ("protocol: 3 failed",)
