"""The Prefer header is read in a time that only its length decides."""

import time

import pytest

from api.preferences import read_preferences

LENGTH = 1000
BENIGN = ("wait=5; strict, " * LENGTH)[:LENGTH]
TOO_SLOW = 10
"""How many times as long as a harmless header an evil one may take."""


def seconds_for(header: str) -> float:
    """Return the least of some processor times: what else runs does not count."""
    times = []
    for _ in range(9):
        begun = time.thread_time()
        read_preferences([header])
        times.append(time.thread_time() - begun)
    return min(times)


@pytest.mark.parametrize(
    "shape",
    [
        ";b= ",
        ";b=",
        ";b",
        "; ",
        ";",
        " = ",
        ", ",
        ",",
        '"',
        '\\"',
        '" ',
        'a="',
        'a="\\',
        '"\\" ,',
        '="",a',
        '"a",',
        "\t",
        "\\",
    ],
)
@pytest.mark.parametrize("begin", ["a", 'a="'])
@pytest.mark.parametrize("end", ["", '"', "?"])
def test_no_header_takes_long(shape: str, begin: str, end: str) -> None:
    evil = (begin + shape * LENGTH)[: LENGTH - len(end)] + end
    assert seconds_for(evil) < TOO_SLOW * seconds_for(BENIGN)


def test_header_of_the_review_is_ignored_at_once() -> None:
    assert read_preferences(["a;b= " + ";b= " * 100 + '"', "wait=7"]) == {"wait": "7"}
