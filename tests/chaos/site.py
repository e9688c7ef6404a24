"""A gateway of real processes over an emulator, each of which may be killed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from temporalio.client import Client

from taskfish.cli.free_ports import LOOPBACK, free_port
from taskfish.cli.temporal_server import local_environment
from taskfish.encryption import Keyring
from taskfish.plugins.emulator import Emulator, serve
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.temporal import data_converter
from tests.chaos.kept_process import KeptProcess
from tests.cli.processes import environment
from tests.house import FAST, PASSWORD, USER, House, fast_settings
from tests.store.stores import make_database
from tests.worker_process import READY, settings_environment

ANSWER_TIMEOUT = 20.0
"""How long a client of ours waits for an answer, in seconds."""


@dataclass
class Site:
    """The processes, the machines behind them, and a client that is logged in."""

    house: House
    worker: KeptProcess
    api: KeptProcess

    @property
    def emulator(self) -> Emulator:
        return self.house.emulator

    @property
    def client(self) -> httpx.AsyncClient:
        return self.house.client

    async def until_ready(self) -> None:
        """Wait until both processes work."""
        await self.worker.until_ready()
        await self.api.until_ready()


@asynccontextmanager
async def open_site(
    temporal_address: str,
    folder: Path,
    key: SecretStr,
    *,
    bmcs: int = 2,
    **changes: Any,
) -> AsyncIterator[Site]:
    """Run worker and API as processes, with node1, node2, bmc1, … added."""
    settings = fast_settings(folder, key, submit_answer_timeout=3, **changes)
    await make_database(folder)
    keyring = Keyring(settings.encryption_keys)
    store = Store(settings.database_url, keyring)
    port = free_port()
    emulator = Emulator(systems=2, bmcs=bmcs, modes=FAST)
    temporal = await Client.connect(
        temporal_address, data_converter=data_converter(keyring)
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        addresses = await stack.enter_async_context(serve(emulator))
        client = httpx.AsyncClient(
            base_url=f"http://{LOOPBACK}:{port}",
            auth=(USER, PASSWORD),
            timeout=ANSWER_TIMEOUT,
            trust_env=False,
        )
        await stack.enter_async_context(client)
        house = House(settings, temporal, store, emulator, addresses, client)
        variables = variables_of(settings, temporal_address)
        worker = KeptProcess(("worker",), variables, _room(folder, "worker"), _works)
        api = kept_api(port, variables, folder)
        await stack.enter_async_context(worker.kept())
        await stack.enter_async_context(api.kept())
        site = Site(house, worker, api)
        await site.until_ready()
        await house.add_sources()
        yield site


def kept_api(port: int, variables: dict[str, str], folder: Path) -> KeptProcess:
    """Return an API on a port of loopback, ready when it says so."""

    async def is_ready(process: KeptProcess) -> bool:
        url = f"http://{LOOPBACK}:{port}/readyz"
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(url)).is_success
            except httpx.TransportError:
                return False

    part = ("api", "--port", str(port))
    return KeptProcess(part, variables, _room(folder, "api"), is_ready)


def variables_of(settings: Settings, temporal_address: str) -> dict[str, str]:
    """Return the environment of a process with these settings."""
    assert settings.admin_password is not None, "nobody could log in"
    password = {"TASKFISH_ADMIN_PASSWORD": settings.admin_password.get_secret_value()}
    ours = environment() | settings_environment(settings) | password
    return local_environment(temporal_address, ours)


async def _works(worker: KeptProcess) -> bool:
    return READY in worker.said


def _room(folder: Path, name: str) -> Path:
    room = folder / name
    room.mkdir()
    return room
