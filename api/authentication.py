"""Who asks: a session's token, HTTP Basic authentication, or a browser's cookie."""

import base64
from collections.abc import Collection
from dataclasses import dataclass

from fastapi import Depends, Request

from api.auditing import note_claim, note_user
from api.gateway import Gateway, gateway_of
from api.login_cookies import SAFE_METHODS, check_origin, cookie_token
from api.session_logins import account_of_token, client_address, unauthorized
from taskfish.redfish.privileges import CODEC_DECODE, CODEC_ENCODE, ROLES
from taskfish.store.accounts import AcceptedForm, Account


@dataclass(frozen=True)
class User:
    """Who asks, and what that account may.

    `accepted` is the form in which an accepted change is answered to it, None for
    what the settings say (contracts.md 6).
    """

    name: str
    role: str
    privileges: frozenset[str]
    accepted: AcceptedForm | None
    password_change_required: bool = False


async def authenticated(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> User:
    """Return who asks; raise 401 for missing or wrong credentials.

    Of X-Auth-Token, Authorization and the cookie the first that is there counts: a
    wrong one is not rescued by the next. What changes something is 403 from a page of
    another origin than the gateway's own: a browser keeps passwords too, and sends them
    wherever a page tells it to. Who is no browser sends no Origin.
    """
    account = await _account(request, gateway)
    if account is None:
        raise unauthorized()
    note_user(request, account.name)
    if request.method not in SAFE_METHODS and "Origin" in request.headers:
        check_origin(request, _other_origins(request, gateway))
    return user_of(account)


def user_of(account: Account) -> User:
    """Return the user that an account is."""
    return User(
        name=account.name,
        role=account.role,
        privileges=frozenset(ROLES[account.role]),
        accepted=account.accepted,
        password_change_required=account.password_change_required,
    )


async def _account(request: Request, gateway: Gateway) -> Account | None:
    tokens = request.headers.getlist("X-Auth-Token")
    if not tokens and "Authorization" in request.headers:
        given = _credentials(request.headers["Authorization"])
        if given is None:
            return None
        note_claim(request, given[0])
        return await gateway.logins.account(*given, client_address(request))
    if not tokens:
        token = cookie_token(request, _other_origins(request, gateway))
        tokens = [token] if token is not None else []
    return await account_of_token(gateway, tokens[0]) if len(tokens) == 1 else None


def _other_origins(request: Request, gateway: Gateway) -> Collection[str]:
    """Return whose pages may use a login beside our own: Temporal's Web UI may, for
    the codec.
    """
    web_ui = gateway.settings.temporal_ui_origin
    is_codec = request.scope["path"] in (CODEC_DECODE, CODEC_ENCODE)
    return [web_ui] if web_ui is not None and is_codec else []


def _credentials(header: str) -> tuple[str, str] | None:
    """Read user and password from an Authorization header; None if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return None
    user, colon, password = decoded.partition(":")
    return (user, password) if colon else None
