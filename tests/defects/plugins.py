"""ODIM plugins of a scenario's own: emulated, scripted, at two addresses."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

from pydantic import JsonValue

from taskfish.plugins.emulator import Emulator, serve
from tests.house import FAST, SOURCES, House
from tests.plugins.scripted_service import ScriptedService, http, scripted
from tests.workflows.houses import add

ODIM = "/ODIM/v1"
RACK = "/redfish/v1/Systems/rack9.1"
"""The system behind the scripted plugin."""
RESET = f"POST {ODIM}/Systems/1/Actions/ComputerSystem.Reset"
INSERT_MEDIA = (
    f"POST {ODIM}/Managers/1/VirtualMedia/CD1/Actions/VirtualMedia.InsertMedia"
)
TASKMON = "GET /taskmon/t1"
ACCEPTED = http(202, None, Location="/taskmon/t1")


class OwnPlugin:
    """An emulated plugin with node3 behind it, which can go out of reach."""

    def __init__(self) -> None:
        self.emulator = Emulator(systems=3, bmcs=0, modes=FAST)
        self.port = 0

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[str]:
        """Let it answer, always at the same port; give its URL."""
        async with serve(self.emulator, ports=[self.port]) as addresses:
            self.port = urlsplit(addresses.plugin).port or 0
            yield addresses.plugin

    async def join(self, house: House, url: str, **options: Any) -> None:
        """Add the plugin as `other` to a gateway, and node3 behind it."""
        await add(house, "other", url, "ODIM", "plugin", options)
        await add(house, "node3", "node3", "ODIM", "password", behind("other"))

    def set_modes(self, **modes: JsonValue) -> None:
        """Change how node3 behaves."""
        self.emulator.set_modes("node3", **modes)

    def executions(self) -> int:
        """Return how many changes node3 has carried out."""
        return len(self.emulator.executions("node3"))


@asynccontextmanager
async def scripted_plugin(
    house: House, **options: Any
) -> AsyncIterator[ScriptedService]:
    """Give a plugin that answers by a script, added with rack9 behind it."""
    async with scripted() as service:
        for path, body in _INVENTORY.items():
            service.on(f"GET {ODIM}{path}", http(200, body))
        service.on(f"POST {ODIM}/validate", http(200, {"device_UUID": "rack9"}))
        await add(house, "scripted", service.url, "ODIM", "plugin", options)
        behind_it = behind("scripted")
        await add(house, "rack9", "10.24.0.9", "ODIM", "password", behind_it)
        try:
            yield service
        finally:
            await forget(house, "rack9", "scripted")


@asynccontextmanager
async def instance_at(
    address: str, service: ScriptedService
) -> AsyncIterator[ScriptedService]:
    """Give another instance of a scripted plugin: same port, another address."""
    instance = ScriptedService()
    served: set[asyncio.Task[None]] = set()

    async def behave(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task"
        served.add(task)
        try:
            await instance.behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    port = urlsplit(service.url).port
    server = await asyncio.start_server(behave, address, port)
    try:
        yield instance
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def connections_tried(port: int) -> Iterator[list[str]]:
    """Give a list that grows with each attempt to connect to a port."""
    tried: list[str] = []

    class Tries(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text.startswith("connect_tcp.started") and f"port={port} " in text:
                tried.append(text)

    logger, handler = logging.getLogger("httpcore.connection"), Tries()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield tried
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


async def forget(house: House, *names: str) -> None:
    """Remove sources, whatever is under way there."""
    forced = {"Oem": {"Taskfish": {"Force": True}}}
    for name in names:
        await house.client.request("DELETE", f"{SOURCES}/{name}", json=forced)


def behind(plugin: str) -> dict[str, Any]:
    """Return the options of a source behind a plugin."""
    return {"Plugin": {"@odata.id": f"{SOURCES}/{plugin}"}}


def _collection(name: str) -> JsonValue:
    return {"Members": [{"@odata.id": f"{ODIM}/{name}/1"}]}


_INVENTORY: dict[str, JsonValue] = {
    "/Status": {"Name": "scripted"},
    "/Systems": _collection("Systems"),
    "/Systems/1": {"Id": "1", "PowerState": "On"},
    "/Managers": _collection("Managers"),
    "/Managers/1": {"Id": "1"},
    "/Chassis": _collection("Chassis"),
    "/Chassis/1": {"Id": "1"},
}
