"""The transport: faults, limits, TLS, and what never leaves the process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest

from taskfish.errors import AnswerLostError, SourceUnreachableError
from taskfish.plugins.transport import ANSWER_LIMIT, FAULTS, Call, Transport
from taskfish.redfish.sources import Source
from taskfish.settings import Settings
from tests.plugins import faulty_socket
from tests.plugins.adapters import SETTINGS, source_at
from tests.plugins.certificates import self_signed
from tests.plugins.scripted_service import ScriptedService, http, scripted

GET = Call("GET", "/redfish/v1")
POST = Call("POST", "/redfish/v1/Systems", body={"Name": "one"})
HASTY = Settings(
    connect_timeout=0.1,
    read_timeout=0.1,
    submit_answer_timeout=0.1,
    allow_local_addresses=True,
)


@asynccontextmanager
async def opened(
    source: Source, settings: Settings = SETTINGS, calls: int = 4
) -> AsyncIterator[Transport]:
    transport = Transport(source, settings, calls)
    try:
        yield transport
    finally:
        await transport.aclose()


@pytest.fixture
async def service() -> AsyncIterator[ScriptedService]:
    async with scripted() as service:
        service.on("GET /redfish/v1", http(200, {"Id": "RootService"}))
        service.on("POST /redfish/v1/Systems", http(204))
        yield service


def httpx_errors() -> Iterator[type[Exception]]:
    found: list[type[Exception]] = [
        httpx.HTTPError,
        httpx.StreamError,
        httpx.InvalidURL,
        httpx.CookieConflict,
    ]
    while found:
        kind = found.pop()
        found += kind.__subclasses__()
        yield kind


@pytest.mark.parametrize("kind", list(httpx_errors()))
def test_every_httpx_exception_has_an_entry(kind: type[Exception]) -> None:
    assert kind in FAULTS


def test_only_failures_to_connect_count_as_unsent() -> None:
    unsent = {kind.__name__ for kind, fault in FAULTS.items() if not fault.sent}
    assert unsent == {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "UnsupportedProtocol",
        "InvalidURL",
    }


async def test_refused_connection_means_nothing_was_sent() -> None:
    with faulty_socket.refused() as url:
        async with opened(source_at(url)) as transport:
            with pytest.raises(SourceUnreachableError, match="check HostName, port"):
                await transport.send_once(POST)
            with pytest.raises(SourceUnreachableError):
                await transport.ask(GET)


BROKEN = {
    "accepts, then closes": faulty_socket.close_at_once,
    "closes after the request": faulty_socket.close_after_request,
    "never answers": faulty_socket.never_answer,
    "drips for ever": faulty_socket.dripping(http(200, {"Id": "1"}), 0.05),
} | {
    name: faulty_socket.answering(content)
    for name, content in faulty_socket.HALF_ANSWERS.items()
}


@pytest.mark.parametrize("name", BROKEN)
async def test_answer_to_a_change_is_lost(name: str) -> None:
    async with (
        faulty_socket.serving(BROKEN[name]) as url,
        opened(source_at(url), HASTY) as transport,
    ):
        with pytest.raises(AnswerLostError, match="source rack7 at http"):
            await transport.send_once(POST)


@pytest.mark.parametrize("name", BROKEN)
async def test_read_without_whole_answer_may_be_repeated(name: str) -> None:
    async with (
        faulty_socket.serving(BROKEN[name]) as url,
        opened(source_at(url), HASTY) as transport,
    ):
        with pytest.raises(SourceUnreachableError) as raised:
            await transport.ask(GET)
    assert isinstance(raised.value.__cause__, tuple(FAULTS))


@pytest.mark.parametrize(
    "host_name",
    [
        "http://[bad",
        "http://xn--a",
        "ftp://10.0.0.1",
        "http://",
        "http://10.0.0.1:99999",
        "http://host:port",
        "http://a..b",
        f"http://{'a' * 70}.example",
        "http://admin:s3cret",
        "https://admin:s3cret@:443",
    ],
)
async def test_bad_host_name_is_unreachable(host_name: str) -> None:
    async with opened(source_at(host_name)) as transport:
        with pytest.raises(SourceUnreachableError, match="HostName") as raised:
            await transport.send_once(POST)
    assert "s3cret" not in f"{raised.value}{raised.value.__cause__}"


@pytest.mark.parametrize("path", ["/a\x00b", "/a\nb", "/" + "a" * 70_000])
async def test_unsendable_path_is_not_sent(service: ScriptedService, path: str) -> None:
    async with opened(source_at(service.url)) as transport:
        with pytest.raises(SourceUnreachableError):
            await transport.send_once(Call("POST", path))
    assert service.asked == []


async def test_user_info_of_a_host_name_stays_here(service: ScriptedService) -> None:
    url = service.url.replace("//", "//admin:s3cret@")
    async with opened(source_at(url)) as transport:
        await transport.ask(GET)
    assert "authorization" not in service.asked[0].headers
    with faulty_socket.refused() as closed:
        url = closed.replace("//", "//admin:s3cret@")
        async with opened(source_at(url)) as transport:
            with pytest.raises(SourceUnreachableError) as raised:
                await transport.ask(GET)
    assert "s3cret" not in str(raised.value)


async def test_untrusted_certificate_stops_before_sending() -> None:
    _, tls = self_signed("127.0.0.1")
    async with scripted(tls) as service, opened(source_at(service.url)) as transport:
        with pytest.raises(SourceUnreachableError, match="certificate.*not trusted"):
            await transport.send_once(POST)
        assert service.asked == []


async def test_certificate_for_another_name_stops_before_sending() -> None:
    pem, tls = self_signed("bmc.example")
    async with scripted(tls) as service:
        source = source_at(service.url, ca_certificate=pem)
        async with opened(source) as transport:
            with pytest.raises(SourceUnreachableError, match="certificate"):
                await transport.send_once(POST)
        assert service.asked == []


async def test_unreadable_ca_certificate_trusts_nobody() -> None:
    _, tls = self_signed("127.0.0.1")
    async with scripted(tls) as service:
        source = source_at(service.url, ca_certificate="-----BEGIN NONSENSE-----")
        async with opened(source) as transport:
            with pytest.raises(SourceUnreachableError, match="check CACertificate"):
                await transport.ask(GET)


async def test_own_ca_or_no_verification_lets_in() -> None:
    pem, tls = self_signed("127.0.0.1")
    async with scripted(tls) as service:
        service.on("GET /redfish/v1", http(200, {}))
        for options in ({"ca_certificate": pem}, {"verify_certificate": False}):
            async with opened(source_at(service.url, **options)) as transport:
                assert (await transport.ask(GET)).status == 200


async def test_tls_to_a_plain_port_says_so(service: ScriptedService) -> None:
    source = source_at(service.url.replace("http:", "https:"))
    async with opened(source) as transport:
        with pytest.raises(SourceUnreachableError, match="does not speak our TLS"):
            await transport.send_once(POST)


async def test_instance_is_called_by_its_address_as_the_host() -> None:
    pem, tls = self_signed("localhost")
    async with scripted(tls) as service:
        service.on("GET /redfish/v1", http(200, {}))
        url = service.url.replace("127.0.0.1", "localhost")
        async with opened(source_at(url, ca_certificate=pem)) as transport:
            call = Call("GET", "/redfish/v1", instance="127.0.0.1")
            assert (await transport.ask(call)).status == 200
        assert service.asked[0].headers["host"] == url.removeprefix("https://")


async def test_calls_wait_for_a_free_slot(service: ScriptedService) -> None:
    service.delay = 0.05
    async with opened(source_at(service.url), calls=3) as transport:
        await asyncio.gather(*(transport.ask(GET) for _ in range(9)))
    assert service.most_at_once == 3


async def test_urgent_call_passes_the_limit(service: ScriptedService) -> None:
    service.delay = 0.2
    service.on("DELETE /taskmon/1", http(204))
    async with opened(source_at(service.url), calls=1) as transport:
        slow = [asyncio.create_task(transport.ask(GET)) for _ in range(3)]
        await asyncio.sleep(0.05)
        await transport.ask(Call("DELETE", "/taskmon/1", urgent=True))
        assert not slow[1].done()
        await asyncio.gather(*slow)


async def test_reads_share_connections_and_changes_do_not(
    service: ScriptedService,
) -> None:
    async with opened(source_at(service.url)) as transport:
        for _ in range(3):
            await transport.ask(GET)
        assert service.connections == 1
        for _ in range(3):
            await transport.send_once(POST)
        assert service.connections == 4


async def test_cookies_proxies_and_redirects_are_left_alone(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    moved = http(307, None, Location="/elsewhere", Set_Cookie="SESSION=1; Path=/")
    service.on("GET /redfish/v1", moved)
    async with opened(source_at(service.url)) as transport:
        assert (await transport.ask(GET)).status == 307
        await transport.ask(GET)
    assert service.lines() == ["GET /redfish/v1"] * 2
    assert "cookie" not in service.asked[1].headers


async def test_endless_answer_is_cut(service: ScriptedService) -> None:
    service.on("GET /redfish/v1", http(200, b"x" * (ANSWER_LIMIT + 1)))
    async with opened(source_at(service.url)) as transport:
        reply = await transport.ask(GET)
    assert reply.cut
    assert len(reply.content) == ANSWER_LIMIT


async def test_odd_header_values_are_sent_as_bytes(service: ScriptedService) -> None:
    async with opened(source_at(service.url)) as transport:
        await transport.send_once(POST.with_headers({"If-Match": 'W/"é€"'}))
    assert service.asked[0].headers["if-match"] == 'W/"é?"'


def test_reprs_show_no_secrets() -> None:
    call = Call("POST", "/x", body={"Password": "s3cret"}, headers={"X": "s3cret"})
    assert "s3cret" not in repr(call)
