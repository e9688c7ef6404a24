"""The documents are true: their sessions run, every setting is listed."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskfish.settings import Settings
from tests.cli.processes import environment
from tests.cli.running_dev import Running, start

ROOT = Path(__file__).parent.parent
COMMANDS = Path(sys.executable).parent
SESSION = re.compile(r"## A first session\n(.*?)\n## ", re.DOTALL)
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Run `taskfish dev` with its data where the README has them."""
    dev = await start(tmp_path / ".taskfish", "--systems", "1")
    try:
        await dev.until_ready()
        yield dev
    finally:
        await dev.stop()


async def pasted(running: Running, document: str) -> str:
    """Run the first session of a document as a shell does; return what it says."""
    session = SESSION.search((ROOT / document).read_text())
    assert session is not None
    commands = SHELL.findall(session[1])
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        "\n".join(commands),
        cwd=running.directory.parent,
        env=environment() | {"PATH": f"{COMMANDS}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(shell.communicate(), 60)
    assert shell.returncode == 0, errors.decode()
    return output.decode()


async def test_first_session_of_the_readme_runs(running: Running) -> None:
    said = await pasted(running, "README.md")
    for expected in (
        '"@odata.id": "/redfish/v1/Systems/node1.1"',
        "HTTP/1.1 202 Accepted",
        '"TaskState": "Completed"',
        "ActionParameterValueNotInList",
        '"Id": "night-1"',
        "preference-applied: wait=20",
    ):
        assert expected in said


async def test_first_session_with_the_verbs_of_vdsm_runs(running: Running) -> None:
    said = await pasted(running, "docs/vdsm.md")
    for expected in (
        '"id": "restart-1"',
        '"verb": "ComputerSystem.Reset"',
        '"tag": "spm,night"',
        '"taskState": "finished"',
        '"status": "done"',
        '"message": "Task id unknown: restart-1"',
    ):
        assert expected in said


async def test_first_session_with_a_plan_runs(running: Running) -> None:
    said = await pasted(running, "docs/plans.md")
    for expected in (
        "first-plan    0 %  ",
        "first-plan  100 %  Completed\n",
        "Completed: /redfish/v1/TaskService/Tasks/first-plan\n",
        "HTTP/1.1 204 No Content",
    ):
        assert expected in said


def test_every_setting_is_documented() -> None:
    listed = (ROOT / "docs" / "configuration.md").read_text()
    missing = [
        name
        for name in Settings.model_fields
        if f"`TASKFISH_{name.upper()}`" not in listed
    ]
    assert missing == []


def test_readme_has_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"```sh\nmake {target}\n```" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
