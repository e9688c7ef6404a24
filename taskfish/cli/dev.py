"""`taskfish dev`: all of Taskfish on this machine, in one command."""

import asyncio
import contextlib
import logging
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from taskfish.cli.child_processes import log_end, start_child
from taskfish.cli.data_directory import DataDirectory
from taskfish.cli.dev_parts import (
    COMMAND,
    Local,
    api_part,
    emulator_part,
    is_ready,
    temporal_part,
    worker_part,
)
from taskfish.cli.emulated_sources import add_emulated, emulated, system_uris
from taskfish.cli.free_ports import is_free, kept_ports
from taskfish.cli.local_authority import Tls, local_tls
from taskfish.cli.northbound import gateway, trust
from taskfish.cli.signals import run_until_signal
from taskfish.cli.supervisor import PROBE_INTERVAL, PartFailedError, Supervisor
from taskfish.cli.temporal_server import local_environment
from taskfish.encryption import generate_key
from taskfish.errors import ConfigurationError
from taskfish.settings import Settings, load_settings

PORT_WAIT_SECONDS = 3.0
FOR_OWNER_ONLY = 0o077
"""The umask of all parts: whatever they write is for nobody else."""
_SHOWN = (
    *("api", "ca", "username", "password"),
    *("temporal", "temporal_ui", "emulator"),
)
"""What people are told of ready.json, before the systems."""


@dataclass(frozen=True)
class DevOptions:
    """What `taskfish dev` was asked for; without emulator both counts are 0."""

    port: int
    data_dir: Path
    systems: int
    bmcs: int
    tls: bool = False


@dataclass(frozen=True)
class Login:
    """The administrator of the northbound service."""

    username: str
    password: str


async def run_dev(options: DevOptions) -> None:
    """Run everything until Ctrl-C or SIGTERM."""
    _log_to_stderr()
    os.umask(FOR_OWNER_ONLY)
    directory = DataDirectory(options.data_dir)
    with directory.locked():
        directory.withdraw()  # An earlier run that was killed leaves it behind.
        supervisor = Supervisor(directory.logs)
        run = _Run(options, directory, supervisor)
        await run_until_signal(run.until_cancelled(), supervisor.kill)


class _Run:
    """One run of `taskfish dev`."""

    def __init__(
        self, options: DevOptions, directory: DataDirectory, supervisor: Supervisor
    ) -> None:
        settings = load_settings()
        self._options = options
        self._directory = directory
        self._supervisor = supervisor
        self._task_queue = settings.task_queue
        self._login = _login(settings, directory)
        ports = _ports(options, directory)
        tls = local_tls(directory.path / "tls") if options.tls else None
        environment = _environment(directory, ports, self._login, tls)
        self._local = Local(directory.path, ports, environment, tls)

    async def until_cancelled(self) -> None:
        """Start everything, then keep ready.json true."""
        http = httpx.AsyncClient(trust_env=False, verify=trust(self._ca))
        async with http, self._supervisor:
            await _wait_for_port(self._local.ports["api"])
            await self._start(http)
            systems = await self._systems()
            with _unannounced(self._directory):
                await self._keep_announcement_true(http, systems)

    async def _keep_announcement_true(
        self, http: httpx.AsyncClient, systems: list[str]
    ) -> None:
        changed, shown = self._supervisor.changed, False
        while True:
            changed.clear()
            if not self._supervisor.all_ready:
                self._directory.withdraw()
            elif await self._all_answer(http):
                ready = self._ready(systems)
                self._directory.announce(ready)
                shown = shown or _show(ready)
            else:
                # All are back, but the API has not found its way to them again.
                self._directory.withdraw()
                await asyncio.sleep(PROBE_INTERVAL)
                continue
            await changed.wait()

    async def _all_answer(self, http: httpx.AsyncClient) -> bool:
        """Whether the API is ready, and no part died while it said so."""
        return await is_ready(http, self._local) and self._supervisor.all_ready

    async def _start(self, http: httpx.AsyncClient) -> None:
        """Start what stands alone side by side, then what needs it."""
        start, local = self._supervisor.start, self._local
        alone = [start(temporal_part(local)), self._upgrade_store()]
        if self._has_emulator:
            counts = (self._options.systems, self._options.bmcs)
            alone.append(start(emulator_part(local, http, *counts)))
        await asyncio.gather(*alone)
        await asyncio.gather(
            start(worker_part(local, self._task_queue)), start(api_part(local, http))
        )

    @property
    def _ca(self) -> Path | None:
        return self._local.tls.ca if self._local.tls else None

    @property
    def _has_emulator(self) -> bool:
        return bool(self._options.systems or self._options.bmcs)

    async def _upgrade_store(self) -> None:
        log = self._directory.logs / "db.log"
        process = await start_child(
            (*COMMAND, "db", "upgrade"), log, self._local.environment
        )
        if await process.wait():
            raise PartFailedError(f"the store cannot be upgraded: {log_end(log)}")

    async def _systems(self) -> list[str]:
        """Add the emulated sources; return the URIs of all systems.

        Adding may be repeated: a part that dies meanwhile only makes it take longer.
        """
        while True:
            try:
                return await self._add_sources()
            except httpx.TransportError:
                await asyncio.sleep(PROBE_INTERVAL)

    async def _add_sources(self) -> list[str]:
        login, url = self._login, self._local.url("api")
        async with gateway(url, login.username, login.password, self._ca) as client:
            if self._has_emulator:
                log = self._directory.logs / "emulator.log"
                await add_emulated(client, emulated(log))
            return await system_uris(client)

    def _ready(self, systems: list[str]) -> dict[str, Any]:
        local = self._local
        ready: dict[str, Any] = {
            "api": local.url("api"),
            "username": self._login.username,
            "password": self._login.password,
            "temporal": local.address("temporal"),
            "temporal_ui": local.url("temporal_ui"),
            "systems": systems,
            "pids": self._supervisor.pids(),
        }
        if self._has_emulator:
            ready["emulator"] = local.url("emulator")
        if self._ca:
            ready["ca"] = str(self._ca)
        return ready


def _login(settings: Settings, directory: DataDirectory) -> Login:
    if settings.admin_password:
        password = settings.admin_password.get_secret_value()
    else:
        password = directory.secret("admin-password", lambda: secrets.token_urlsafe(12))
    return Login(settings.admin_username, password)


def _ports(options: DevOptions, directory: DataDirectory) -> dict[str, int]:
    names = ["temporal", "temporal_ui", "emulator"]
    names += [f"bmc{number}" for number in range(1, options.bmcs + 1)]
    if not options.port:
        names.append("api")
    ports = kept_ports(directory.path / "ports.json", names)
    return ports | ({"api": options.port} if options.port else {})


async def _wait_for_port(port: int) -> None:
    """Give an earlier run's service a moment to let go of its port."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PORT_WAIT_SECONDS
    while not is_free(port):
        if clock() > deadline:
            raise ConfigurationError(
                f"port {port} is in use: stop what listens there, or choose a --port"
            )
        await asyncio.sleep(0.1)


def _environment(
    directory: DataDirectory, ports: Mapping[str, int], login: Login, tls: Tls | None
) -> dict[str, str]:
    """Return the environment of the parts: ours, with what belongs to this directory.

    Its store, keys and certificate replace the caller's: what runs here must not reach
    another Taskfish's data.
    """
    address = f"127.0.0.1:{ports['temporal']}"
    scheme = "https" if tls else "http"
    ours = {"TASKFISH_PUBLIC_URL": f"{scheme}://127.0.0.1:{ports['api']}"}
    callers = {
        name: value
        for name, value in os.environ.items()
        if name not in ("TASKFISH_TLS_CERT", "TASKFISH_TLS_KEY")
    }
    return (
        ours
        | local_environment(address, callers)
        | (tls.variables() if tls else {})
        | {
            "TASKFISH_DATABASE_URL": (
                f"sqlite+aiosqlite:///{directory.path / 'taskfish.db'}"
            ),
            "TASKFISH_ENCRYPTION_KEYS": directory.secret(
                "encryption-keys", generate_key
            ),
            "TASKFISH_ADMIN_USERNAME": login.username,
            "TASKFISH_ADMIN_PASSWORD": login.password,
            "TASKFISH_ALLOW_LOCAL_ADDRESSES": "true",
            "TASKFISH_TEMPORAL_UI_ORIGIN": f"http://127.0.0.1:{ports['temporal_ui']}",
        }
    )


@contextlib.contextmanager
def _unannounced(directory: DataDirectory) -> Iterator[None]:
    """Take ready.json back as soon as the end begins."""
    try:
        yield
    finally:
        directory.withdraw()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    ours = logging.getLogger("taskfish")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)


def _show(ready: dict[str, Any]) -> bool:
    """Print ready.json for people; return that it was done."""
    table = Table.grid(padding=(0, 2))
    for key in _SHOWN:
        if key in ready:
            table.add_row(f"[bold]{key}[/]", Text(ready[key]))
    for number, uri in enumerate(ready["systems"]):
        table.add_row("" if number else "[bold]systems[/]", uri)
    console = Console()
    console.print(Panel(table, title="Taskfish is ready", expand=False))
    login = shlex.quote(f"{ready['username']}:{ready['password']}")
    trusting = f" --cacert {shlex.quote(ready['ca'])}" if "ca" in ready else ""
    command = f"curl -su {login}{trusting} {ready['api']}/redfish/v1/Systems"
    console.print(f"Try: {command}", soft_wrap=True, markup=False, highlight=False)
    console.print(
        f"Payloads in the Web UI are encrypted: {_how_to_read_them(ready)}",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    console.print("Ctrl-C ends it; its data stays for the next time.")
    return True


def _how_to_read_them(ready: dict[str, Any]) -> str:
    """Say where to log in for decoded payloads, or what does it where none helps: from
    pages of http no browser sends a login's cookie to https.
    """
    if ready["api"].startswith("https:"):
        return (
            "with --tls no browser can show them decoded, as its pages are http; "
            "`temporal workflow show` can (docs/secrets.md)"
        )
    return f"to read them, log in at {ready['api']}/codec/login"
