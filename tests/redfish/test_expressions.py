"""Values of earlier answers in later requests."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskfish.redfish.expressions import (
    ExpressionError,
    expression_faults,
    filled,
    filled_text,
    steps_in,
    with_any,
)

ANSWERS: dict[str, Any] = {
    "look": {
        "StatusCode": 200,
        "Location": None,
        "Body": {"Id": "7", "Size": 12, "On": True, "Members": [{"a/b": 1}], "": 5},
    }
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${look#/Body/Id}", "7"),
        ("${look#/Body/Size}", 12),
        ("${look#/Body/On}", True),
        ("${look#/Body/Members}", [{"a/b": 1}]),
        ("${look#/Body/Members/0/a~1b}", 1),
        ("${look#/Body/}", 5),
        ("${look#/Location}", None),
        ("${look#/StatusCode}", 200),
        ("v-${look#/Body/Id}-${look#/Body/Size}", "v-7-12"),
        ("$${look#/Body/Id}", "${look#/Body/Id}"),
        ("$$${look#/Body/Id}", "$${look#/Body/Id}"),
        ("a $ {b}", "a $ {b}"),
    ],
)
def test_expression_becomes_its_value(text: str, value: object) -> None:
    assert filled(text, ANSWERS) == value
    assert filled({"a": [text]}, ANSWERS) == {"a": [value]}


@pytest.mark.parametrize(
    "text",
    [
        "${other#/Body}",
        "${look#/Body/Nothing}",
        "${look#/Body/Members/1}",
        "${look#/Body/Members/x}",
        "v-${look#/Body/Members}",
        "v-${look#/Body/On}",
        "v-${look#/Location}",
        "${look#Body}",
    ],
)
def test_missing_value_says_what_is_missing(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"other|look"):
        filled(text, ANSWERS)


@pytest.mark.parametrize(
    "value",
    [
        "${look#/Bdy/Id}",
        "${look#Location}",
        "${look#}",
        "${look#/Location/x}",
        "${look#/Body/~2}",
        "${look}",
        "${ look#/Body}",
        "a${",
        {"a": ["${look#/Body"]},
    ],
)
def test_what_can_never_have_a_value_is_a_fault(value: Any) -> None:
    assert len(expression_faults(value)) == 1


def test_several_faults_are_told() -> None:
    assert len(expression_faults({"a": "${x#/y} ${z#}", "b": ["${"]})) == 3
    assert expression_faults(["${x#/Body/a~0b~1c}", "$${", None, 7]) == []


@given(JSON)
def test_value_without_expressions_stays_as_it_is(value: Any) -> None:
    escaped = _escaped(value)
    assert filled(escaped, ANSWERS) == value
    assert expression_faults(escaped) == []
    assert steps_in(escaped) == frozenset()


@given(st.text(), st.text())
def test_any_stands_for_what_is_not_known(before: str, after: str) -> None:
    text = f"{_escaped(before)}!${{look#/Body/Id}}!{_escaped(after)}"
    assert steps_in(text) == {"look"}
    assert "any" in with_any(text)
    assert filled_text(text, ANSWERS) == f"{before}!7!{after}"


def _escaped(value: Any) -> Any:
    """Return a value whose texts mean themselves."""
    if isinstance(value, dict):
        return {name: _escaped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
