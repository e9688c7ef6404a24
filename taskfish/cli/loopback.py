"""Whether a host is this machine itself, which no other machine reaches."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Say whether all addresses of a host are loopback's; raise OSError for a host that
    has none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(str(at[0])).is_loopback for *_, at in found)
