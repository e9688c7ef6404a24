"""/codec/login: where an operator's browser logs in, for Temporal's Web UI to decode.

Plain HTML without scripts. The answers name no page but these, so that nobody is led
elsewhere.
"""

import html
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.auditing import note_user
from api.bodies import limited
from api.errors import refuse
from api.gateway import Gateway, gateway_of
from api.login_cookies import (
    check_origin,
    clear_login_cookie,
    cookie_token,
    set_login_cookie,
)
from api.session_logins import account_of_token, open_session, refuse_if_disabled
from taskfish.errors import RequestRefusedError
from taskfish.redfish.account_resources import ACCOUNTS
from taskfish.redfish.messages import status_of

LOGIN, LOGOUT = "/codec/login", "/codec/logout"
MAX_FORM_BYTES = 4096
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    # Not no-referrer: that would take the Origin from the forms' requests too.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Taskfish: decoded payloads</title></head>
<body>
<h1>Decoded payloads in Temporal's Web UI</h1>
{content}
</body>
</html>
"""
_FORM = """<p>{problem}</p>
<form method="post" action="{action}">
<p><label>User <input name="user" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password"
 autocomplete="current-password" required></label></p>
<p><button>Log in</button></p>
</form>"""
_LOGGED_IN = """<p>You are logged in as {user}. To decode payloads, an account needs the
privilege ConfigureManager.</p>
<p>Once in each browser, tell the Web UI to send this login:</p>
<ol>
<li>Open it, and choose the glasses at the top right (Codec Server).</li>
<li>Choose “Use my browser setting …”, and enter <code>{endpoint}</code></li>
<li>Switch “Include cross-origin credentials” on, and apply.</li>
</ol>
<form method="post" action="{action}"><p><button>Log out</button></p></form>"""
_OTHER_SITE = """<p>You are logged in as {user}, but this does not help the Web UI: its
pages are at {web_ui}, and no browser sends a login of https to where a page of http
wants it, or the other way round. Serve both over https, or use
<code>temporal workflow show</code> with <code>--codec-endpoint {endpoint}</code></p>
<form method="post" action="{action}"><p><button>Log out</button></p></form>"""
_MUST_CHANGE = """<p>You are logged in as {user}, but nothing is decoded before you have
changed your password: PATCH <code>{account}</code>.</p>
<form method="post" action="{action}"><p><button>Log out</button></p></form>"""

router = APIRouter(include_in_schema=False)


@router.api_route(LOGIN, methods=["GET", "HEAD"])
async def show(request: Request, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Return the form, or how to go on for who is logged in."""
    token = cookie_token(request)
    account = await account_of_token(gateway, token) if token else None
    if account is None:
        return _form("Log in with your account of this gateway.")
    web_ui = gateway.settings.temporal_ui_origin or ""
    words = {
        "user": account.name,
        "endpoint": f"{request.base_url}codec",
        "web_ui": web_ui,
        "account": f"{ACCOUNTS}/{account.name}",
        "action": LOGOUT,
    }
    page = _OTHER_SITE if _is_of_other_scheme(web_ui, request) else _LOGGED_IN
    if account.password_change_required:
        page = _MUST_CHANGE
    return _page(_filled(page, **words))


@router.post(LOGIN)
async def log_in(request: Request, gateway: Gateway = Depends(gateway_of)) -> Response:
    """Open a session and give its token to the browser; refused is shown as a page.

    Only the form itself may be sent here: another site could log a browser in as
    somebody else.
    """
    check_origin(request)
    user, password = await _credentials(request)
    try:
        opened, _ = await open_session(gateway, request, user, password, "codec")
    except RequestRefusedError as error:
        return _refused(error)
    response = RedirectResponse(LOGIN, 303, _HEADERS)
    set_login_cookie(request, response, opened.token)
    return response


@router.post(LOGOUT)
async def log_out(request: Request, gateway: Gateway = Depends(gateway_of)) -> Response:
    """End the browser's session, and take its cookie: 503 while none may be ended."""
    check_origin(request)
    token = cookie_token(request)
    found = await gateway.sessions.with_token(token) if token else None
    if found is not None:
        session, _ = found
        note_user(request, session.user_name)
        await refuse_if_disabled(gateway)
        await gateway.sessions.remove(session.id)
    response = RedirectResponse(LOGIN, 303, _HEADERS)
    clear_login_cookie(response)
    return response


def _is_of_other_scheme(web_ui: str, request: Request) -> bool:
    """Say whether browsers take the Web UI and us for two sites: SameSite cookies do
    not pass between http and https.
    """
    return bool(web_ui) and urlsplit(web_ui).scheme != request.scope["scheme"]


async def _credentials(request: Request) -> tuple[str, str]:
    """Read the form; raise 400 or 415 for anything else."""
    raw = await limited(request, MAX_FORM_BYTES)
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if media_type.lower() != "application/x-www-form-urlencoded":
        raise refuse("HeaderInvalid", "Content-Type", status=415)
    try:
        fields = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=8)
    except ValueError as error:
        raise refuse("UnrecognizedRequestBody") from error
    user, password = fields.get("user", []), fields.get("password", [])
    if len(user) != 1 or len(password) != 1:
        raise refuse("UnrecognizedRequestBody", text="The form is not this page's.")
    return user[0], password[0]


def _refused(error: RequestRefusedError) -> Response:
    """Return the form with the reason.

    With a 401 and its challenge, the browser would ask for the password itself.
    """
    message = error.messages[0]
    status = error.status or status_of(message)
    headers = {k: v for k, v in (error.headers or {}).items() if k == "Retry-After"}
    words = "The user or the password is wrong." if status == 401 else message.message
    return _form(words, 403 if status == 401 else status, headers)


def _form(
    words: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return _page(_filled(_FORM, problem=words, action=LOGIN), status, headers)


def _page(
    content: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    page = _PAGE.format(content=content)
    return HTMLResponse(page, status, {**_HEADERS, **(headers or {})})


def _filled(template: str, **words: str) -> str:
    return template.format(**{name: html.escape(text) for name, text in words.items()})
