"""Plans in files: YAML 1.2, of which JSON is a part."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from taskfish.errors import TaskfishError

STANDARD_INPUT = Path("-")
_TAG = "tag:yaml.org,2002:"
_FIRST = "-+0123456789."
_RESOLVED = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", _FIRST),
    "float": (
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        _FIRST,
    ),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
}
"""YAML 1.2's core schema. In 1.1, PyYAML's own, On is true, and 12:30 is 750."""


class PlanFileError(TaskfishError):
    """The file has no plan in it; the text says why."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Makes plain data, of which each name occurs once in its object."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(name) for name, _ in node.value]
        for name in names:
            if not isinstance(name, str) or names.count(name) > 1:
                why = f"{name!r} occurs twice, or is no text"
                raise yaml.MarkedYAMLError(problem=why, problem_mark=node.start_mark)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


for _name, (_pattern, _letters) in _RESOLVED.items():
    _whole = re.compile(f"^(?:{_pattern})$")
    _first = [letter.strip("\0") for letter in _letters]
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", _whole, _first)


def read_plan(file: Path) -> dict[str, Any]:
    """Return the body that a file holds: a plan, or its steps alone.

    Raises PlanFileError for one that cannot be read, or could not be sent.
    """
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else file.read_text("utf-8")
        found = yaml.load(text, _Loader)  # A SafeLoader.
        body = {"Steps": found} if isinstance(found, list) else found
        json.dumps(body, allow_nan=False)
    except OSError as error:
        raise PlanFileError(f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        words = " ".join(str(error).split())
        raise PlanFileError(f"{file} is no plan: {words}") from error
    if not isinstance(body, dict):
        raise PlanFileError(f"{file} is no plan: there are no Steps in it")
    return body
