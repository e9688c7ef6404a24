"""HTTP to one source: pools, limits, time, TLS, and what its faults mean for us."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import NamedTuple

import httpx
from pydantic import JsonValue

from taskfish.errors import (
    AddressRefusedError,
    AnswerLostError,
    SourceBusyError,
    SourceUnreachableError,
    TransientError,
)
from taskfish.plugins.addresses import CheckedTransport
from taskfish.plugins.origin import Origin
from taskfish.plugins.trust import backend_of, certificate_words, tls_of
from taskfish.redfish.sources import Source
from taskfish.settings import Settings

ANSWER_LIMIT = 1 << 20
"""Bytes of an answer's body that are kept (contracts.md 8)."""

_HEADERS = {
    "Accept": "application/json, */*;q=0.1",
    "Accept-Encoding": "identity",
    "OData-Version": "4.0",
    "User-Agent": "taskfish",
}


class Fault(NamedTuple):
    """What an exception of httpx says: was anything sent, and what to check."""

    sent: bool
    words: str


_CONNECT = "cannot be connected to: check HostName, port and the network"
_HOST_NAME = "has a HostName that is not a usable URL: check it"
_SILENT = "did not answer in time: check whether it is overloaded"
_BROKEN = "broke the connection off: check whether it has restarted"
_GARBLED = "did not answer in HTTP: check that HostName and port are a Redfish service"
_NO_ANSWER = (
    "did not answer in HTTP, or closed the connection before it had: check whether it"
    " has restarted, and that HostName and port are a Redfish service"
)
_MISUSE = "could not be read: see the gateway's log"

FAULTS: dict[type[Exception], Fault] = {
    httpx.ConnectError: Fault(False, _CONNECT),
    httpx.ConnectTimeout: Fault(False, _CONNECT),
    httpx.PoolTimeout: Fault(False, _SILENT),
    httpx.UnsupportedProtocol: Fault(False, _HOST_NAME),
    httpx.InvalidURL: Fault(False, _HOST_NAME),
    httpx.ReadTimeout: Fault(True, _SILENT),
    httpx.WriteTimeout: Fault(True, _SILENT),
    httpx.TimeoutException: Fault(True, _SILENT),
    httpx.ReadError: Fault(True, _BROKEN),
    httpx.WriteError: Fault(True, _BROKEN),
    httpx.CloseError: Fault(True, _BROKEN),
    httpx.NetworkError: Fault(True, _BROKEN),
    httpx.ProxyError: Fault(True, _BROKEN),
    httpx.RemoteProtocolError: Fault(True, _NO_ANSWER),
    httpx.LocalProtocolError: Fault(True, _GARBLED),
    httpx.ProtocolError: Fault(True, _GARBLED),
    httpx.TransportError: Fault(True, _BROKEN),
    httpx.DecodingError: Fault(True, _GARBLED),
    httpx.TooManyRedirects: Fault(True, _GARBLED),
    httpx.RequestError: Fault(True, _BROKEN),
    httpx.HTTPStatusError: Fault(True, _MISUSE),
    httpx.HTTPError: Fault(True, _BROKEN),
    httpx.StreamConsumed: Fault(True, _MISUSE),
    httpx.StreamClosed: Fault(True, _MISUSE),
    httpx.ResponseNotRead: Fault(True, _MISUSE),
    httpx.RequestNotRead: Fault(True, _MISUSE),
    httpx.StreamError: Fault(True, _MISUSE),
    httpx.CookieConflict: Fault(True, _MISUSE),
    TimeoutError: Fault(True, _SILENT),
    OSError: Fault(True, _BROKEN),
}
"""Every exception class of httpx, and what the event loop raises beside it."""


@dataclass(frozen=True)
class Call:
    """One request to a source; `uri` is a path of the source's own, with its query.

    `body` is sent as JSON unless None. `urgent` passes the limit of concurrent calls.
    `instance` is an address that answers for the source's host.
    """

    method: str
    uri: str
    body: JsonValue = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    urgent: bool = False
    instance: str | None = None

    def with_headers(self, headers: dict[str, str]) -> "Call":
        """Return the call with these headers added."""
        return replace(self, headers={**self.headers, **headers})


@dataclass(frozen=True)
class Reply:
    """A whole answer. Names of headers are in lower case; `uri` is that of its call.

    `cut` says that the body was longer than `ANSWER_LIMIT` and `content` its begin.
    """

    uri: str
    status: int
    headers: dict[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    cut: bool = False


class Transport:
    """The connections to one source."""

    def __init__(self, source: Source, settings: Settings, calls: int) -> None:
        """Prepare for a source; `calls` is how many calls may be under way at once."""
        self.name = source.id
        self._base_url = source.base_url
        self._slots = asyncio.Semaphore(calls)
        # TCP and TLS may each take the whole time for connecting.
        self._ask_seconds = settings.read_timeout + 2 * settings.connect_timeout
        self._send_seconds = (
            settings.submit_answer_timeout + 2 * settings.connect_timeout
        )
        self._pooled = _client(source, settings, settings.read_timeout, keep=calls)
        self._fresh = _client(source, settings, settings.submit_answer_timeout, keep=0)

    @cached_property
    def origin(self) -> Origin:
        """Where the source is; `SourceUnreachableError` if its HostName is no URL."""
        try:
            return Origin.of(self._base_url)
        except ValueError:
            # Not chained: the text of a ValueError may quote a password.
            text = f"source {self.name} {_HOST_NAME}"
            raise SourceUnreachableError(text) from None

    async def ask(self, call: Call) -> Reply:
        """Make a call that may be repeated, on a pooled connection.

        Raises `SourceUnreachableError` whatever went wrong.
        """
        async with self._slot(call):
            return await self._exchange(
                self._pooled, call, self._ask_seconds, SourceUnreachableError
            )

    async def send_once(self, call: Call) -> Reply:
        """Make a call that must not be repeated, on a connection of its own.

        The caller holds a `turn`.

        A reused connection may be closed under a request, and then nobody knows
        (contracts.md 3). Raises `SourceUnreachableError` if surely nothing was sent,
        `AnswerLostError` otherwise.
        """
        return await self._exchange(
            self._fresh, call, self._send_seconds, AnswerLostError
        )

    @asynccontextmanager
    async def turn(self, seconds: float) -> AsyncIterator[None]:
        """Hold one of the concurrent calls; raise `SourceBusyError` if none is free."""
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError as exc:
            raise SourceBusyError(
                f"all concurrent calls to source {self.name} are taken",
                retry_after=seconds,
            ) from exc
        try:
            yield
        finally:
            self._slots.release()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pooled.aclose()
        await self._fresh.aclose()

    @asynccontextmanager
    async def _slot(self, call: Call) -> AsyncIterator[None]:
        if call.urgent:
            yield
            return
        async with self._slots:
            yield

    async def _exchange(
        self,
        client: httpx.AsyncClient,
        call: Call,
        seconds: float,
        lost: type[TransientError],
    ) -> Reply:
        """Send and read the whole answer, within `seconds` in all."""
        try:
            async with asyncio.timeout(seconds):
                request = self._request(client, call)
                response = await client.send(request, stream=True)
                return await _whole(response, call.uri)
        except tuple(FAULTS) as exc:
            fault = fault_of(exc)
            raised = lost if fault.sent else SourceUnreachableError
            words = certificate_words(exc) or fault.words
            raise raised(f"source {self.name} at {self.origin} {words}") from exc
        except AddressRefusedError as exc:
            raise AddressRefusedError(f"source {self.name}: {exc}") from exc

    def _request(self, client: httpx.AsyncClient, call: Call) -> httpx.Request:
        origin, extensions = self.origin, {}
        if call.instance is not None:
            origin = replace(self.origin, host=call.instance)
            extensions = {"sni_hostname": self.origin.host}
        headers = {**_HEADERS, **call.headers, "Host": self.origin.netloc}
        content = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(call.body, separators=(",", ":")).encode()
        try:
            return client.build_request(
                call.method,
                f"{origin}{call.uri}",
                headers=[
                    (name.encode(), value.encode("latin-1", "replace"))
                    for name, value in headers.items()
                ],
                content=content,
                extensions=extensions,
            )
        except UnicodeError as exc:
            raise httpx.InvalidURL("the URL cannot be encoded") from exc


def fault_of(exc: Exception) -> Fault:
    """Return the entry of an exception's class, or of its nearest parent's."""
    return next(FAULTS[kind] for kind in type(exc).__mro__ if kind in FAULTS)


def _client(
    source: Source, settings: Settings, read: float, keep: int
) -> httpx.AsyncClient:
    """Return a client that keeps `keep` idle connections, and no cookies.

    A kept session cookie makes some BMCs (bmcweb) ask for a CSRF token.
    """
    backend = backend_of(source.options, settings.allow_local_addresses)
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(
        transport=CheckedTransport(backend, tls_of(source.options), keep),
        trust_env=False,
        follow_redirects=False,
        cookies=no_cookies,
        timeout=httpx.Timeout(read, connect=settings.connect_timeout, pool=None),
    )


async def _whole(response: httpx.Response, uri: str) -> Reply:
    content = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > ANSWER_LIMIT:
                break
    finally:
        await response.aclose()
    return Reply(
        uri=uri,
        status=response.status_code,
        headers=dict(response.headers),
        content=bytes(content[:ANSWER_LIMIT]),
        cut=len(content) > ANSWER_LIMIT,
    )
