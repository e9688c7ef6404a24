"""Accounts of the gateway for tests: made over HTTP, and gone when the test ends."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.house import House

ACCOUNT_SERVICE = "/redfish/v1/AccountService"
ACCOUNTS = f"{ACCOUNT_SERVICE}/Accounts"
PASSWORD = "open-sesame-7"
User = tuple[str, str]
"""Name and password, as httpx takes them for `auth`."""
_numbers = itertools.count(1)


def account_body(role: str, **more: Any) -> dict[str, Any]:
    """Return the body of a new account with a name of its own."""
    name = f"user{next(_numbers)}"
    return {"UserName": name, "Password": PASSWORD, "RoleId": role, **more}


@asynccontextmanager
async def account(house: House, role: str, **more: Any) -> AsyncIterator[User]:
    """Make an account and give its name and password; forget it in the end."""
    body = account_body(role, **more)
    made = await house.client.post(ACCOUNTS, json=body)
    assert made.status_code == 201, made.text
    try:
        yield body["UserName"], PASSWORD
    finally:
        await house.client.delete(f"{ACCOUNTS}/{body['UserName']}")


async def logs_in(house: House, name: str, password: str = PASSWORD) -> bool:
    """Say whether these credentials open what every account may read."""
    answer = await house.client.get("/redfish/v1/Systems", auth=(name, password))
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


@asynccontextmanager
async def four_users(house: House) -> AsyncIterator[dict[str, User]]:
    """Make two Operators, a ReadOnly account and an Administrator."""
    roles = {
        "owner": "Operator",
        "stranger": "Operator",
        "reader": "ReadOnly",
        "manager": "Administrator",
    }
    async with AsyncExitStack() as stack:
        yield {
            who: await stack.enter_async_context(account(house, role))
            for who, role in roles.items()
        }
