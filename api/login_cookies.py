"""The cookie by which a browser is logged in (contracts.md 7): a session's token.

A page or form opens a session with `api.session_logins.open_session` and hands its
token to `set_login_cookie`; from then on `api.authentication` knows who asks. A browser
sends cookies by itself, so a request that changes something is let in by one only if
it says that its Origin is the gateway's own. `SameSite=Strict` does not tell ports of a
host apart.
"""

from collections.abc import Collection

from fastapi import Request
from fastapi.responses import Response

from api.errors import refuse

COOKIE = "taskfish-session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def set_login_cookie(request: Request, response: Response, token: str) -> None:
    """Let an answer log a browser in with the token of an open session.

    The cookie goes when the browser is closed; the session ends by its own rules.
    """
    response.set_cookie(
        COOKIE,
        token,
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
    )


def clear_login_cookie(response: Response) -> None:
    """Let an answer take the cookie away; who calls this ends the session too."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def cookie_token(request: Request, origins: Collection[str] = ()) -> str | None:
    """Return the token of the cookie, None if there is none.

    Raises 403 where a request that is not safe comes by cookie from a page of another
    origin than the gateway's own and `origins` ("http://host:port", without a path).
    """
    token = request.cookies.get(COOKIE)
    if token is None:
        return None
    if request.method not in SAFE_METHODS:
        check_origin(request, origins)
    return token


def check_origin(request: Request, origins: Collection[str] = ()) -> None:
    """Raise 403 unless a page of our own origin or of one of `origins` sends this."""
    given = request.headers.getlist("Origin")
    own = f"{request.scope['scheme']}://{request.headers.get('Host', '')}"
    if len(given) != 1 or given[0] not in {own, *origins}:
        how = "A client that is no browser sends no Origin, and a token or a password."
        text = "Only a page of the gateway's own origin may change anything."
        raise refuse("InsufficientPrivilege", text=text, resolution=how)
