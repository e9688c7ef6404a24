"""How the API is served: where, over what, and what a rude client gets."""

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse

from taskfish.cli.api_server import server_options
from taskfish.cli.http_protocol import HEAD_BYTES
from taskfish.errors import ConfigurationError
from taskfish.settings import Settings
from tests.cli.certificates import write_pair

LINGER = 4.0


class Served:
    """A small application behind the API's server."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server = server
        self.port = port
        self.broken_off = 0

    async def until_connections(self, number: int) -> None:
        """Wait until there are so many, and nothing is done for others."""
        state = self.server.server_state
        async with asyncio.timeout(LINGER):
            while len(state.connections) != number or len(state.tasks) > number:
                await asyncio.sleep(0.02)

    async def exchange(
        self, *parts: bytes, tls: ssl.SSLContext | None = None, pause: float = 0
    ) -> bytes:
        """Send parts as they are, until the answer; return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            pass
        answer = b""
        try:
            async with asyncio.timeout(LINGER):
                answer = await _answer(reader)
        finally:
            writer.close()
        return answer


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer with its body; what there is if the connection ends first."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except ConnectionError:
        return b""
    length = re.search(rb"content-length: (\d+)", head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@asynccontextmanager
async def served(padding: int = 0, **changes: Any) -> AsyncIterator[Served]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            body = await request.body()
        except Exception:
            found.broken_off += 1
            return
        content = {"scheme": scope["scheme"], "body": len(body)}
        content["padding"] = "x" * padding
        if scope["client"]:
            content["client"] = scope["client"][0]
        await JSONResponse(content)(scope, receive, send)

    settings = Settings(**changes)
    options = server_options(lambda: app, settings, "127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(**options, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        assert not serving.done(), serving.result()
    found = Served(server, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, 10)


def status(answer: bytes) -> int:
    return int(answer.split()[1])


def refusal(host: str, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        server_options(lambda: None, Settings(**changes), host, 0)
    return str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_plain_http_is_served_on_loopback(host: str) -> None:
    options = server_options(lambda: None, Settings(), host, 0)
    assert options["ssl_context_factory"] is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "224.0.0.1"])
def test_plain_http_elsewhere_is_refused(host: str) -> None:
    said = refusal(host)
    assert "TASKFISH_TLS_CERT" in said
    assert "TASKFISH_PLAIN_HTTP=yes-without-encryption" in said


def test_plain_http_elsewhere_is_served_if_told_in_so_many_words() -> None:
    told = Settings(plain_http="yes-without-encryption")
    assert server_options(lambda: None, told, "0.0.0.0", 0)["host"] == "0.0.0.0"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1"])
def test_power_without_login_elsewhere_is_refused(host: str) -> None:
    told = {"plain_http": "yes-without-encryption", "baremetal_auth": "none"}
    assert "TASKFISH_BAREMETAL_AUTH=none" in refusal(host, **told)


def test_power_without_login_is_served_on_loopback() -> None:
    settings = Settings(baremetal_auth="none")
    assert server_options(lambda: None, settings, "127.0.0.1", 0)["port"] == 0


@pytest.mark.parametrize("value", ["*", "proxy.example", "10.0.0.1,", "10.0.0.0/99"])
def test_proxies_that_are_no_addresses_are_a_wrong_setting(value: str) -> None:
    with pytest.raises(ValueError, match="addresses or networks"):
        Settings(trusted_proxies=value)


@pytest.mark.parametrize("value", ["0.0.0.0/0", "::/0", "10.0.0.1, ::/0"])
def test_proxies_that_are_everybody_are_a_wrong_setting(value: str) -> None:
    with pytest.raises(ValueError, match="everybody"):
        Settings(trusted_proxies=value)


@pytest.mark.parametrize("value", ["yes", "true", "1", "", "YES-WITHOUT-ENCRYPTION"])
def test_fewer_words_are_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TASKFISH_PLAIN_HTTP", value)
    with pytest.raises(ValueError, match="yes-without-encryption"):
        Settings()


def test_host_that_is_none_is_explained() -> None:
    assert "is no address of this machine" in refusal("no.such.host.invalid")


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    assert "needs TASKFISH_TLS_KEY" in refusal("127.0.0.1", tls_cert=certificate)
    assert "needs TASKFISH_TLS_CERT" in refusal("127.0.0.1", tls_key=key)


def test_bad_pair_is_refused_on_loopback_too(tmp_path: Path) -> None:
    certificate, _ = write_pair(tmp_path)
    _, key = write_pair(tmp_path, "other")
    assert "is not the key" in refusal("::1", tls_cert=certificate, tls_key=key)


async def test_https_is_served_from_tls_1_2_on(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    trust = ssl.create_default_context(cafile=certificate)
    async with served(tls_cert=certificate, tls_key=key) as found:
        url = f"https://127.0.0.1:{found.port}"
        async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
            answer = await client.get(url)
        assert answer.json()["scheme"] == "https"
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await found.exchange(b"GET / HTTP/1.1\r\n\r\n", tls=old)


async def test_plain_request_to_https_gets_nothing(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    async with served(tls_cert=certificate, tls_key=key) as found:
        answer = await found.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not answer.startswith(b"HTTP/1.1 200")


async def test_answer_says_nothing_of_the_server() -> None:
    async with served() as found:
        answer = await found.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status(answer) == 200
    assert b"\r\nserver:" not in answer.lower()
    assert answer.lower().count(b"\r\ndate:") == 1


async def test_answers_are_not_held_back_by_nagle() -> None:
    async with served() as found:
        url = f"http://127.0.0.1:{found.port}"
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(url)
            (connection,) = found.server.server_state.connections
            accepted = connection.transport.get_extra_info("socket")
            option = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert option != 0


HEADS = {
    "a long header": b"X: " + b"a" * (100 << 10) + b"\r\n",
    "many long headers": b"".join(
        b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(100)
    ),
    "a header that never ends": b"X: " + b"a" * (1 << 20),
}


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("piece", [1000, 1 << 22])
async def test_head_beyond_the_limit_is_431_or_left_to_the_app(
    name: str, piece: int
) -> None:
    """One that arrives whole in one read is the application's to refuse (431 too)."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + HEADS[name] + b"\r\n"
    parts = [head[at : at + piece] for at in range(0, len(head), piece)]
    async with served() as found:
        answer = await found.exchange(*parts)
    if status(answer) == 200:
        assert piece > HEAD_BYTES
        return
    assert status(answer) == 431
    assert b"connection: close" in answer
    said = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert said["error"]["@Message.ExtendedInfo"][0]["MessageId"].startswith("Base.")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\x00b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_http_is_400_in_redfishs_form(request_bytes: bytes) -> None:
    async with served(request_timeout=0.5) as found:
        answer = await found.exchange(request_bytes)
    assert status(answer) in (400, 408, 501)
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body["error"]["code"]


async def test_garbled_chunk_is_400_and_the_app_is_told() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with served() as found:
        answer = await found.exchange(head, b"zz\r\n{}", pause=0.05)
        await asyncio.sleep(0)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert found.broken_off == 1


async def test_head_that_drips_is_408() -> None:
    async with served(request_timeout=0.3) as found:
        began = time.monotonic()
        answer = await found.exchange(
            b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 20, pause=0.05
        )
    assert status(answer) == 408
    assert time.monotonic() - began < 3


async def test_body_that_drips_is_408_and_the_app_is_told() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    async with served(request_timeout=0.3) as found:
        answer = await found.exchange(head, *[b"x"] * 20, pause=0.05)
    assert status(answer) == 408
    assert found.broken_off == 1


async def test_silent_connection_is_ended() -> None:
    async with served(request_timeout=0.2) as found:
        assert status(await found.exchange()) == 408


async def test_kept_connection_is_not_timed_while_it_is_idle() -> None:
    async with served(request_timeout=0.2) as found:
        url = f"http://127.0.0.1:{found.port}"
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(3):
                assert (await client.post(url, content=b"{}")).json()["body"] == 2
                await asyncio.sleep(0.3)
            assert len(found.server.server_state.connections) == 1


async def test_second_request_of_a_kept_connection_may_not_drip() -> None:
    first = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    async with served(request_timeout=0.2) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(first)
        assert status(await _answer(reader)) == 200
        writer.write(b"GET /")
        async with asyncio.timeout(3):
            assert status(await _answer(reader)) == 408
        writer.close()


async def test_pipelined_requests_are_answered_in_turn() -> None:
    async with served(request_timeout=0.3) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        for _ in range(3):
            assert status(await _answer(reader)) == 200
        writer.close()


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def clients_that_read_nothing(
    found: Served, number: int, sent: bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Send, and leave unread all that comes back."""
    opened: list[Any] = []
    try:
        for _ in range(number):
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setblocking(False)
            address = ("127.0.0.1", found.port)
            await asyncio.get_running_loop().sock_connect(small, address)
            name = "127.0.0.1" if tls else None
            reader, writer = await asyncio.open_connection(
                sock=small, ssl=tls, server_hostname=name, limit=1
            )
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(sent)
            opened.append((reader, writer))
        yield
    finally:
        for _, writer in opened:
            writer.transport.abort()


@pytest.mark.parametrize(
    ("sent", "over_tls"),
    [(REQUEST, False)]
    + [(sent, tls) for sent in (REQUEST * 50, LAST) for tls in (False, True)],
)
async def test_client_that_reads_nothing_is_cut(
    tmp_path: Path, sent: bytes, over_tls: bool
) -> None:
    changes: dict[str, Any] = {"request_timeout": 0.5, "padding": 8 << 20}
    trust = None
    if over_tls:
        certificate, key = write_pair(tmp_path)
        changes |= {"tls_cert": certificate, "tls_key": key}
        trust = ssl.create_default_context(cafile=certificate)
    async with (
        served(**changes) as found,
        clients_that_read_nothing(found, 3, sent, trust),
    ):
        await found.until_connections(3)
        await found.until_connections(0)


async def test_idle_client_is_cut_whatever_it_has_not_read(tmp_path: Path) -> None:
    """Over TLS some of it lies where nobody counts it."""
    certificate, key = write_pair(tmp_path)
    trust = ssl.create_default_context(cafile=certificate)
    changes: dict[str, Any] = {"tls_cert": certificate, "tls_key": key}
    async with served(padding=8 << 20, **changes) as found:
        found.server.config.timeout_keep_alive = 1
        async with clients_that_read_nothing(found, 1, REQUEST, trust):
            await found.until_connections(1)
            await found.until_connections(0)


async def test_client_that_reads_in_its_time_has_every_answer_whole() -> None:
    async with served(request_timeout=1, padding=1 << 20) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(REQUEST * 3)
        for _ in range(3):
            await asyncio.sleep(0.5)
            assert status(await _answer(reader)) == 200
        writer.close()


async def test_connection_too_many_is_503_and_the_others_go_on() -> None:
    async with served(max_connections=2) as found:
        kept = [await asyncio.open_connection("127.0.0.1", found.port) for _ in "12"]
        await found.until_connections(2)
        refused = await found.exchange(REQUEST)
        for reader, writer in kept:
            writer.write(REQUEST)
            assert status(await _answer(reader)) == 200
            writer.close()
        await found.until_connections(0)
        again = await found.exchange(REQUEST)
    head, _, body = refused.partition(b"\r\n\r\n")
    assert status(refused) == 503
    assert b"\r\nretry-after: 2\r\n" in head
    assert b"as many connections as it takes" in body
    assert status(again) == 200


async def test_forwarded_address_is_believed_of_trusted_proxies_only() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n"
    async with served() as found:
        assert b"10.1.2.3" not in await found.exchange(head)
    async with served(trusted_proxies="127.0.0.1") as found:
        assert b"10.1.2.3" in await found.exchange(head)


async def test_stop_does_not_wait_for_idle_clients(tmp_path: Path) -> None:
    """One that reads nothing any more does not end its TLS either."""
    certificate, key = write_pair(tmp_path)
    trust = ssl.create_default_context(cafile=certificate)
    async with served(tls_cert=certificate, tls_key=key) as found:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", found.port, ssl=trust
        )
        transport: Any = writer.transport
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(await _answer(reader)) == 200
        transport.pause_reading()
        began = time.monotonic()
        found.server.should_exit = True
        while found.server.server_state.connections:
            assert time.monotonic() - began < 4
            await asyncio.sleep(0.05)
    transport.abort()
