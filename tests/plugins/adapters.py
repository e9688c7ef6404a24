"""Adapters for tests: how they are made, closed, and followed to the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from taskfish.plugins.odim import client as odim
from taskfish.plugins.protocol import Accepted, Change, Plugin
from taskfish.plugins.redfish import client as redfish
from taskfish.redfish.sources import ConnectionMethod, Source, SourceOptions
from taskfish.redfish.task import PluginTask, TaskReport
from taskfish.settings import Settings

SETTINGS = Settings(
    connect_timeout=1,
    read_timeout=2,
    submit_answer_timeout=3,
    allow_local_addresses=True,
)
ADDRESS = "10.24.0.4"


def source_at(
    url: str,
    method: ConnectionMethod = ConnectionMethod.REDFISH,
    source_id: str = "rack7",
    user_name: str | None = "admin",
    password: str = "Passw0rd!",
    **options: Any,
) -> Source:
    """Return a source whose HTTP goes to `url`."""
    return Source(
        id=source_id,
        host_name=url,
        method=method,
        user_name=user_name,
        password=SecretStr(password) if user_name else None,
        options=SourceOptions(**options),
    )


@asynccontextmanager
async def connected(url: str, **source: Any) -> AsyncIterator[Plugin]:
    """Give the adapter of a Redfish BMC; it is closed afterwards."""
    adapter = redfish.connect(source_at(url, **source), None, SETTINGS, 4)
    try:
        yield adapter
    finally:
        await adapter.aclose()


@asynccontextmanager
async def connected_plugin(url: str, **source: Any) -> AsyncIterator[Plugin]:
    """Give the adapter of an ODIM plugin itself."""
    plugin = source_at(url, ConnectionMethod.ODIM, **source)
    adapter = odim.connect(plugin, None, SETTINGS, 4)
    try:
        yield adapter
    finally:
        await adapter.aclose()


@asynccontextmanager
async def behind(
    url: str, address: str = ADDRESS, password: str = "Passw0rd!", **plugin: Any
) -> AsyncIterator[Plugin]:
    """Give the adapter of a BMC behind the ODIM plugin at `url`."""
    credentials = {"user_name": "plugin", "password": "s3cret"}
    bmc = source_at(address, ConnectionMethod.ODIM, password=password)
    front = source_at(url, ConnectionMethod.ODIM, "plugin", **(credentials | plugin))
    adapter = odim.connect(bmc, front, SETTINGS, 4)
    try:
        yield adapter
    finally:
        await adapter.aclose()


async def accepted(plugin: Plugin, change: Change) -> PluginTask:
    """Submit a change for which the source makes a task."""
    submission = await plugin.submit(change)
    assert isinstance(submission, Accepted)
    return submission.task


async def ended(plugin: Plugin, task: PluginTask) -> TaskReport:
    """Poll until the end, as await_completion does."""
    async with asyncio.timeout(5):
        while (report := await plugin.poll(task)).answer is None:
            await asyncio.sleep(0.02)
    return report
