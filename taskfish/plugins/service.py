"""A source's HTTP service with our credentials: Basic, or a session that is shared."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from taskfish.errors import (
    CredentialsRefusedError,
    ForeignUriError,
    SourceUnreachableError,
    TransientError,
    UnreadableAnswerError,
)
from taskfish.plugins.origin import Origin
from taskfish.plugins.transport import Call, Reply, Transport
from taskfish.redfish.sources import Source

MAX_REDIRECTS = 3
LOGOUT_SECONDS = 3.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Send = Callable[[Call], Awaitable[Reply]]


class Service:
    """Calls to one source as the user that its source names.

    With `PluginAuth` XAuthToken all calls share one session. A 401 under a session is
    followed by one new login and one more try: a request answered with 401 was not
    carried out. Without a user name nothing is sent to prove who we are.
    """

    def __init__(self, transport: Transport, source: Source, sessions: str) -> None:
        """Take the user from `source`; `sessions` is the path that logs in."""
        self.name = source.id
        self._transport = transport
        self._user_name = source.user_name
        self._secret = source.password
        self._sessions = sessions
        self._by_session = source.options.plugin_auth == "XAuthToken"
        self._token: str | None = None
        self._session: str | None = None
        self._login = asyncio.Lock()

    @property
    def origin(self) -> Origin:
        """Where the service is."""
        return self._transport.origin

    def own(self, uri: str, base: str = "/") -> str:
        """Return the path of a URI; `ForeignUriError` if it leads elsewhere."""
        path = self.origin.path_of(uri, base)
        if path is None:
            raise ForeignUriError(
                f"source {self.name} points to another host than {self.origin};"
                " nothing was sent there: check its HostName"
            )
        return path

    async def get(self, call: Call) -> Reply:
        """Make a call that may be repeated, and follow redirects within the origin."""
        for _ in range(MAX_REDIRECTS + 1):
            reply = await self.ask(call)
            location = reply.headers.get("location")
            if not 300 <= reply.status < 400:
                return reply
            if reply.status not in _REDIRECTS or location is None:
                break
            call = replace(call, uri=self.own(location, call.uri))
        raise UnreadableAnswerError(
            f"source {self.name} redirects {call.uri} to nowhere, or too often"
        )

    async def ask(self, call: Call) -> Reply:
        """Make a call that may be repeated."""
        return await self._authenticated(self._transport.ask, call)

    async def send_once(self, call: Call) -> Reply:
        """Make a call that must be carried out at most once."""
        return await self._authenticated(self._transport.send_once, call)

    async def aclose(self) -> None:
        """End the session, if the source can be told, and close the connections."""
        if self._session is not None and self._token is not None:
            headers = {"X-Auth-Token": self._token}
            call = Call("DELETE", self._session, headers=headers, urgent=True)
            with suppress(TransientError, TimeoutError):
                async with asyncio.timeout(LOGOUT_SECONDS):
                    await self._transport.ask(call)
            self._token = self._session = None
        await self._transport.aclose()

    async def _authenticated(self, send: Send, call: Call) -> Reply:
        if self._user_name is None:
            return await send(call)
        if not self._by_session:
            return await send(call.with_headers(self._basic()))
        token = self._token or await self._new_token(None)
        reply = await send(call.with_headers({"X-Auth-Token": token}))
        if reply.status != 401:
            return reply
        token = await self._new_token(token)
        return await send(call.with_headers({"X-Auth-Token": token}))

    def _basic(self) -> dict[str, str]:
        credentials = f"{self._user_name}:{self._password()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}

    def _password(self) -> str:
        return self._secret.get_secret_value() if self._secret else ""

    async def _new_token(self, stale: str | None) -> str:
        """Return a token that is not `stale`, logging in unless somebody just did."""
        async with self._login:
            if self._token is None or self._token == stale:
                self._token, self._session = await self._log_in()
            return self._token

    async def _log_in(self) -> tuple[str, str | None]:
        """Return a new session's token and, if the source names it, its path."""
        body = {"UserName": self._user_name, "Password": self._password()}
        call = Call("POST", self._sessions, body=dict(body), urgent=True)
        reply = await self._transport.ask(call)
        token = reply.headers.get("x-auth-token")
        if 200 <= reply.status < 300 and token:
            location = reply.headers.get("location")
            path = self.origin.path_of(location, call.uri) if location else None
            return token, path
        raise self._login_error(reply.status)

    def _login_error(self, status: int) -> Exception:
        text = (
            f"source {self.name} answered the login at {self._sessions} with {status}"
        )
        if status in (400, 401, 403):
            return CredentialsRefusedError(f"{text}: check UserName and Password")
        if status == 429 or status >= 500:
            return SourceUnreachableError(f"{text}: check whether it is overloaded")
        return UnreadableAnswerError(f"{text} and no token: PluginAuth may be Basic")
