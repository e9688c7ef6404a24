"""Workflow files bring nothing into the sandbox but on purpose (style guide 4.5)."""

import ast
import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from temporalio import workflow
from temporalio.worker.workflow_sandbox import (
    SandboxedWorkflowRunner,
    SandboxRestrictions,
)
from temporalio.worker.workflow_sandbox._restrictions import (
    UnintentionalPassthroughError,
)
from temporalio.workflow import SandboxImportNotificationPolicy

from workflows.operations import step_workflows

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "workflows").glob("*.py"))
PACKAGES = ("activities", "api", "taskfish", "workflows")
RUNNER = SandboxedWorkflowRunner(
    restrictions=dataclasses.replace(
        SandboxRestrictions.default,
        import_notification_policy=(
            SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
        ),
    )
)
PLANTED = """
from temporalio import workflow
{outside}
with workflow.unsafe.imports_passed_through():
    {inside}

@workflow.defn
class Planted:
    @workflow.run
    async def run(self) -> None:
        return None
"""


def definitions(module: ModuleType) -> list[workflow._Definition]:
    """Return the workflows that a module defines, not those that it imports."""
    return [
        definition
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
        if (definition := workflow._Definition.from_class(value)) is not None
    ]


@pytest.fixture
def planting(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the name of a module that a test may write into `tmp_path`."""
    name = f"planted_{abs(hash(request.node.name))}"
    sys.path.insert(0, str(tmp_path))
    yield name
    sys.path.remove(str(tmp_path))
    sys.modules.pop(name, None)


def planted(name: str, folder: Path, outside: str, inside: str) -> workflow._Definition:
    """Write a workflow file with these imports and return its workflow."""
    text = PLANTED.format(outside=outside, inside=inside)
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    (definition,) = definitions(importlib.import_module(name))
    return definition


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_workflow_file_loads_in_the_sandbox(file: Path) -> None:
    module = importlib.import_module(f"workflows.{file.stem}")
    for definition in definitions(module):
        RUNNER.prepare_workflow(definition)
        assert definition.sandboxed


def test_every_registered_workflow_is_looked_at() -> None:
    source = ast.parse((ROOT / "worker.py").read_text())
    registered = {
        name.id
        for call in ast.walk(source)
        if isinstance(call, ast.keyword) and call.arg == "workflows"
        for name in ast.walk(call.value)
        if isinstance(name, ast.Name)
    }
    registered.remove("step_workflows")
    # Other tests register operations of their own.
    registered |= {
        each.__name__
        for each in step_workflows()
        if each.__module__.startswith("workflows.")
    }
    found = {
        definition.cls.__name__
        for file in FILES
        for definition in definitions(importlib.import_module(f"workflows.{file.stem}"))
    }
    assert found == registered


@pytest.mark.parametrize(
    "line",
    [
        "import httpx",
        "from activities.submission import NotSent",
        "from workflows import policies",
        "from taskfish.redfish.task import Answer",
    ],
)
async def test_planted_import_is_found(
    planting: str, tmp_path: Path, line: str
) -> None:
    definition = planted(planting, tmp_path, outside=line, inside="import json")
    with pytest.raises(UnintentionalPassthroughError):
        RUNNER.prepare_workflow(definition)


async def test_import_on_purpose_is_let_through(planting: str, tmp_path: Path) -> None:
    line = "from activities.submission import NotSent"
    definition = planted(planting, tmp_path, outside="import json", inside=line)
    RUNNER.prepare_workflow(definition)


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_run_no_code_when_imported(package: str) -> None:
    """What stands in `workflows/__init__.py` would run for every workflow."""
    for file in (ROOT / package).rglob("__init__.py"):
        assert file.read_text() == "", file
