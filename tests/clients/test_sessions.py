"""Sessions of clients that no one here wrote: sushy's, and the DMTF library's."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redfish
import sushy
from redfish.rest.v1 import (
    InvalidCredentialsError,
    RedfishPasswordChangeRequiredError,
)

from tests.api.accounts import ACCOUNTS, User, account
from tests.api.answers import members
from tests.api.sessions import SESSIONS, forget_sessions
from tests.house import PASSWORD, USER, House

ADMIN = (USER, PASSWORD)
SYSTEM = "/redfish/v1/Systems/node1.1"


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Give a gateway without sessions."""
    await forget_sessions(house)
    yield house
    await forget_sessions(house)


@pytest.mark.parametrize(
    "kind", [sushy.auth.SessionAuth, sushy.auth.SessionOrBasicAuth]
)
async def test_sushy_works_by_a_session_and_ends_it(
    house: House, gateway_url: str, kind: Any
) -> None:
    auth = kind(*ADMIN)
    root = await asyncio.to_thread(_sushy, gateway_url, auth)
    assert members(await house.client.get(SESSIONS)) == [auth.get_session_resource_id()]
    system = await asyncio.to_thread(root.get_system, SYSTEM)
    reset = sushy.RESET_TYPE_FORCE_RESTART
    await asyncio.to_thread(system.reset_system, reset)
    await asyncio.to_thread(auth.close)
    assert members(await house.client.get(SESSIONS)) == []


async def test_sushy_opens_another_session_when_one_has_ended(
    house: House, gateway_url: str
) -> None:
    auth = sushy.auth.SessionOrBasicAuth(*ADMIN)
    root = await asyncio.to_thread(_sushy, gateway_url, auth)
    ended = auth.get_session_resource_id()
    await house.client.delete(ended)
    system = await asyncio.to_thread(root.get_system, SYSTEM)
    assert system.identity == "node1.1"
    assert auth.get_session_resource_id() not in (None, ended)
    # Else it closes when it is collected: then its gateway is gone, and each of its
    # nine tries keeps some later test waiting.
    await asyncio.to_thread(auth.close)


async def test_sushy_is_told_that_its_password_is_wrong(
    house: House, gateway_url: str
) -> None:
    auth = sushy.auth.SessionAuth(USER, "wrong-password")
    with pytest.raises(sushy.exceptions.AccessError):
        await asyncio.to_thread(_sushy, gateway_url, auth)


async def test_library_logs_in_by_a_session_and_out(
    house: House, gateway_url: str
) -> None:
    client = await asyncio.to_thread(_library, gateway_url, ADMIN)
    await asyncio.to_thread(client.login, auth=redfish.AuthMethod.SESSION)
    open_then = members(await house.client.get(SESSIONS))
    found = await asyncio.to_thread(client.get, SYSTEM)
    await asyncio.to_thread(client.logout)
    assert len(open_then) == 1
    assert found.status == 200
    assert members(await house.client.get(SESSIONS)) == []


async def test_library_is_told_that_its_password_is_wrong(
    house: House, gateway_url: str
) -> None:
    wrong = (USER, "wrong-password")
    client = await asyncio.to_thread(_library, gateway_url, wrong)
    with pytest.raises(InvalidCredentialsError):
        await asyncio.to_thread(client.login, auth=redfish.AuthMethod.SESSION)


async def test_library_is_told_which_password_has_to_change(
    house: House, gateway_url: str
) -> None:
    async with account(house, "Operator", PasswordChangeRequired=True) as user:
        client = await asyncio.to_thread(_library, gateway_url, user)
        own = f"{ACCOUNTS}/{user[0]}"
        with pytest.raises(RedfishPasswordChangeRequiredError, match=own):
            await asyncio.to_thread(client.login, auth=redfish.AuthMethod.SESSION)
        body = {"Password": "another-one-8"}
        changed = await asyncio.to_thread(client.patch, own, body=body)
        assert changed.status == 200


async def test_commands_of_the_guide_log_in_and_out(
    house: House, gateway_url: str, tmp_path: Path
) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text()
    (commands,) = re.findall(r"```sh\n(sessions=.*?)```", guide, re.DOTALL)
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c"),
        commands.replace("http://127.0.0.1:8000", gateway_url),
        cwd=tmp_path,
        env={**os.environ, "TASKFISH_ADMIN_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(shell.communicate(), 30)
    assert shell.returncode == 0
    assert json.loads(said)["Members@odata.count"] == 1
    assert members(await house.client.get(SESSIONS)) == []


def _sushy(url: str, auth: Any) -> sushy.Sushy:
    return sushy.Sushy(f"{url}/redfish/v1", auth=auth)


def _library(url: str, user: User) -> Any:
    """Return a client, which has read the root already."""
    return redfish.redfish_client(base_url=url, username=user[0], password=user[1])
