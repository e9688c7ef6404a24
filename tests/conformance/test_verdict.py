"""When `make conformance` fails, and when it does not."""

import pytest

from tests.conformance.verdict import verdict

GOOD = [
    "protocol pass=1 warn=2 fail=0 nottested=3",
    "service pass=10 warn=0 fail=0 nottested=0",
    "interop pass=10 warn=0 fail=0 nottested=0",
]
STREAM = "FAIL SERV_SSE_CLOSE_CONNECTION x2 GET /redfish/v1/SSE: it stays open"
LOGIN = "FAIL SEC_BASIC_AUTH_STANDALONE x1 GET /redfish/v1/: no"


def test_three_lines_without_failures_are_good() -> None:
    assert verdict(GOOD, ["WARN PROTO_ETAG x1 GET /: none"]).is_good


def test_warnings_and_what_is_not_tested_do_not_fail() -> None:
    lines = [line.replace("warn=0", "warn=99") for line in GOOD]
    assert verdict(lines, []).is_good


@pytest.mark.parametrize("number", range(3))
def test_failure_of_any_tool_is_one(number: int) -> None:
    lines = list(GOOD)
    lines[number] = lines[number].replace("fail=0", "fail=1")
    assert not verdict(lines, [LOGIN]).is_good


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
    found = verdict([line, *GOOD[1:]], [])
    assert found.complaints == ("protocol: no numbers",)


def test_tool_that_was_not_asked_for_is_not_missed() -> None:
    assert verdict(GOOD[1:2], [], ["service"]).is_good
    assert not verdict([], [], ["service"]).is_good


def test_streams_are_excepted_until_they_are_there() -> None:
    lines = [GOOD[0].replace("fail=0", "fail=2"), *GOOD[1:]]
    found = verdict(lines, [STREAM])
    assert found.is_good
    assert found.excepted == ("SERV_SSE_CLOSE_CONNECTION",)


def test_other_failure_beside_an_excepted_one_counts() -> None:
    lines = [GOOD[0].replace("fail=0", "fail=3"), *GOOD[1:]]
    assert verdict(lines, [STREAM, LOGIN]).complaints == ("protocol: 1 failed",)
