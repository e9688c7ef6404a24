"""Gateways that their sources can reach: a second API of theirs is on a socket."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from temporalio.client import Client

from api.app import create_app
from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.serving import Service, listen
from tests.house import House, open_house
from tests.workflows.houses import until


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def reachable_house(
    temporal: Client, folder: Path, key: SecretStr, **settings: Any
) -> AsyncIterator[House]:
    """Open a gateway without sources, which will have events sent to it."""
    port = free_port()
    settings.setdefault("public_url", f"http://127.0.0.1:{port}")
    async with open_house(temporal, folder, key, **settings) as house:
        app = create_app(house.settings, temporal)
        service = Service(app, port, lambda: None)
        async with app.router.lifespan_context(app), listen([service], "127.0.0.1"):
            yield house


def machine_of(house: House, name: str = "bmc1") -> Machine:
    """Return an emulated machine."""
    return house.emulator.machines[name]


async def until_subscribed(house: House, name: str = "bmc1") -> None:
    """Wait until the gateway has subscribed at an emulated machine, and knows it."""
    subscriptions = machine_of(house, name).publisher.subscriptions
    await until(lambda: bool(subscriptions))


def sent_to(house: House, name: str = "bmc1") -> tuple[str, dict[str, str]]:
    """Return where a machine sends its events, and the headers with its token."""
    (subscription,) = machine_of(house, name).publisher.subscriptions.values()
    return subscription.destination, dict(subscription.headers)


async def send(
    house: House, *tasks: str, name: str = "bmc1", key: str = "TaskCompletedOK"
) -> httpx.Response:
    """Send an event as the machine would, for each of some tasks."""
    destination, headers = sent_to(house, name)
    records = [
        {"MessageId": f"TaskEvent.1.0.{key}", "MessageArgs": [task]} for task in tasks
    ]
    # All is HTTP: not to verify only spares the 100 ms of reading certificates.
    async with httpx.AsyncClient(verify=False, trust_env=False) as http:
        return await http.post(destination, json={"Events": records}, headers=headers)
