"""What tests of the bare-metal door send, and read from its answers."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from api.app import create_app
from tests.house import SOURCES, House
from tests.workflows.houses import add, until

V1 = "/baremetal/v1"
NODES = f"{V1}/nodes"
VERSION = "X-OpenStack-Ironic-API-Version"
NEWEST = {VERSION: "1.95"}
_numbers = itertools.count(1)


def fault(answer: httpx.Response) -> str:
    """Return the words of an error in Ironic's form; fail if it is not one."""
    assert set(answer.json()) == {"error_message"}, answer.text
    said = json.loads(answer.json()["error_message"])
    assert said["faultcode"] == ("Server" if answer.status_code >= 500 else "Client")
    assert set(said) == {"faultcode", "faultstring", "debuginfo"}
    return str(said["faultstring"])


async def new_node(house: House) -> str:
    """Give a node at the machine bmc1 with a name that no earlier task has."""
    await house.client.delete(f"{SOURCES}/bmc1")
    source = f"rack{next(_numbers)}"
    await add(house, source, house.addresses.bmcs[0], "Redfish", "password")
    return f"{source}.1"


async def get(house: House, path: str, **request: Any) -> httpx.Response:
    """Read with the newest version."""
    return await house.client.get(f"{V1}/{path}", headers=NEWEST, **request)


async def put_power(
    house: House, node: str, target: object, timeout: object = None, **request: Any
) -> httpx.Response:
    """Ask for a change of a node's power and return whatever the answer is."""
    body = {"target": target} | ({} if timeout is None else {"timeout": timeout})
    uri = f"{NODES}/{node}/states/power"
    headers = {**NEWEST, **request.pop("headers", {})}
    return await house.client.put(uri, json=body, headers=headers, **request)


async def changed(house: House, node: str, target: str) -> str:
    """Start a change of a node's power and return the Id of its task."""
    answer = await put_power(house, node, target)
    assert (answer.status_code, answer.content) == (202, b""), answer.text
    return answer.headers["Task-Id"]


async def states(house: House, node: str, **request: Any) -> dict[str, Any]:
    """Return the states of a node."""
    answer = await get(house, f"nodes/{node}/states", **request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until_states(house: House, node: str, **wanted: object) -> dict[str, Any]:
    """Wait until the states of a node are these, and return all of them."""
    found: dict[str, Any] = {}

    async def are_so() -> bool:
        found.update(await states(house, node))
        return found | wanted == found

    await until(are_so)
    return found


@asynccontextmanager
async def open_door(
    house: House,
    host: str = "127.0.0.1",
    client: str = "127.0.0.1",
    **settings: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client without credentials, at an address, of an API of the house with
    other settings that is asked for under a host's name.
    """
    changed_settings = house.settings.model_copy(update=settings)
    app = create_app(changed_settings, house.temporal)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, client=(client, 40000)),
            base_url=f"http://{host}",
            headers=NEWEST,
        ) as asking,
    ):
        yield asking
