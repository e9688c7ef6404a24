"""Clients of the emulator, as small as a test wants them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from taskfish.plugins.emulator import Addresses, Emulator, serve
from taskfish.plugins.machine.modes import Modes

SECONDS = 0.15
RESET = "/Systems/1/Actions/ComputerSystem.Reset"
VOLUMES = "/Systems/1/Storage/1/Volumes"
MIRROR: dict[str, Any] = {"Name": "mirror", "RAIDType": "RAID1"}


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class BmcClient:
    """A client of one Redfish BMC, logged in by Basic."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, uri: str, **options: Any) -> httpx.Response:
        return await self.http.get(_absolute(uri), **options)

    async def post(self, uri: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.http.post(_absolute(uri), json=body, **options)

    async def patch(self, uri: str, body: Any, **options: Any) -> httpx.Response:
        return await self.http.patch(_absolute(uri), json=body, **options)

    async def delete(self, uri: str) -> httpx.Response:
        return await self.http.delete(_absolute(uri))

    async def reset(self, reset_type: str) -> httpx.Response:
        return await self.post(RESET, {"ResetType": reset_type})

    async def power(self) -> str:
        return str((await self.get("/Systems/1")).json()["PowerState"])

    async def final(self, accepted: httpx.Response) -> httpx.Response:
        """Poll a monitor until it answers something else than 202."""
        assert accepted.status_code == 202, accepted.text
        while True:
            answer = await self.get(accepted.headers["Location"])
            if answer.status_code != 202:
                return answer
            await asyncio.sleep(0.01)


class PluginClient:
    """A client of the ODIM plugin that names one machine in each body."""

    def __init__(self, http: httpx.AsyncClient, address: str = "node1") -> None:
        self.http = http
        self.address = address
        self.password = "password"

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        sent = {
            "ManagerAddress": self.address,
            "UserName": "admin",
            "Password": base64.b64encode(self.password.encode()).decode(),
        }
        if body is not None:
            sent["PostBody"] = base64.b64encode(json.dumps(body).encode()).decode()
        return await self.http.request(method, f"/ODIM/v1{path}", json=sent)

    async def reset(self, reset_type: str) -> httpx.Response:
        return await self.call("POST", RESET, {"ResetType": reset_type})

    async def final(self, accepted: httpx.Response) -> httpx.Response:
        """Poll /taskmon until it answers something else than 202."""
        assert accepted.status_code == 202, accepted.text
        while True:
            answer = await self.http.get(accepted.headers["Location"])
            if answer.status_code != 202:
                return answer
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Running:
    """An emulator that listens."""

    emulator: Emulator
    addresses: Addresses


@dataclass(frozen=True)
class Served(Running):
    """A running emulator and a client of each kind."""

    bmc: BmcClient
    plugin: PluginClient


@asynccontextmanager
async def served(systems: int = 1, bmcs: int = 1) -> AsyncIterator[Running]:
    """Run a quick emulator."""
    emulator = Emulator(systems, bmcs, modes=Modes(seconds=SECONDS))
    async with serve(emulator) as addresses:
        yield Running(emulator, addresses)


@asynccontextmanager
async def renewed(running: Running) -> AsyncIterator[Served]:
    """Make a running emulator as new, and open clients of it.

    `verify=False` only spares the 100 ms of reading certificates: all is HTTP.
    """
    running.emulator.renew()
    addresses = running.addresses
    bmc_url = addresses.bmcs[0] if addresses.bmcs else addresses.plugin
    async with (
        httpx.AsyncClient(
            base_url=bmc_url, auth=("admin", "password"), verify=False
        ) as bmc,
        httpx.AsyncClient(
            base_url=addresses.plugin, auth=("admin", "plugin"), verify=False
        ) as plugin,
    ):
        yield Served(running.emulator, addresses, BmcClient(bmc), PluginClient(plugin))


def _absolute(uri: str) -> str:
    inside = uri.startswith(("/redfish", "http"))
    return uri if inside else f"/redfish/v1{uri}"
