"""Every message in the code has the arguments that DMTF's registry gives it."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from taskfish.redfish.messages import (
    BASE,
    HEARTBEAT_EVENT,
    REGISTRIES,
    RESOURCE_EVENT,
    TASK_EVENT,
)
from taskfish.redfish.published_files import REGISTRY_FILES

CODE = Path(__file__).parents[2]
BUILDERS = {
    "refuse": BASE,
    "base_message": BASE,
    "task_message": TASK_EVENT,
    "resource_message": RESOURCE_EVENT,
    "heartbeat_message": HEARTBEAT_EVENT,
}
"""Functions that take a message's key and its arguments → the registry."""


class Call(NamedTuple):
    """One place where a message is built; `arguments` is None for `*args`."""

    place: str
    registry: str
    key: str
    arguments: int | None


def calls() -> Iterator[Call]:
    """Yield every call of a builder whose key stands in the code."""
    for folder in ("activities", "api", "taskfish", "workflows"):
        for file in sorted((CODE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                found = _call(file, node)
                if found is not None:
                    yield found


def _call(file: Path, node: ast.AST) -> Call | None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    registry = BUILDERS.get(node.func.id)
    key = node.args[0] if node.args else None
    if registry is None or not isinstance(key, ast.Constant):
        return None
    starred = any(isinstance(arg, ast.Starred) for arg in node.args)
    place = f"{file.relative_to(CODE)}:{node.lineno}"
    count = None if starred else len(node.args) - 1
    return Call(place, registry, str(key.value), count)


def theirs(dmtf: Path, registry: str) -> dict[str, dict[str, object]]:
    """Return the messages of DMTF's registry."""
    (file,) = (dmtf / "registries").glob(f"{registry}.*.json")
    found: dict[str, dict[str, object]] = json.loads(file.read_text())["Messages"]
    return found


@pytest.mark.parametrize("registry", list(REGISTRIES))
def test_message_has_as_many_arguments_as_its_registry_says(
    dmtf: Path, registry: str
) -> None:
    messages = theirs(dmtf, registry)
    found = [call for call in calls() if call.registry == registry]
    wrong = [
        call
        for call in found
        if call.arguments is not None
        and call.arguments != messages[call.key].get("NumberOfArgs", 0)
    ]
    assert wrong == []
    assert found


def test_every_message_in_the_code_is_one_of_ours() -> None:
    assert [call for call in calls() if call.key not in REGISTRIES[call.registry]] == []


@pytest.mark.parametrize("registry", list(REGISTRIES))
def test_resolution_is_there_where_the_registry_has_one(
    dmtf: Path, registry: str
) -> None:
    messages = theirs(dmtf, registry)
    for key, entry in REGISTRIES[registry].items():
        nothing_to_do = messages[key]["Resolution"] in ("None", "None.")
        assert entry.resolution
        assert nothing_to_do or entry.resolution != "None."


@pytest.mark.parametrize(("name", "registry"), REGISTRY_FILES.items())
def test_published_registry_is_the_one_compared_with(
    dmtf: Path, name: str, registry: str
) -> None:
    (file,) = (dmtf / "registries").glob(f"{registry}.*.json")
    assert file.name == f"{name}.json"
    assert registry in REGISTRIES
