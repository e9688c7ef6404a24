"""Which addresses are one client's."""

from ipaddress import IPv6Address, ip_address, ip_network

_NETWORK_OF_ONE = 64
"""The prefix of IPv6 that one client has to itself."""


def network_of(address: str) -> str:
    """Return what stands for one client: its address, or its network of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address) or found.ipv4_mapped is not None:
        return str(found)
    return str(ip_network((found, _NETWORK_OF_ONE), strict=False))
