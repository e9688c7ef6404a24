"""Values of earlier answers in later requests: `${create-volume#/Body/Id}`.

What stands before the `#` is a step; behind it is a JSON pointer (RFC 6901) into what
is known of its end: `{"StatusCode": …, "Location": …, "Body": …}`. A text that is one
expression and nothing else becomes the value itself, of whatever type; `$${` is a `${`.
"""

import re
from collections.abc import Mapping
from typing import cast

from jsonpointer import JsonPointer, JsonPointerException
from pydantic import JsonValue

_EXPRESSION = re.compile(r"\$\$\{|\$\{(?P<step>[A-Za-z0-9_.-]+)#(?P<pointer>[^}]*)\}")
_POINTER = re.compile(r"/(?:StatusCode|Location|Body(?:/(?:[^~]|~[01])*)?)")
ANY = "any"
"""What stands for a value that is not known yet, in a URI."""


class ExpressionError(ValueError):
    """An answer has no such value; the text says which and what it has instead."""


def steps_in(value: JsonValue) -> frozenset[str]:
    """Return the names of the steps that a value's texts refer to."""
    if isinstance(value, dict):
        return frozenset[str]().union(*map(steps_in, value.values()))
    if isinstance(value, list):
        return frozenset[str]().union(*map(steps_in, value))
    if not isinstance(value, str):
        return frozenset()
    found = (each["step"] for each in _EXPRESSION.finditer(value))
    return frozenset(step for step in found if step)


def expression_faults(value: JsonValue) -> list[str]:
    """Return what is wrong with the expressions in a value's texts, in words."""
    if isinstance(value, dict):
        return [fault for item in value.values() for fault in expression_faults(item)]
    if isinstance(value, list):
        return [fault for item in value for fault in expression_faults(item)]
    if not isinstance(value, str):
        return []
    faults = [
        f"{found[0]} points into none of /StatusCode, /Location and /Body"
        for found in _EXPRESSION.finditer(value)
        if found["step"] and not _POINTER.fullmatch(found["pointer"])
    ]
    if has_unread(value):
        faults.append(
            "it has a ${ that begins no expression like ${step#/Body/Id}: as a mere "
            "text it is $${"
        )
    return faults


def has_unread(text: str) -> bool:
    """Say whether a text has a `${` that is no expression."""
    return "${" in _EXPRESSION.sub("", text)


def filled(value: JsonValue, answers: Mapping[str, JsonValue]) -> JsonValue:
    """Return a copy of a value with its expressions replaced.

    Raises `ExpressionError` for what no answer has.
    """
    if isinstance(value, dict):
        return {name: filled(item, answers) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, answers) for item in value]
    if not isinstance(value, str):
        return value
    whole = _EXPRESSION.fullmatch(value)
    if whole and whole["step"]:
        return _value(whole, answers)
    return filled_text(value, answers)


def filled_text(text: str, answers: Mapping[str, JsonValue]) -> str:
    """Return a text with its expressions replaced: by texts and numbers only."""

    def replacement(found: re.Match[str]) -> str:
        if not found["step"]:
            return "${"
        value = _value(found, answers)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ExpressionError(f"{found[0]} is no text")
        return str(value)

    return _EXPRESSION.sub(replacement, text)


def with_any(uri: str) -> str:
    """Return a URI with each expression replaced by a word that stands for any."""
    return _EXPRESSION.sub(ANY, uri)


def _value(found: re.Match[str], answers: Mapping[str, JsonValue]) -> JsonValue:
    if found["step"] not in answers:
        raise ExpressionError(f"the step {found['step']} has no answer yet")
    try:
        value = JsonPointer(found["pointer"]).resolve(answers[found["step"]])
    except JsonPointerException as error:
        raise ExpressionError(
            f"the answer to {found['step']} has no {found['pointer'] or 'value'}"
        ) from error
    return cast(JsonValue, value)
