"""The audit log's hook: what every request is remembered as, once it is answered.

No route writes the log, so that none can forget. Who asks is what authentication has
noted; a body, a password or a token is never looked at (contracts.md 7).
"""

import re
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.gateway import Gateway
from api.login_cookies import COOKIE
from api.logins import bootstrap_account
from taskfish.errors import StoreUnavailableError
from taskfish.redfish.event_receiver import RECEIVER
from taskfish.redfish.privileges import CODEC_DECODE, VDSM
from taskfish.redfish.resources import TASK_MONITORS, TASKS
from taskfish.redfish.session_resources import SESSIONS
from taskfish.store.audit import AuditEvent, AuditRecord

_LOGIN_REFUSED = (401, 429)
_CHANGES = ("POST", "PATCH", "PUT", "DELETE")
_LOGOUT = "/codec/logout"
_TASK = re.compile(rf"(?:{TASKS}|{TASK_MONITORS})/(?P<id>[A-Za-z0-9_.-]{{1,255}})")
_LONGEST_PATH = 1024
_LONGEST_HOST = 48


def note_claim(request: Request, name: str) -> None:
    """Remember as whom somebody tries to log in, before it is known to be true."""
    request.state.claimed_name = name


def note_session(request: Request, name: str) -> None:
    """Remember that a session is asked for, and as whom."""
    request.state.opens_session = True
    note_claim(request, name)


def note_user(request: Request, name: str) -> None:
    """Remember who asks: the credentials were right."""
    request.state.user_name = name


async def note_change_inside(
    request: Request, method: str, path: str, status: int, task_id: str
) -> None:
    """Note a change that a request has asked for by other words than its own method and
    path, as if it had come by itself.
    """
    gateway: Gateway = request.app.state.gateway
    event: AuditEvent = "Refused" if status == 403 else "Change"
    noted = {"method": method, "path": path, "task_id": task_id, "event": event}
    record = _record(request.scope, status)
    await gateway.trail.note(record.model_copy(update=noted))


class Auditing:
    """Wraps the app inside `Front`, which gives each request its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, then note it; what failed unexpectedly is a 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        status, headers, is_noted = 500, Headers(), False

        async def watched(message: Message) -> None:
            nonlocal status, headers, is_noted
            if message["type"] == "http.response.start":
                status, headers = message["status"], Headers(raw=message["headers"])
                if _goes_on(headers):
                    is_noted = True
                    await _note(scope, status, headers)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if not is_noted:
                await _note(scope, status, headers)


def _goes_on(answered: Headers) -> bool:
    """Say whether an answer has no end by itself: it is noted when it begins."""
    return answered.get("Content-Type", "").startswith("text/event-stream")


async def _note(scope: Scope, status: int, answered: Headers) -> None:
    gateway: Gateway = scope["app"].state.gateway
    state: MutableMapping[str, Any] = scope["state"]
    asked, record = Headers(scope=scope), _record(scope, status)
    user, task_id = record.user, _task_id(_path(scope), status, answered)
    record = record.model_copy(update={"task_id": task_id})
    # Reads of a task name it too.
    started = record.method in _CHANGES and "Task-Id" in answered
    if user is not None and _is_basic(asked):
        login = record.model_copy(update={"status": 200, "task_id": None})
        await gateway.trail.note_login(login)
    if started and user is not None:
        # Also if its source answers 403: it was sent there.
        event: AuditEvent | None = "Change"
    else:
        event = _event(record, asked, scope["path"], state.get("opens_session", False))
    if event is None:
        return
    if event == "LoginFailed":
        user = await _known(gateway, state.get("claimed_name"))
    noted = record.model_copy(update={"event": event, "user": user})
    await gateway.trail.note(noted, started=started)


def _record(scope: Scope, status: int) -> AuditRecord:
    """Return what is remembered of a request, whatever it is remembered as."""
    state: MutableMapping[str, Any] = scope["state"]
    return AuditRecord(
        at=datetime.now(UTC),
        event="Login",
        user=state.get("user_name"),
        address=_address(scope),
        method=scope["method"],
        path=_path(scope)[:_LONGEST_PATH],
        status=status,
        request_id=state["request_id"],
    )


def _event(
    record: AuditRecord, asked: Headers, path: str, opens_session: bool
) -> AuditEvent | None:
    """Return what a request is remembered as, None if it is not.

    `path` is the decoded one, by which it was routed. The events of sources are not:
    one with an old token would fill the log. What VDSM's verbs change is noted by
    itself.
    """
    if path.startswith(f"{RECEIVER}/"):
        return None
    if opens_session:
        failed = record.user is None and record.status in (403, *_LOGIN_REFUSED)
        return "Login" if record.status < 400 else "LoginFailed" if failed else None
    if record.user is None and record.status in _LOGIN_REFUSED:
        return "LoginFailed" if _has_credentials(asked) else None
    if record.status == 403:
        return "Refused"
    if record.user is None or record.method not in _CHANGES or path == VDSM:
        return None
    if path == CODEC_DECODE:
        return "Decode"
    ends_session = record.method == "DELETE" and path.startswith(f"{SESSIONS}/")
    ended = record.status < 400 and (ends_session or path == _LOGOUT)
    return "Logout" if ended else "Change"


def _has_credentials(asked: Headers) -> bool:
    named = "Authorization" in asked or "X-Auth-Token" in asked
    return named or f"{COOKIE}=" in asked.get("Cookie", "")


def _is_basic(asked: Headers) -> bool:
    """Say whether each request is a login of its own."""
    scheme = asked.get("Authorization", "").partition(" ")[0]
    return scheme.lower() == "basic" and "X-Auth-Token" not in asked


async def _known(gateway: Gateway, name: str | None) -> str | None:
    """Return the name of an account, None for any other text.

    What is no account's name may be a password that went into the wrong field.
    """
    if name is None:
        return None
    administrator = bootstrap_account(gateway.settings)
    if administrator is not None and administrator.name == name:
        return name
    try:
        return name if await gateway.accounts.get(name) else None
    except StoreUnavailableError:
        return None


def _address(scope: Scope) -> str:
    """Return the client's address with its scheme, as LogEntry has it."""
    host = (scope.get("client") or ("",))[0][:_LONGEST_HOST]
    shown = f"[{host}]" if ":" in host else host
    return f"{scope['scheme']}://{shown}" if host else ""


def _path(scope: Scope) -> str:
    """Return the path as it was sent, without the query."""
    raw: bytes = scope["raw_path"]
    return raw.partition(b"?")[0].decode("ascii")


def _task_id(path: str, status: int, answered: Headers) -> str | None:
    """Return the task that a request was about, or that it has started.

    `Task-Id` is in every answer about a task that was started, also in the final answer
    that came inline, and where nobody knows whether the task has started.
    """
    if "Task-Id" in answered:
        return answered["Task-Id"]
    places = [path]
    if status < 400:
        # A refusal's Link is to the task that was in the way.
        places += [answered.get("Location", ""), answered.get("Link", "")]
    found = (_TASK.search(place) for place in places)
    return next((match["id"] for match in found if match), None)
