"""Who asks: HTTP Basic authentication of the administrator."""

import base64
import hmac

from fastapi import Depends, Request

from api.errors import refuse
from api.gateway import Gateway, gateway_of


async def authenticated(
    request: Request, gateway: Gateway = Depends(gateway_of)
) -> str:
    """Return the user's name; raise 401 for missing or wrong credentials."""
    settings = gateway.settings
    given = _credentials(request.headers.get("Authorization", ""))
    expected = settings.admin_password
    if given is not None and expected is not None:
        user, password = given
        if _same(user, settings.admin_username) & _same(
            password, expected.get_secret_value()
        ):
            return user
    raise refuse(
        "AccessUnauthorized", headers={"WWW-Authenticate": 'Basic realm="Taskfish"'}
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


def _same(given: str, expected: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())
