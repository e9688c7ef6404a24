"""DMTF's own Python library against the gateway: its loop around `monitor()`."""

import asyncio
import time
from typing import Any

import redfish

from tests.house import PASSWORD, USER, House

LONGEST_WAIT = 20.0


async def test_monitor_loop_ends_with_the_final_answer(
    house: House, gateway_url: str
) -> None:
    statuses, final = await asyncio.to_thread(_create_volume, gateway_url)
    assert statuses[0] == 202
    assert final.status == 201
    assert final.dict["Name"] == "data"
    assert final.getheader("Location").startswith("/redfish/v1/Systems/bmc1.1/")
    assert house.executions("bmc1", "POST") == 1


async def test_refusal_is_an_error_that_the_library_reads(
    house: House, gateway_url: str
) -> None:
    response = await asyncio.to_thread(_refused, gateway_url)
    assert response.status == 400
    info = response.dict["error"]["@Message.ExtendedInfo"]
    assert info[0]["MessageId"].endswith("ActionParameterValueNotInList")
    assert house.executions("node1") == 0


def _client(url: str) -> Any:
    return redfish.redfish_client(base_url=url, username=USER, password=PASSWORD)


def _create_volume(url: str) -> tuple[list[int], Any]:
    """Create a volume and poll its monitor as the library's own tools do."""
    client = _client(url)
    client.login(auth="basic")
    volumes = "/redfish/v1/Systems/bmc1.1/Storage/1/Volumes"
    response = client.post(volumes, body={"Name": "data", "RAIDType": "RAID0"})
    statuses = [response.status]
    until = time.monotonic() + LONGEST_WAIT
    while response.is_processing and time.monotonic() < until:
        time.sleep(min(response.retry_after, 0.2))
        response = response.monitor(client)
        statuses.append(response.status)
    return statuses, response


def _refused(url: str) -> Any:
    client = _client(url)
    client.login(auth="basic")
    action = "/redfish/v1/Systems/node1.1/Actions/ComputerSystem.Reset"
    return client.post(action, body={"ResetType": "Gently"})
