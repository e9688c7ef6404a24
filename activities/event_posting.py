"""HTTP to one subscriber: its own connections, its own time, and what went wrong."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx

from taskfish.errors import AddressRefusedError
from taskfish.plugins.addresses import CheckedBackend, CheckedTransport
from taskfish.plugins.transport import FAULTS
from taskfish.plugins.trust import certificate_words, tls_context
from taskfish.settings import Settings

ANSWER_BYTES = 4096
"""How much of a subscriber's answer is read, so that its connection can be kept."""
ANSWER_SECONDS = 1.0
"""How long that may take: what counts is the status, which was read before."""
OUR_HEADERS = {"Content-Type": "application/json", "User-Agent": "taskfish"}
_NOT_THEIRS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Headers by which a subscription could change what is sent, and to whom."""
_FAULTS: tuple[type[Exception], ...] = (
    *FAULTS,
    AddressRefusedError,
    UnicodeError,
)
_NOT_TRUSTED = (
    "shows a certificate that is not trusted, or speaks no TLS:"
    " check Destination and VerifyCertificate"
)


class DeliveryFailedError(Exception):
    """A subscriber did not accept what was sent.

    The text is ours alone: it repeats nothing of the request's headers.
    """


class Subscriber:
    """The connections to one subscriber, shared with no other.

    They lead to addresses that may be reached, and to no proxy; redirects are not
    followed (contracts.md 8).
    """

    def __init__(self, settings: Settings, verify_certificate: bool) -> None:
        self._seconds = settings.delivery_timeout
        self._keeps_connection = False
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(
                CheckedBackend(settings.allow_local_addresses),
                tls_context(verify_certificate, None),
                keep=1,
            ),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(settings.delivery_timeout, pool=None),
        )

    async def post(
        self, destination: str, content: bytes, headers: Mapping[str, str]
    ) -> None:
        """Send events; raise DeliveryFailedError unless the answer is a 2xx in time."""
        try:
            async with asyncio.timeout(self._seconds):
                request = self._request(destination, content, headers)
                response = await self._send(request)
        except _FAULTS as error:
            # Not chained: the text of a protocol error may quote a header.
            raise DeliveryFailedError(self._words(error)) from None
        await _read_on(response)
        self._keeps_connection = True
        if response.is_redirect:
            words = f"redirects ({response.status_code}), which is not followed"
            raise DeliveryFailedError(words)
        if not response.is_success:
            raise DeliveryFailedError(f"answered {response.status_code}")

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Send; once more if a kept connection was closed meanwhile: that is no fault,
        and events may come twice.
        """
        try:
            return await self._client.send(request, stream=True)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            if not self._keeps_connection:
                raise
        self._keeps_connection = False
        return await self._client.send(request, stream=True)

    def _request(
        self, destination: str, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Request:
        theirs = {
            name: value
            for name, value in headers.items()
            if name.lower() not in _NOT_THEIRS
        }
        return self._client.build_request(
            "POST",
            destination,
            headers=[
                (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
                for name, value in (theirs | OUR_HEADERS).items()
            ],
            content=content,
        )

    def _words(self, error: Exception) -> str:
        """Say what went wrong, and what to check."""
        if isinstance(error, AddressRefusedError):
            return f"cannot be sent to: {error}"
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
            return (
                _NOT_TRUSTED if certificate_words(error) else "cannot be connected to"
            )
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return f"did not answer within {self._seconds:g} s"
        if isinstance(
            error, httpx.UnsupportedProtocol | httpx.InvalidURL | UnicodeError
        ):
            return "has a Destination that is not a usable URL"
        if isinstance(error, httpx.LocalProtocolError):
            return "cannot be sent to: HttpHeaders has something that no header may be"
        return "broke the connection off"


def shown(destination: str) -> str:
    """Return a destination without what may be secret in it: login, path and query.

    Shape: `https://listener.example.com:8443`.
    """
    try:
        parts = urlsplit(destination)
    except ValueError:
        return "a URL that cannot be read"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}"


async def _read_on(response: httpx.Response) -> None:
    """Read the rest of a short answer; a long one ends with its connection."""
    length = 0
    try:
        with suppress(*_FAULTS):
            async with asyncio.timeout(ANSWER_SECONDS):
                async for chunk in response.aiter_raw():
                    length += len(chunk)
                    if length > ANSWER_BYTES:
                        return
    finally:
        await response.aclose()
