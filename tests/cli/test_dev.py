import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from taskfish.cli.free_ports import free_port
from tests.cli.processes import descendants, environment, is_alive, until
from tests.cli.running_dev import COMMAND, Running, start

PARTS = ("temporal", "emulator", "worker", "api")


async def systems(ready: dict[str, Any]) -> httpx.Response:
    login = (ready["username"], ready["password"])
    async with httpx.AsyncClient(base_url=ready["api"], auth=login) as client:
        return await client.get("/redfish/v1/Systems")


async def kill_and_wait(running: Running, name: str) -> None:
    """Kill a part with -9 and wait until it is back."""
    before = (await running.until_ready())["pids"][name]
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        ready = running.ready()
        return ready is not None and ready["pids"][name] != before

    await until(is_back, 15)


async def until_ended(client: httpx.AsyncClient, uri: str) -> dict[str, Any]:
    """Poll a Task until it has ended, whatever the gateway answers meanwhile."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                response = await client.get(uri)
                task: dict[str, Any] = response.json()
                if response.is_success and "EndTime" in task:
                    return task
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    directory = tmp_path_factory.mktemp("dev")
    directory.chmod(0o755)
    options = ("--systems", "2", "--bmcs", "1")
    dev = await start(directory, *options, TASKFISH_HEARTBEAT_TIMEOUT="3")
    try:
        await dev.until_ready()
        yield dev
    finally:
        await dev.stop()


async def test_ready_says_where_everything_is(running: Running) -> None:
    ready = await running.until_ready()
    assert set(ready["pids"]) == set(PARTS)
    assert all(map(is_alive, ready["pids"].values()))
    assert len(ready["systems"]) == 3
    assert (await systems(ready)).json()["Members@odata.count"] == 3
    async with httpx.AsyncClient() as client:
        assert (await client.get(ready["temporal_ui"])).is_success
        executions = await client.get(f"{ready['emulator']}/emulator/executions")
        assert executions.is_success


async def test_nothing_is_there_for_other_users(running: Running) -> None:
    await running.until_ready()
    ours = set(running.directory.rglob("*")) - {running.directory / "output"}
    names = {file.name for file in ours}
    assert names >= {"ready.json", "admin-password", "encryption-keys"}
    assert names >= {"taskfish.db", "temporal.db", "logs", "api.log", "ports.json"}
    for file in (running.directory, *ours):
        with contextlib.suppress(FileNotFoundError):
            assert file.stat().st_mode & 0o077 == 0, file


async def test_output_names_first_request(running: Running) -> None:
    await running.until_ready()
    output = running.directory / "output"
    await until(lambda: "curl -su admin:" in output.read_text(), 10)


async def test_web_ui_has_the_codec_of_the_api(running: Running) -> None:
    ready = await running.until_ready()
    page = f"{ready['api']}/codec/login"
    async with httpx.AsyncClient() as client:
        settings = await client.get(f"{ready['temporal_ui']}/api/v1/settings")
        assert settings.json()["Codec"]["Endpoint"] == f"{ready['api']}/codec"
        assert (await client.get(page)).is_success
        headers = {
            "Origin": ready["temporal_ui"],
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-namespace",
        }
        endpoint = f"{ready['api']}/codec/decode"
        assert (await client.options(endpoint, headers=headers)).is_success
    await until(lambda: page in (running.directory / "output").read_text(), 10)


@pytest.mark.parametrize("name", PARTS)
async def test_killed_part_comes_back(running: Running, name: str) -> None:
    before = (await running.until_ready())["pids"]
    os.kill(before[name], signal.SIGKILL)
    await until(lambda: not running.ready_file.exists(), 2)
    await until(running.ready_file.exists, 10)
    ready = await running.until_ready()
    others = set(PARTS) - {name}
    assert ready["pids"][name] != before[name]
    assert {other: ready["pids"][other] for other in others} == {
        other: before[other] for other in others
    }
    assert (await systems(ready)).is_success


async def test_running_task_survives_the_death_of_every_part(running: Running) -> None:
    ready = await running.until_ready()
    login = (ready["username"], ready["password"])
    async with httpx.AsyncClient(base_url=ready["emulator"]) as emulator:
        await emulator.put("/emulator/modes/node1", json={"seconds": 8})
        await emulator.delete("/emulator/executions")
        async with httpx.AsyncClient(base_url=ready["api"], auth=login) as client:
            uri = "/redfish/v1/Systems/node1.1/Actions/ComputerSystem.Reset"
            accepted = await client.post(uri, json={"ResetType": "ForceRestart"})
            assert accepted.status_code == 202
            for name in ("worker", "api", "temporal"):
                await kill_and_wait(running, name)
            task = await until_ended(client, accepted.json()["@odata.id"])
        done = (await emulator.get("/emulator/executions?machine=node1")).json()
        await emulator.delete("/emulator/modes")
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert done["count"] == 1


async def test_directory_is_for_one(running: Running) -> None:
    second = await asyncio.create_subprocess_exec(
        *COMMAND,
        "--data-dir",
        str(running.directory),
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    _, errors = await second.communicate()
    assert second.returncode == 2
    assert b"another `taskfish dev` is using" in errors
    assert await running.until_ready()


async def test_sigterm_leaves_nothing_but_data(tmp_path: Path) -> None:
    options = ("--systems", "1", "--bmcs", "0")
    password = {"TASKFISH_ADMIN_PASSWORD": "chosen-one"}
    first = await start(tmp_path, *options, **password)
    before = await first.until_ready()
    children = descendants(first.process.pid)
    assert len(children) == len(PARTS)
    first.process.terminate()
    await until(lambda: not first.ready_file.exists(), 1)
    assert await asyncio.wait_for(first.process.wait(), 30) == 0
    assert not any(map(is_alive, children))
    assert not first.ready_file.exists()
    first.ready_file.write_text('{"stale": true}')
    second = await start(tmp_path, *options, **password)
    await until(lambda: first.ready() != {"stale": True}, 10)
    after = await second.until_ready()
    await second.stop()
    changing = {"pids": None}
    assert after | changing == before | changing
    assert after["password"] == "chosen-one"


async def test_killed_dev_leaves_no_process(tmp_path: Path) -> None:
    dev = await start(tmp_path, "--no-emulator")
    ready = await dev.until_ready()
    assert ready["systems"] == []
    assert "emulator" not in ready
    children = descendants(dev.process.pid)
    assert set(ready["pids"].values()) <= children
    dev.process.kill()
    await dev.process.wait()
    await until(lambda: not any(map(is_alive, children)), 5)


async def test_used_port_is_explained(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", free_port())
    port = server.sockets[0].getsockname()[1]
    async with server:
        dev = await start(tmp_path, "--port", str(port))
        assert await asyncio.wait_for(dev.process.wait(), 20) == 2
    assert f"port {port} is in use" in (tmp_path / "output").read_text()


async def test_wrong_setting_is_explained(tmp_path: Path) -> None:
    dev = await start(tmp_path, TASKFISH_HEARTBEAT_TIMEOUT="soon")
    assert await asyncio.wait_for(dev.process.wait(), 20) == 2
    assert "TASKFISH_HEARTBEAT_TIMEOUT" in (tmp_path / "output").read_text()


async def test_part_that_cannot_start_ends_all(tmp_path: Path) -> None:
    (tmp_path / "temporal.db").mkdir()
    dev = await start(tmp_path, "--no-emulator")
    assert await asyncio.wait_for(dev.process.wait(), 60) == 2
    assert "temporal does not start" in (tmp_path / "output").read_text()
