"""An API process that dies where a test wants it, and a client that knows its port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from taskfish.cli.free_ports import LOOPBACK, free_port
from tests.chaos.kept_process import KeptProcess
from tests.chaos.site import ANSWER_TIMEOUT, kept_api, variables_of
from tests.house import PASSWORD, USER, House

VOLUMES = "/redfish/v1/Systems/bmc1.1/Storage/1/Volumes"


class Front:
    """A house with a second API: `client` speaks to it, `house.client` to the first."""

    def __init__(
        self, house: House, api: KeptProcess, client: httpx.AsyncClient
    ) -> None:
        self.house = house
        self.api = api
        self.client = client

    async def create_volume(self, **headers: str) -> httpx.Response:
        """Send the creation of a volume at bmc1."""
        body = {"Name": "once", "RAIDType": "RAID0"}
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(VOLUMES, json=body, headers=names)


@asynccontextmanager
async def open_front(
    house: House, temporal_address: str, folder: Path
) -> AsyncIterator[Front]:
    """Run the API process of a house while the block lasts."""
    port = free_port()
    api = kept_api(port, variables_of(house.settings, temporal_address), folder)
    client = httpx.AsyncClient(
        base_url=f"http://{LOOPBACK}:{port}",
        auth=(USER, PASSWORD),
        timeout=ANSWER_TIMEOUT,
        trust_env=False,
    )
    async with client, api.kept():
        await api.until_ready()
        yield Front(house, api, client)
