import asyncio
import base64
import subprocess
import sys
from pathlib import Path

import pytest

from taskfish.cli.temporal_configuration import search_attributes
from taskfish.cli.temporal_server import development_server
from taskfish.cli.temporal_setup import connect, missing_attributes
from tests.cli.processes import environment


def taskfish(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "taskfish.cli.main", *arguments],
        env=environment() | variables,
        capture_output=True,
        text=True,
    )


def test_help_names_every_command() -> None:
    answer = taskfish("--help")
    assert answer.returncode == 0
    commands = ("dev", "demo", "api", "worker", "doctor", "db", "temporal", "keys")
    for command in (*commands, "power"):
        assert command in answer.stdout


def test_generated_key_is_one() -> None:
    key = taskfish("keys", "generate").stdout
    assert len(base64.b64decode(key)) == 32


def test_store_is_upgraded_twice(tmp_path: Path) -> None:
    file = tmp_path / "taskfish.db"
    url = {"TASKFISH_DATABASE_URL": f"sqlite+aiosqlite:///{file}"}
    for _ in range(2):
        answer = taskfish("db", "upgrade", **url)
        assert answer.returncode == 0, answer.stderr
    assert file.stat().st_size


@pytest.mark.parametrize("command", [("api",), ("worker",), ("db", "upgrade")])
def test_wrong_setting_is_one_sentence(command: tuple[str, ...]) -> None:
    answer = taskfish(*command, TASKFISH_HEARTBEAT_TIMEOUT="soon")
    assert answer.returncode == 2
    assert answer.stderr.startswith("taskfish: TASKFISH_HEARTBEAT_TIMEOUT: ")
    assert answer.stderr.count("\n") == 1


async def test_setup_prepares_namespace() -> None:
    async with development_server() as address:
        server = {"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": "gateway"}
        answer = await asyncio.to_thread(taskfish, "temporal", "setup", **server)
        assert answer.returncode == 0, answer.stderr
        client = await connect({"target_host": address, "namespace": "gateway"})
        assert await missing_attributes(client, search_attributes()) == {}
