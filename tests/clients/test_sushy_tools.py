"""A southbound that no one here wrote: sushy-tools' emulator as a Redfish source."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from taskfish.cli.free_ports import free_port
from tests.house import METHODS, SOURCES, House

EMULATOR = Path(sys.executable).parent / "sushy-emulator"


@pytest.fixture
async def foreign_bmc(tmp_path: Path) -> AsyncIterator[str]:
    """Run `sushy-emulator --fake` on a loopback port; give its address."""
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(EMULATOR),
            *("--fake", "-i", "127.0.0.1", "-p", str(port)),
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    try:
        await _until_it_answers(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def test_foreign_bmc_is_read_and_reset(house: House, foreign_bmc: str) -> None:
    added = await house.client.post(SOURCES, json=_without_credentials(foreign_bmc))
    assert (await house.final(added)).status_code == 201
    systems = (await house.client.get("/redfish/v1/Systems")).json()["Members"]
    uris = [one["@odata.id"] for one in systems if "/foreign." in one["@odata.id"]]
    system = (await house.client.get(uris[0])).json()
    assert system["@odata.id"] == uris[0]
    assert system["Id"] == uris[0].rpartition("/")[2]
    cards = await house.client.get(system["EthernetInterfaces"]["@odata.id"])
    assert cards.status_code == 200
    before = system["PowerState"]
    target = system["Actions"]["#ComputerSystem.Reset"]["target"]
    wanted = "ForceOff" if before == "On" else "On"
    accepted = await house.change("POST", target, {"ResetType": wanted})
    task = await house.ended(accepted)
    assert (task["TaskState"], task["TaskStatus"]) == ("Completed", "OK")
    assert (await house.final(accepted)).status_code in (200, 204)
    await _until_power_state_is_not(house, uris[0], before)


def _without_credentials(host: str) -> dict[str, object]:
    return {
        "Id": "foreign",
        "HostName": host,
        "Links": {"ConnectionMethod": {"@odata.id": f"{METHODS}/Redfish"}},
    }


async def _until_it_answers(url: str) -> None:
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=url) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/redfish/v1/")).is_success:
                    return
            await asyncio.sleep(0.1)


async def _until_power_state_is_not(house: House, uri: str, before: str) -> None:
    """Wait for the emulator, which changes the power after up to eleven seconds."""
    async with asyncio.timeout(30):
        while (await house.client.get(uri)).json()["PowerState"] == before:
            await asyncio.sleep(0.1)
