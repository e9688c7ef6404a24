"""Who asks at the door: an account as everywhere, or nobody on loopback, if told so."""

import ipaddress

from fastapi import Depends, Request

from api.auditing import note_user
from api.authentication import User, authenticated
from api.gateway import Gateway, gateway_of
from api.login_cookies import SAFE_METHODS, check_origin
from api.session_logins import client_address
from taskfish.redfish.privileges import ROLES

_ADMINISTRATOR = "Administrator"
_OF_PROXIES = ("forwarded", "via")
_OF_PROXIES_TOO = "x-forwarded-"


async def door_user(request: Request, gateway: Gateway = Depends(gateway_of)) -> User:
    """Return who asks; raise 401 for missing or wrong credentials.

    With `TASKFISH_BAREMETAL_AUTH=none` it is the administrator, whatever credentials
    come along, for who asks this machine under its own address from this machine, and
    through no proxy: everybody's requests come from a proxy on this machine.
    """
    settings = gateway.settings
    is_needed = settings.baremetal_auth == "basic" or _came_through_proxy(request)
    if is_needed or not _is_on_loopback(request):
        return await authenticated(request, gateway)
    note_user(request, settings.admin_username)
    if request.method not in SAFE_METHODS and "Origin" in request.headers:
        check_origin(request)
    privileges = frozenset(ROLES[_ADMINISTRATOR])
    return User(settings.admin_username, _ADMINISTRATOR, privileges, accepted=None)


def _came_through_proxy(request: Request) -> bool:
    return any(
        name in _OF_PROXIES or name.startswith(_OF_PROXIES_TOO)
        for name in request.headers
    )


def _is_on_loopback(request: Request) -> bool:
    """Say whether client and host are this machine: a page of another site, whose name
    leads here, has that name as its host.
    """
    return _is_loopback(client_address(request)) and _is_loopback(
        request.url.hostname or ""
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
