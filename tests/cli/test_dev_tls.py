"""`taskfish dev --tls` and `taskfish api`: https, verified by whoever asks."""

import asyncio
import base64
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from taskfish.cli.free_ports import free_port
from taskfish.cli.northbound import gateway
from taskfish.cli.temporal_server import temporal_executable
from taskfish.encryption import generate_key
from tests.cli.certificates import write_pair
from tests.cli.processes import environment, until
from tests.cli.running_dev import Running, start
from tests.cli.test_dev import until_ended
from tests.cli.test_main import taskfish


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Run it with variables of another gateway's TLS around, which it must not use."""
    directory = tmp_path_factory.mktemp("dev tls")
    options = ("--tls", "--systems", "1", "--bmcs", "1")
    theirs = {
        "TASKFISH_TLS_CERT": "/nowhere",
        "TASKFISH_ALLOW_LOCAL_ADDRESSES": "false",
    }
    dev = await start(directory, *options, **theirs)
    try:
        await dev.until_ready()
        yield dev
    finally:
        await dev.stop()


def client_of(ready: dict[str, Any]) -> httpx.AsyncClient:
    login = (ready["username"], ready["password"])
    return gateway(ready["api"], *login, Path(ready["ca"]))


async def printed(running: Running) -> str:
    """Return all that it prints when it is ready."""
    output = running.directory / "output"
    await until(lambda: "Ctrl-C ends it" in output.read_text(), 60)
    return output.read_text()


async def test_api_is_https_for_those_who_know_its_authority(running: Running) -> None:
    ready = await running.until_ready()
    assert ready["api"].startswith("https://127.0.0.1:")
    assert Path(ready["ca"]).is_relative_to(running.directory)
    async with client_of(ready) as client:
        answer = await client.get("/redfish/v1/Systems")
    assert answer.json()["Members@odata.count"] == 2
    assert "server" not in answer.headers
    plain = ready["api"].replace("https:", "http:")
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.get(ready["api"])
        with pytest.raises(httpx.TransportError):
            await client.get(plain)


async def test_localhost_is_a_name_of_it(running: Running) -> None:
    ready = await running.until_ready()
    ready["api"] = ready["api"].replace("127.0.0.1", "localhost")
    async with client_of(ready) as client:
        assert (await client.get("/redfish/v1")).is_success


async def test_keys_are_private(running: Running) -> None:
    await running.until_ready()
    for name in ("ca.key", "server.key"):
        assert (running.directory / "tls" / name).stat().st_mode & 0o777 == 0o600


async def test_printed_command_runs(running: Running) -> None:
    output = await printed(running)
    (command,) = [
        line.partition("Try: ")[2]
        for line in output.splitlines()
        if line.startswith("Try: ")
    ]
    assert "--cacert '" in command
    shell = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, env=os.environ
    )
    said, _ = await asyncio.wait_for(shell.communicate(), 20)
    assert b'"Members@odata.count":2' in said.replace(b" ", b"")


async def test_nobody_is_led_to_a_login_that_does_not_help(running: Running) -> None:
    output = await printed(running)
    assert "/codec/login" not in output
    assert "with --tls no browser can show them decoded" in output


async def test_command_of_temporal_decodes_over_tls(running: Running) -> None:
    """As docs/secrets.md has it."""
    ready = await running.until_ready()
    login = f"{ready['username']}:{ready['password']}"
    async with client_of(ready) as client:
        uri = f"{ready['systems'][0]}/Actions/ComputerSystem.Reset"
        accepted = await client.post(uri, json={"ResetType": "ForceRestart"})
        task = await until_ended(client, accepted.json()["@odata.id"])
    command = await asyncio.create_subprocess_exec(
        *(temporal_executable(), "workflow", "show", "--workflow-id", task["Id"]),
        *("--address", ready["temporal"], "--output", "json"),
        *("--codec-endpoint", f"{ready['api']}/codec"),
        *("--codec-auth", f"Basic {base64.b64encode(login.encode()).decode()}"),
        stdout=asyncio.subprocess.PIPE,
        env={**environment(), "SSL_CERT_FILE": ready["ca"]},
    )
    shown, _ = await asyncio.wait_for(command.communicate(), 30)
    assert command.returncode == 0
    first = json.loads(shown)["events"][0]["workflowExecutionStartedEventAttributes"]
    assert b"ForceRestart" in base64.b64decode(first["input"]["payloads"][0]["data"])


async def test_killed_api_comes_back_with_the_same_certificate(
    running: Running,
) -> None:
    ready = await running.until_ready()
    os.kill(ready["pids"]["api"], 9)
    await until(lambda: not running.ready_file.exists(), 5)
    await until(running.ready_file.exists, 30)
    async with client_of(await running.until_ready()) as client:
        assert (await client.get("/redfish/v1")).is_success


def test_api_refuses_plain_http_for_all() -> None:
    answer = taskfish("api", "--host", "0.0.0.0", "--port", str(free_port()))
    assert answer.returncode == 2
    assert "TASKFISH_PLAIN_HTTP=yes-without-encryption" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_api_refuses_an_expired_certificate_in_one_sentence(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path, end=timedelta(minutes=-5))
    files = {"TASKFISH_TLS_CERT": str(certificate), "TASKFISH_TLS_KEY": str(key)}
    answer = taskfish("api", "--port", str(free_port()), **files)
    assert answer.returncode == 2
    assert "expired at" in answer.stderr
    assert answer.stderr.count("\n") == 1


async def test_api_stops_within_its_grace(tmp_path: Path) -> None:
    """Also with a client that keeps its connection over TLS."""
    certificate, key = write_pair(tmp_path)
    trust = ssl.create_default_context(cafile=certificate)
    port = free_port()
    log = tmp_path / "api.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "taskfish.cli.main", "api", "--port", str(port)),
            stdout=output,
            stderr=output,
            env=environment()
            | {
                "TASKFISH_TLS_CERT": str(certificate),
                "TASKFISH_TLS_KEY": str(key),
                "TASKFISH_ENCRYPTION_KEYS": generate_key(),
                "TASKFISH_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'x.db'}",
            },
        )
    async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    url = f"https://127.0.0.1:{port}/redfish"
                    assert (await client.get(url)).status_code == 200
                    break
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.1)
        process.terminate()
        await asyncio.wait_for(process.wait(), 9)
    assert "Traceback" not in log.read_text()
