"""Whom a source's TLS is trusted to be: a certificate authority, or one certificate."""

# ruff: noqa: ASYNC109 - the methods of httpcore's backends take their time-out.

import hashlib
import ssl
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import httpcore

from taskfish.plugins.addresses import CheckedBackend
from taskfish.redfish.sources import SourceOptions, fingerprint


class WrongCertificateError(httpcore.ConnectError):
    """A server shows another certificate than the one that is pinned, or none."""


def tls_of(options: SourceOptions) -> ssl.SSLContext:
    """Return what decides whom we trust in the handshake.

    A pinned certificate needs no authority: `PinnedBackend` compares it.
    """
    verify = options.verify_certificate and options.fingerprint is None
    return tls_context(verify, options.ca_certificate)


def backend_of(
    options: SourceOptions, allow_local: bool
) -> httpcore.AsyncNetworkBackend:
    """Return what connects to a source: to addresses it may have, and to its pin."""
    backend = CheckedBackend(allow_local)
    if options.fingerprint is None:
        return backend
    return PinnedBackend(backend, options.fingerprint)


@lru_cache(maxsize=256)
def tls_context(verify: bool, ca_certificate: str | None) -> ssl.SSLContext:
    """Return a context; sources with the same wishes share it.

    `ca_certificate` is PEM text and replaces the system's; it may be the source's own
    certificate. One that cannot be read trusts nobody.
    """
    if verify and ca_certificate is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_certificate:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        with suppress(ssl.SSLError, ValueError):
            context.load_verify_locations(cadata=ca_certificate)
    return context


def certificate_words(exc: BaseException | None) -> str | None:
    """Say what is wrong with TLS when that is at the root of a failed connection."""
    while exc is not None:
        if isinstance(exc, WrongCertificateError):
            return f"{exc}, nothing was sent: check Fingerprint"
        if isinstance(exc, ssl.SSLCertVerificationError):
            return (
                f"shows a certificate that is not trusted ({exc.verify_message}),"
                " nothing was sent: check CACertificate or VerifyCertificate"
            )
        if isinstance(exc, ssl.SSLError):
            return "does not speak our TLS: check the scheme and port of HostName"
        exc = exc.__cause__ or exc.__context__
    return None


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Lets nothing through to a server that has not shown the pinned certificate."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend, pin: str) -> None:
        """Connect with `backend`; `pin` is as `fingerprint` writes it."""
        self._backend = backend
        self._pin = pin

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; the stream that comes back is for a handshake only."""
        stream = await self._backend.connect_tcp(
            host, port, timeout, local_address, socket_options
        )
        return _UnprovenStream(stream, self._pin)

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between its own tries."""
        await self._backend.sleep(seconds)


class _UnprovenStream(httpcore.AsyncNetworkStream):
    """A connection to a server that has shown nothing yet: it takes no byte."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, pin: str) -> None:
        self._stream = stream
        self._pin = pin

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._refuse("shows no certificate, as its HostName is plain http")

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Shake hands, compare, and only then hand out a stream that can be used."""
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        self._stream = stream
        session: ssl.SSLObject = stream.get_extra_info("ssl_object")
        shown = fingerprint_of(session.getpeercert(binary_form=True) or b"")
        if shown != self._pin:
            await self._refuse(f"shows another certificate than its own: {shown}")
        return stream

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def _refuse(self, words: str) -> None:
        await self.aclose()
        raise WrongCertificateError(words)


def fingerprint_of(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate in DER, as `fingerprint` writes it."""
    return fingerprint(hashlib.sha256(certificate).hexdigest())
