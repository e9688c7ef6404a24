"""Where connections may lead: not to this machine, its own link, or a cloud's inside.

Any other address of this machine shows only once connected: it is at both ends. Not
so a further IPv4 address in the subnet of another: Linux connects to it from the first.

A name is resolved here, its addresses are checked, and a checked address is what is
connected to: a name that means another address a moment later gains nothing.
"""

# ruff: noqa: ASYNC109 - the methods of httpcore's backends take their time-out.

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import httpcore
import httpx

from taskfish.errors import AddressRefusedError

MOST_ADDRESSES = 4
"""How many addresses of one name are tried."""
KEEP_SECONDS = 5.0
"""How long an idle connection is kept."""

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Finds the addresses of a host for a port; raises OSError if there are none, and
UnicodeError for what can be no name.
"""

_KINDS: Mapping[IPv4Network | IPv6Network, str] = {
    ipaddress.ip_network(network): kind
    for network, kind in {
        "127.0.0.0/8": "a loopback address",
        "::1/128": "a loopback address",
        "0.0.0.0/8": "an unspecified address",
        "::/128": "an unspecified address",
        "169.254.169.254/32": "a cloud's metadata address",
        "100.100.100.200/32": "a cloud's metadata address",
        "168.63.129.16/32": "a cloud's metadata address",
        "192.0.0.192/32": "a cloud's metadata address",
        "fd00:ec2::/32": "a cloud's metadata address",
        "fd20:ce::254/128": "a cloud's metadata address",
        "169.254.0.0/16": "a link-local address",
        "fe80::/10": "a link-local address",
        "224.0.0.0/4": "a multicast address",
        "ff00::/8": "a multicast address",
        "255.255.255.255/32": "the broadcast address",
        "240.0.0.0/4": "a reserved address",
        "64:ff9b:1::/48": "a translated address",
        "fec0::/10": "a site-local address",
    }.items()
}
"""What is refused; the first network that holds an address names it."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


def refused_kind(address: str) -> str | None:
    """Return what kind of refused address this is, None if it may be reached.

    Raises ValueError for what is no IP address.
    """
    found = ipaddress.ip_address(address)
    for each in (found, _embedded(found)):
        for network, kind in _KINDS.items():
            if each is not None and each in network:
                return kind
    return None


def can_be_named(url: str) -> bool:
    """Say whether the host of a URL can be asked for at all: by DNS, as by IDNA."""
    try:
        parts = httpx.URL(url)
        parts.raw_host.decode("ascii").encode("idna")
        return bool(parts.host)
    except (UnicodeError, httpx.InvalidURL):
        return False


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that may be reached, whatever a URL or a name says.

    With `allow_local` all may be. Raises `AddressRefusedError` before anything is sent.
    """

    def __init__(self, allow_local: bool, resolve: Resolve | None = None) -> None:
        self._allow_local = allow_local
        self._resolve = resolve or resolved
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the name's addresses that takes the connection.

        `timeout` is for all of it; each address has its share of what is left.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        addresses = await self._addresses(host, port, timeout)
        share = None
        if timeout is not None:
            share = max(0.0, timeout - (clock() - began)) / len(addresses)
        failure: Exception | None = None
        for address in addresses:
            try:
                stream = await self._backend.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                await self._check(host, address, stream)
                return stream
        assert failure is not None, "there is at least one address"
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between its own tries."""
        await self._backend.sleep(seconds)

    async def _check(
        self, host: str, address: str, stream: httpcore.AsyncNetworkStream
    ) -> None:
        """Close a connection from this machine to itself, before anything is sent."""
        if self._allow_local:
            return
        ends = [stream.get_extra_info(end) for end in ("client_addr", "server_addr")]
        if None in ends or ends[0][0] == ends[1][0]:
            await stream.aclose()
            raise _refusal(host, address, "an address of this machine")

    async def _addresses(
        self, host: str, port: int, seconds: float | None
    ) -> list[str]:
        try:
            async with asyncio.timeout(seconds):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} is not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        usable = found if self._allow_local else allowed(host, found)
        return usable[:MOST_ADDRESSES]


class CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport, over a backend of ours; it keeps `keep` connections."""

    def __init__(
        self, backend: httpcore.AsyncNetworkBackend, tls: ssl.SSLContext, keep: int
    ) -> None:
        # httpx hands every option of its pool on, but for the backend.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=keep,
            keepalive_expiry=KEEP_SECONDS,
            network_backend=backend,
        )


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a name in the resolver's order, each once."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return [host]
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def allowed(host: str, addresses: list[str]) -> list[str]:
    """Return those that may be reached; raise AddressRefusedError if there is none."""
    kinds = {address: refused_kind(address) for address in addresses}
    usable = [address for address, kind in kinds.items() if kind is None]
    if usable:
        return usable
    address, kind = next(iter(kinds.items()))
    raise _refusal(host, address, kind or "")


def _refusal(host: str, address: str, kind: str) -> AddressRefusedError:
    named = address if address == host else f"{host} means {address}, which"
    return AddressRefusedError(
        f"{named} is {kind}, to which no connection is made; nothing was sent:"
        " set TASKFISH_ALLOW_LOCAL_ADDRESSES=true if that is meant"
    )


def _embedded(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo
