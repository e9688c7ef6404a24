"""Makes the emulated machines sources of the gateway, through its own REST API."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from taskfish.cli.northbound import final_answer, refusal, resource

AGGREGATION = "/redfish/v1/AggregationService"
# Tasks on the emulator last seconds: look often enough to show how they go on.
POLL_SECONDS = 0.2
ADDING_POLLS = 100


@dataclass(frozen=True)
class Emulated:
    """Addresses of the emulator: its plugin, the nodes behind it, its Redfish BMCs."""

    plugin: str
    nodes: tuple[str, ...]
    bmcs: tuple[str, ...]


def emulated(log: Path) -> Emulated:
    """Return the addresses that the emulator wrote in its last line of JSON."""
    lines = log.read_text().splitlines()
    last = next(line for line in reversed(lines) if line.startswith("{"))
    addresses = json.loads(last)
    return Emulated(
        plugin=addresses["plugin"],
        nodes=tuple(addresses["systems"]),
        bmcs=tuple(addresses["bmcs"]),
    )


async def add_emulated(client: httpx.AsyncClient, emulated: Emulated) -> None:
    """Add every source that is not there yet, and wait until all are there."""
    await _add(client, _source("plugin", emulated.plugin, "ODIM", "plugin"))
    behind = {"Plugin": {"@odata.id": f"{AGGREGATION}/AggregationSources/plugin"}}
    nodes = [
        _source(f"node{number}", host, "ODIM", "password", behind)
        for number, host in enumerate(emulated.nodes, 1)
    ]
    bmcs = [
        _source(f"bmc{number}", host, "Redfish", "password")
        for number, host in enumerate(emulated.bmcs, 1)
    ]
    await asyncio.gather(*[_add(client, source) for source in nodes + bmcs])


async def system_uris(client: httpx.AsyncClient) -> list[str]:
    """Return the URI of every system that the gateway knows."""
    systems = await resource(client, "/redfish/v1/Systems")
    return [member["@odata.id"] for member in systems["Members"]]


def _source(
    name: str,
    host: str,
    method: str,
    password: str,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "Id": name,
        "HostName": host,
        "UserName": "admin",
        "Password": password,
        "Links": {
            "ConnectionMethod": {
                "@odata.id": f"{AGGREGATION}/ConnectionMethods/{method}"
            }
        },
        "Oem": {"Taskfish": {"PollSeconds": POLL_SECONDS} | (options or {})},
    }


async def _add(client: httpx.AsyncClient, source: dict[str, Any]) -> None:
    accepted = await client.post(f"{AGGREGATION}/AggregationSources", json=source)
    if accepted.status_code == httpx.codes.CONFLICT:
        await _until_there(client, source["Id"])
        return
    answer = await final_answer(client, accepted)
    if not answer.is_success:
        raise refusal(answer)


async def _until_there(client: httpx.AsyncClient, name: str) -> None:
    """Wait for a source that was added earlier, perhaps only a moment ago.

    It never comes if its host was added under another name: that will do as well.
    """
    for _ in range(ADDING_POLLS):
        answer = await client.get(f"{AGGREGATION}/AggregationSources/{name}")
        if answer.is_success:
            return
        await asyncio.sleep(POLL_SECONDS)
