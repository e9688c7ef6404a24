"""Sessions of the gateway for tests, and other API processes over the same store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from sqlalchemy import delete

from api.app import create_app
from taskfish.store.tables import service
from taskfish.store.tables import sessions as table
from tests.api.accounts import User
from tests.house import House, client_of

SESSION_SERVICE = "/redfish/v1/SessionService"
SESSIONS = f"{SESSION_SERVICE}/Sessions"
SYSTEMS = "/redfish/v1/Systems"


@asynccontextmanager
async def another_api(
    house: House, address: str = "192.0.2.7", **changes: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Open another API over the house's store; yield a client that is not logged in."""
    app = create_app(house.settings.model_copy(update=changes), house.temporal)
    async with client_of(app, address=address) as client:
        yield client


async def log_in(client: httpx.AsyncClient, user: User, **more: Any) -> httpx.Response:
    """Send a login, without any other credentials."""
    body = {"UserName": user[0], "Password": user[1], **more}
    return await client.request("POST", SESSIONS, json=body, auth=None)


async def token_of(client: httpx.AsyncClient, user: User) -> dict[str, str]:
    """Log in and return the header that the session's requests have."""
    answer = await log_in(client, user)
    assert answer.status_code == 201, answer.text
    return {"X-Auth-Token": answer.headers["X-Auth-Token"]}


async def status_of(
    client: httpx.AsyncClient, headers: dict[str, str], uri: str = SYSTEMS
) -> int:
    """Return the status of a GET with these headers as its only credentials."""
    return (await client.get(uri, headers=headers, auth=None)).status_code


async def forget_sessions(house: House) -> None:
    """End all sessions, and put the SessionService back to the settings."""
    async with house.store.write() as connection:
        await connection.execute(delete(table))
        row = service.c.name == "session_service"
        await connection.execute(delete(service).where(row))
