"""Pinned certificates: that one is let in, no other gets a byte of the request."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from taskfish.errors import SourceUnreachableError
from taskfish.plugins.emulator import Emulator, serve
from taskfish.plugins.transport import Call, Transport
from taskfish.plugins.trust import fingerprint_of
from taskfish.redfish.sources import Source, fingerprint
from tests.plugins.adapters import SETTINGS, connected, source_at
from tests.plugins.certificates import self_signed
from tests.plugins.faulty_socket import serving
from tests.plugins.scripted_service import http, scripted

GET = Call("GET", "/redfish/v1", headers={"Authorization": "Basic c2VjcmV0"})
OTHER = fingerprint("ab" * 32)


def pin_of(pem: str) -> str:
    return fingerprint_of(ssl.PEM_cert_to_DER_cert(pem))


@asynccontextmanager
async def opened(source: Source) -> AsyncIterator[Transport]:
    transport = Transport(source, SETTINGS, 4)
    try:
        yield transport
    finally:
        await transport.aclose()


@pytest.mark.parametrize(
    "text", ["ab" * 32, "AB" * 32, ":".join(["ab"] * 32), ":".join(["aB"] * 32)]
)
def test_every_spelling_of_a_fingerprint_is_kept_as_one(text: str) -> None:
    assert fingerprint(text) == ":".join(["AB"] * 32)


@pytest.mark.parametrize(
    "text",
    ["", "ab", "ab" * 20, "ab" * 33, "zz" * 32, ":".join(["ab"] * 31), "ab" * 32 + "\n"]
    + [
        f"sha256:{'ab' * 32}",
        "ab:" + "ab" * 31,
        " " + "ab" * 32,
        "ab " * 32,
        "１２" * 32,
    ],
)
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        fingerprint(text)


@pytest.mark.parametrize("options", [{}, {"verify_certificate": False}])
@pytest.mark.parametrize("name", ["127.0.0.1", "bmc.example"])
async def test_pinned_certificate_is_let_in_whoever_made_it(
    name: str, options: dict[str, Any]
) -> None:
    pem, tls = self_signed(name)
    async with scripted(tls) as service:
        service.on("GET /redfish/v1", http(200, {}))
        source = source_at(service.url, fingerprint=pin_of(pem), **options)
        async with opened(source) as transport:
            for _ in range(2):
                assert (await transport.ask(GET)).status == 200
        assert service.connections == 1


@pytest.mark.parametrize("trusted", [True, False])
async def test_other_certificate_gets_no_byte_of_the_request(trusted: bool) -> None:
    """Also one that its authority vouches for, or that nobody verifies."""
    pem, tls = self_signed("127.0.0.1")
    received = bytearray()
    ended = asyncio.Event()

    async def listen(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            received.extend(await reader.read())
        finally:
            ended.set()

    options = {"ca_certificate": pem} if trusted else {"verify_certificate": False}
    async with serving(listen, tls) as url:
        source = source_at(url, fingerprint=OTHER, **options)
        async with opened(source) as transport:
            for call in (transport.ask, transport.send_once):
                ended.clear()
                with pytest.raises(SourceUnreachableError, match="check Fingerprint"):
                    await call(GET)
                await asyncio.wait_for(ended.wait(), 5)
    assert received == b""


async def test_error_names_the_certificate_that_was_shown() -> None:
    pem, tls = self_signed("127.0.0.1")
    async with scripted(tls) as service:
        async with opened(source_at(service.url, fingerprint=OTHER)) as transport:
            with pytest.raises(SourceUnreachableError) as raised:
                await transport.send_once(GET)
        assert service.asked == []
    assert f"another certificate than its own: {pin_of(pem)}, nothing" in str(
        raised.value
    )


async def test_pin_without_tls_gets_no_byte_of_the_request() -> None:
    async with scripted() as service:
        async with opened(source_at(service.url, fingerprint=OTHER)) as transport:
            with pytest.raises(SourceUnreachableError, match="plain http"):
                await transport.ask(GET)
        assert service.asked == []


async def test_plain_server_at_a_pinned_https_address_is_unreachable() -> None:
    async with scripted() as service:
        url = service.url.replace("http:", "https:")
        async with opened(source_at(url, fingerprint=OTHER)) as transport:
            with pytest.raises(SourceUnreachableError, match="does not speak our TLS"):
                await transport.ask(GET)
        assert all(b"Basic" not in asked.content for asked in service.asked)


async def test_pin_holds_on_an_instance_too() -> None:
    """A plugin's other instances are at other addresses, with the same certificate."""
    _, tls = self_signed("localhost")
    async with scripted(tls) as service:
        url = service.url.replace("127.0.0.1", "localhost")
        async with opened(source_at(url, fingerprint=OTHER)) as transport:
            call = Call("GET", "/redfish/v1", instance="127.0.0.1")
            with pytest.raises(SourceUnreachableError, match="check Fingerprint"):
                await transport.ask(call)
        assert service.asked == []


async def test_emulated_bmc_is_spoken_to_over_tls() -> None:
    pem, tls = self_signed("127.0.0.1")
    async with serve(Emulator(0, 1), tls=tls) as addresses:
        (url,) = addresses.bmcs
        assert url.startswith("https://")
        for options in ({"ca_certificate": pem}, {"fingerprint": pin_of(pem)}):
            async with connected(url, password="password", **options) as bmc:
                assert (await bmc.identify()).uuid
        async with connected(url, password="password") as bmc:
            with pytest.raises(SourceUnreachableError, match="not trusted"):
                await bmc.identify()
