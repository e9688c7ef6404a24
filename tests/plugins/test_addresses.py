"""Addresses: what must not be reached is not, however it is written or named."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore
import httpx
import pytest

from taskfish.errors import AddressRefusedError, SourceUnreachableError
from taskfish.plugins.addresses import (
    CheckedBackend,
    CheckedTransport,
    Resolve,
    allowed,
    refused_kind,
)
from taskfish.plugins.transport import Call, Transport
from taskfish.settings import Settings
from tests.plugins import faulty_socket
from tests.plugins.adapters import source_at
from tests.plugins.scripted_service import ScriptedService, http, scripted

STRICT = Settings(connect_timeout=1, read_timeout=1, submit_answer_timeout=1)
GET = Call("GET", "/redfish/v1")
KINDS = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::127.0.0.1": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "2002:7f00:1::": "loopback",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "169.254.1.1": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "::ffff:169.254.1.1": "link-local",
    "169.254.169.254": "metadata",
    "::ffff:a9fe:a9fe": "metadata",
    "fd00:ec2::254": "metadata",
    "100.100.100.200": "metadata",
    "224.0.0.251": "multicast",
    "ff02::1": "multicast",
    "255.255.255.255": "broadcast",
    "240.0.0.1": "reserved",
    "255.255.255.254": "reserved",
    "64:ff9b:1::7f00:1": "translated",
    "64:ff9b:1:ffff::1": "translated",
    "fec0::1": "site-local",
    "feff::1": "site-local",
}


@asynccontextmanager
async def client(
    allow_local: bool, resolve: Resolve | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    backend = CheckedBackend(allow_local, resolve)
    transport = CheckedTransport(backend, ssl.create_default_context(), keep=1)
    async with httpx.AsyncClient(
        transport=transport, timeout=1, trust_env=False
    ) as opened:
        yield opened


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with scripted() as service:
        service.on("GET /redfish/v1", http(200, {}))
        yield service


@pytest.mark.parametrize(("address", "kind"), KINDS.items())
def test_address_that_may_not_be_reached_has_a_kind(address: str, kind: str) -> None:
    assert kind in (refused_kind(address) or "")


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "192.168.7.4", "172.16.0.1", "2001:db8::1", "fd12::1", "8.8.8.8"]
    + ["::ffff:10.0.0.1", "64:ff9b::a00:1", "128.0.0.1", "169.253.255.255"],
)
def test_other_addresses_may_be_reached(address: str) -> None:
    assert refused_kind(address) is None


def test_only_addresses_that_may_be_reached_remain() -> None:
    assert allowed("bmc", ["127.0.0.1", "10.0.0.1", "::1"]) == ["10.0.0.1"]
    with pytest.raises(
        AddressRefusedError, match=r"bmc means ::1, which is a loopback"
    ):
        allowed("bmc", ["::1", "127.0.0.1"])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001"]
    + ["127.1", "0.0.0.0", "LOCALHOST", "017700000001"],
)
async def test_no_spelling_reaches_this_machine(
    service: ScriptedService, host: str
) -> None:
    url = service.url.replace("127.0.0.1", host)
    async with client(allow_local=False) as checked:
        with pytest.raises(AddressRefusedError, match="ALLOW_LOCAL_ADDRESSES=true"):
            await checked.get(f"{url}/redfish/v1")
    assert service.connections == 0


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "169.254.7.7", "224.0.0.1", "[fe80::1]"]
)
async def test_forbidden_address_is_refused_without_a_connection(address: str) -> None:
    async with client(allow_local=False) as checked:
        with pytest.raises(AddressRefusedError, match="nothing was sent"):
            await checked.get(f"http://{address}/latest/meta-data")


async def test_own_address_of_any_kind_gets_no_byte(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback stands for an address that is only this machine's by chance."""
    monkeypatch.setattr("taskfish.plugins.addresses._KINDS", {})

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    url = service.url.replace("127.0.0.1", "bmc.example")
    async with client(allow_local=False, resolve=resolve) as checked:
        with pytest.raises(
            AddressRefusedError,
            match=r"means 127\.0\.0\.1, .* of this machine, .*ALLOW_LOCAL",
        ):
            await checked.get(f"{url}/redfish/v1")
    assert service.asked == []


async def test_redirect_to_this_machine_is_refused(service: ScriptedService) -> None:
    """The first host is let through as if it were another machine's."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    backend = CheckedBackend(allow_local=True, resolve=resolve)
    checked = CheckedBackend(allow_local=False)

    class OnlyFirstIsLetThrough(httpcore.AsyncNetworkBackend):
        async def connect_tcp(
            self, host: str, *rest: object, **options: object
        ) -> httpcore.AsyncNetworkStream:
            chosen = backend if host == "bmc.example" else checked
            return await chosen.connect_tcp(host, *rest, **options)  # type: ignore[arg-type]

    moved = http(302, None, Location=f"{service.url}/secret")
    service.on("GET /redfish/v1", moved)
    transport = CheckedTransport(
        OnlyFirstIsLetThrough(), ssl.create_default_context(), keep=1
    )
    url = service.url.replace("127.0.0.1", "bmc.example")
    async with httpx.AsyncClient(transport=transport, follow_redirects=True) as opened:
        with pytest.raises(AddressRefusedError):
            await opened.get(f"{url}/redfish/v1")
    assert service.lines() == ["GET /redfish/v1"]


async def test_name_is_resolved_once_and_the_checked_address_connected_to(
    service: ScriptedService,
) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    url = service.url.replace("127.0.0.1", "bmc.example")
    async with client(allow_local=True, resolve=resolve) as checked:
        assert (await checked.get(f"{url}/redfish/v1")).status_code == 200
    assert asked == ["bmc.example"]
    assert service.asked[0].headers["host"] == url.removeprefix("http://")


async def test_name_that_means_this_machine_later_is_refused(
    service: ScriptedService,
) -> None:
    """Rebinding: each new connection is checked, not only the name's first answer."""
    answers = [["2001:db8::7"], ["127.0.0.1"]]

    async def resolve(host: str, port: int) -> list[str]:
        found = answers.pop(0)
        return allowed(host, found) if len(answers) else found

    url = service.url.replace("127.0.0.1", "bmc.example")
    backend = CheckedBackend(allow_local=False, resolve=resolve)
    assert await resolve("bmc.example", 80) == ["2001:db8::7"]
    with pytest.raises(AddressRefusedError, match="127.0.0.1"):
        await backend.connect_tcp("bmc.example", httpx.URL(url).port or 0)
    assert service.connections == 0


async def test_next_address_of_a_name_is_tried(service: ScriptedService) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.9.9.9", "::1", "127.0.0.1"]

    url = service.url.replace("127.0.0.1", "bmc.example")
    async with client(allow_local=True, resolve=resolve) as checked:
        assert (await checked.get(f"{url}/redfish/v1")).status_code == 200


async def test_no_address_that_answers_is_a_failure_to_connect() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "127.0.0.2"]

    with faulty_socket.refused() as url:
        async with client(allow_local=True, resolve=resolve) as checked:
            with pytest.raises(httpx.ConnectError):
                await checked.get(url.replace("127.0.0.1", "bmc.example"))


async def test_name_that_nobody_knows_is_a_failure_to_connect() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    async with client(allow_local=False, resolve=resolve) as checked:
        with pytest.raises(httpx.ConnectError, match=r"bmc\.example"):
            await checked.get("http://bmc.example")


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
async def test_name_that_cannot_be_is_a_failure_to_connect(host: str) -> None:
    async with client(allow_local=False) as checked:
        with pytest.raises(httpx.ConnectError, match="cannot be resolved"):
            await checked.get(f"http://{host}/")


async def test_silent_resolver_is_a_time_out() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with client(allow_local=False, resolve=resolve) as checked:
        with pytest.raises(httpx.ConnectTimeout):
            await checked.get("http://bmc.example", timeout=0.05)


async def test_source_at_this_machine_is_refused_with_its_name(
    service: ScriptedService,
) -> None:
    transport = Transport(source_at(service.url), STRICT, 1)
    try:
        for call in (transport.ask, transport.send_once):
            with pytest.raises(AddressRefusedError, match=r"^source rack7: 127\.0\.0"):
                await call(GET)
    finally:
        await transport.aclose()
    assert service.connections == 0


async def test_instance_at_this_machine_is_refused(service: ScriptedService) -> None:
    """A plugin's X-Forwarded-For leads nowhere that its HostName may not."""
    url = service.url.replace("127.0.0.1", "10.255.255.1")
    transport = Transport(source_at(url), STRICT, 1)
    call = Call("GET", "/redfish/v1", instance="127.0.0.1")
    try:
        with pytest.raises(AddressRefusedError):
            await transport.ask(call)
    finally:
        await transport.aclose()
    assert service.connections == 0


def test_refusal_is_no_failure_to_try_again_after() -> None:
    assert not issubclass(AddressRefusedError, SourceUnreachableError)


def test_kinds_cover_what_the_standard_library_calls_local() -> None:
    for text in KINDS:
        found = ipaddress.ip_address(text)
        local = found.is_loopback or found.is_link_local or found.is_multicast
        assert not (local or found.is_unspecified) or refused_kind(text)
