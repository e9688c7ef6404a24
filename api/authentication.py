"""Who asks: HTTP Basic authentication of the gateway's accounts."""

import base64
from dataclasses import dataclass

from fastapi import Depends, Request

from api.errors import refuse
from api.gateway import Gateway, gateway_of
from taskfish.redfish.privileges import ROLES
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
    """Return who asks; raise 401 for missing or wrong credentials."""
    given = _credentials(request.headers.get("Authorization", ""))
    account = await gateway.logins.account(*given) if given else None
    if account is None:
        raise refuse(
            "AccessUnauthorized", headers={"WWW-Authenticate": 'Basic realm="Taskfish"'}
        )
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
