"""Failed logins: how many one address may send, and whom that holds up."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from api.login_limits import LoginLimits
from taskfish.errors import ConfigurationError, RequestRefusedError
from taskfish.settings import Settings, load_settings
from tests.api.accounts import account
from tests.api.answers import message_keys
from tests.api.sessions import (
    SESSIONS,
    SYSTEMS,
    another_api,
    forget_sessions,
    log_in,
    status_of,
    token_of,
)
from tests.house import PASSWORD, USER, House

ADMIN = (USER, PASSWORD)
WRONG = (USER, "wrong-password")
RATES = {"login_rate": "3/minute", "login_rate_per_name": "6/minute"}


def client_from(client: httpx.AsyncClient, address: str) -> httpx.AsyncClient:
    """Give a client of the same API process at another address."""
    assert isinstance(client._transport, httpx.ASGITransport)
    transport = httpx.ASGITransport(client._transport.app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


@pytest.fixture
async def client(shared_house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that may fail three times a minute."""
    async with another_api(shared_house, **RATES) as opened:
        yield opened
    await forget_sessions(shared_house)


async def fail(client: httpx.AsyncClient, times: int) -> None:
    for _ in range(times):
        assert (await client.get(SYSTEMS, auth=WRONG)).status_code == 401


async def test_too_many_failed_logins_have_to_wait(client: httpx.AsyncClient) -> None:
    token = await token_of(client, ADMIN)
    await fail(client, 2)
    assert (await log_in(client, ("nobody", "x"))).status_code == 401
    for refused in (
        await client.get(SYSTEMS, auth=WRONG),
        await client.get(SYSTEMS, auth=ADMIN),
        await log_in(client, ADMIN),
    ):
        assert refused.status_code == 429
        assert message_keys(refused) == ["ServiceTemporarilyUnavailable"]
        seconds = int(refused.headers["Retry-After"])
        assert 0 < seconds <= 60
        assert f"in {seconds} seconds" in refused.text
    assert await status_of(client, token) == 200
    assert (await client.get("/redfish/v1")).status_code == 200


async def test_remembered_password_is_no_way_around(
    shared_house: House, client: httpx.AsyncClient
) -> None:
    async with account(shared_house, "ReadOnly") as user:
        assert (await client.get(SYSTEMS, auth=user)).status_code == 200
        await fail(client, 3)
        assert (await client.get(SYSTEMS, auth=user)).status_code == 429


async def test_failures_at_once_do_not_pass_the_limit(
    shared_house: House, client: httpx.AsyncClient
) -> None:
    async with account(shared_house, "ReadOnly") as (name, _):
        wrong = [(name, f"wrong-password-{number}") for number in range(9)]
        answers = await asyncio.gather(*(client.get(SYSTEMS, auth=w) for w in wrong))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(401) in (3, 4)
    assert statuses[-1] == 429


async def test_right_logins_are_not_counted(client: httpx.AsyncClient) -> None:
    logins = [log_in(client, ADMIN) for _ in range(50)]
    answers = await asyncio.gather(*logins)
    assert {answer.status_code for answer in answers} == {201}


@pytest.mark.parametrize("is_administrator", [True, False])
async def test_failures_of_others_lock_nobody_out(
    shared_house: House, is_administrator: bool
) -> None:
    async with account(shared_house, "ReadOnly") as user:
        right = ADMIN if is_administrator else user
        async with another_api(shared_house, login_rate_per_name="2/minute") as mine:
            assert (await mine.get(SYSTEMS, auth=right)).status_code == 200
            for address, status in (("a", 401), ("b", 401), ("c", 429)):
                other = client_from(mine, f"2001:db8:{address}::1")
                wrong = await other.get(SYSTEMS, auth=(right[0], "wrong-password"))
                assert wrong.status_code == status
            assert (await other.get(SYSTEMS, auth=right)).status_code == 429
            assert (await mine.get(SYSTEMS, auth=right)).status_code == 200


async def test_wrong_token_is_no_failed_login(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        assert await status_of(client, {"X-Auth-Token": "0" * 64}) == 401
    assert (await client.get(SESSIONS, auth=ADMIN)).status_code == 200


def limits_of(**rates: str) -> LoginLimits:
    return LoginLimits(Settings().model_copy(update=RATES | rates))


def held_up(limits: LoginLimits, address: str, name: str) -> bool:
    try:
        limits.check(address, name)
    except RequestRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
        ("", "", "192.0.2.1"),
    ],
)
def test_address_waits_and_others_do_not(address: str, same: str, other: str) -> None:
    limits = limits_of()
    for number in range(3):
        assert not held_up(limits, address, "eve")
        limits.note_failure(address, f"name{number}")
    assert held_up(limits, same, "eve")
    assert not held_up(limits, other, "eve")


def test_name_waits_after_failures_from_many_addresses() -> None:
    limits = limits_of()
    for number in range(6):
        assert not held_up(limits, "192.0.2.200", "eve")
        limits.note_failure(f"192.0.2.{number}", "eve")
    assert held_up(limits, "192.0.2.200", "eve")
    assert not held_up(limits, "192.0.2.200", "adam")


def test_name_does_not_wait_where_its_login_was_right() -> None:
    limits = limits_of()
    limits.note_success("2001:db8::1", "admin")
    for number in range(60):
        limits.note_failure(f"2001:db8:1:{number:x}::1", "admin")
    assert held_up(limits, "2001:db8:2::1", "admin")
    assert not held_up(limits, "2001:db8::2", "admin")
    for _ in range(3):
        limits.note_failure("2001:db8::3", "admin")
    assert held_up(limits, "2001:db8::2", "admin")


async def test_wait_ends_with_its_window() -> None:
    limits = limits_of(login_rate="1/second")
    limits.note_failure("192.0.2.1", "eve")
    assert held_up(limits, "192.0.2.1", "eve")
    async with asyncio.timeout(5):
        while held_up(limits, "192.0.2.1", "eve"):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "value", ["", "30", "often", "0/minute", "30/fortnight", "30 /minute"]
)
@pytest.mark.parametrize("name", ["LOGIN_RATE", "LOGIN_RATE_PER_NAME"])
def test_rate_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"TASKFISH_{name}", value)
    with pytest.raises(ConfigurationError, match=f"TASKFISH_{name}: .*30/minute"):
        load_settings()
