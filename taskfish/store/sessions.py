"""Sessions of the gateway's accounts: opened by a login, found by their token.

Nothing here opens a session to who reads the store: of a token only its hash is kept.
"""

import hashlib
import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update

from taskfish.errors import StoreUnavailableError
from taskfish.settings import Settings
from taskfish.store.accounts import Account
from taskfish.store.database import Store, serialized
from taskfish.store.kept_options import KeptOptions, Options
from taskfish.store.tables import accounts, sessions

NOTED_EVERY = timedelta(seconds=5)
"""How often a use is written down: a session lasts so much longer, never shorter."""
_TOKEN = re.compile(r"[0-9a-f]{64}")


class SessionServiceOptions(Options):
    """The SessionService as it is set; the timeout is seconds without a request."""

    session_timeout: int
    service_enabled: bool = True


class SessionSettings(KeptOptions[SessionServiceOptions]):
    """The SessionService's row; what was never set is a setting's."""

    def __init__(self, store: Store, settings: Settings) -> None:
        defaults = SessionServiceOptions(session_timeout=settings.session_timeout)
        super().__init__(store, "session_service", defaults)


class Session(BaseModel):
    """One session. `address` and `context` are the client's, None for unknown."""

    model_config = ConfigDict(frozen=True)

    id: str
    user_name: str
    credential: str = Field(repr=False)
    created_at: datetime
    used_at: datetime
    address: str | None = None
    context: str | None = None

    def was_opened_with(self, token: str, password: str) -> bool:
        """Say whether what opens its account now is what its login had.

        `password` is its hash, or the settings' own; never kept as it is here.
        """
        return hmac.compare_digest(self.credential, _credential(token, password))


@dataclass(frozen=True)
class OpenedSession:
    """A new session, and the token that the client gets this once."""

    session: Session
    token: str


class Sessions:
    """Reads and writes of the `sessions` table; those that have expired are not there.

    At most `most` are open at once, in all processes together, and a tenth of them of
    one account: no account takes the sessions of all others.
    """

    def __init__(self, store: Store, settings: SessionSettings, most: int) -> None:
        self._store = store
        self._settings = settings
        self._most = most
        self._most_of_one = max(1, most // 10)

    async def add(
        self, user_name: str, password: str, address: str | None, context: str | None
    ) -> OpenedSession | None:
        """Open a session; returns None while there are too many.

        An account that has all of its own ends the one it has not used for longest.
        `password` is what `Session.was_opened_with` asks for later.
        """
        token, now = secrets.token_hex(32), datetime.now(UTC)
        session = Session(
            id=secrets.token_hex(8),
            user_name=user_name,
            credential=_credential(token, password),
            created_at=now,
            used_at=now,
            address=address,
            context=context,
        )
        expired = delete(sessions).where(~(await self._are_open()))
        to_spare = self._but_last_used(user_name, self._most_of_one - 1)
        count = select(func.count()).select_from(sessions)
        values = {**session.model_dump(), "token": _hashed(token)}
        async with self._store.write() as connection:
            await serialized(connection, sessions.name)
            await connection.execute(expired)
            await connection.execute(delete(sessions).where(to_spare))
            if (await connection.execute(count)).scalar_one() >= self._most:
                return None
            await connection.execute(insert(sessions).values(**values))
        return OpenedSession(session, token)

    async def with_token(self, token: str) -> tuple[Session, Account | None] | None:
        """Return the session of a token and its account as it is now, in one read.

        The account is None for one that the store does not have: the settings' own.
        """
        if not _TOKEN.fullmatch(token):
            return None
        statement = (
            select(sessions, accounts)
            .outerjoin(accounts, accounts.c.name == sessions.c.user_name)
            .where(sessions.c.token == _hashed(token), await self._are_open())
        )
        async with self._store.read() as connection:
            row = (await connection.execute(statement)).first()
        if row is None:
            return None
        mine = dict(zip(sessions.c.keys(), row, strict=False))
        its = dict(zip(accounts.c.keys(), row[len(mine) :], strict=True))
        account = Account.model_validate(its) if its["name"] is not None else None
        return Session.model_validate(mine), account

    async def get(self, session_id: str) -> Session | None:
        """Return a session, None if there is none of that id."""
        found = await self._where(sessions.c.id == session_id)
        return found[0] if found else None

    async def all(self) -> list[Session]:
        """Return all sessions, the oldest first."""
        return await self._where()

    async def note_use(self, session: Session) -> None:
        """Remember that a session is used, every few seconds.

        A request that was let in goes on where the store takes no writes.
        """
        now = datetime.now(UTC)
        if now - session.used_at < NOTED_EVERY:
            return
        used = update(sessions).where(sessions.c.id == session.id).values(used_at=now)
        with suppress(StoreUnavailableError):
            async with self._store.write() as connection:
                await connection.execute(used)

    async def remove(self, session_id: str) -> None:
        """End a session, in every process at once."""
        async with self._store.write() as connection:
            await connection.execute(
                delete(sessions).where(sessions.c.id == session_id)
            )

    async def prune(self) -> None:
        """Forget the sessions that have expired, as each login does too.

        To be called before the timeout is changed: a longer one revives no session.
        """
        expired = delete(sessions).where(~(await self._are_open()))
        async with self._store.write() as connection:
            await connection.execute(expired)

    async def _where(self, *conditions: ColumnElement[bool]) -> list[Session]:
        statement = (
            select(sessions)
            .where(await self._are_open(), *conditions)
            .order_by(sessions.c.created_at, sessions.c.id)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Session.model_validate(dict(row._mapping)) for row in rows]

    def _but_last_used(self, user_name: str, kept: int) -> ColumnElement[bool]:
        """Match an account's sessions, except for so many that were used last."""
        its = sessions.c.user_name == user_name
        last_used = (
            select(sessions.c.id)
            .where(its)
            .order_by(sessions.c.used_at.desc(), sessions.c.created_at.desc())
            .limit(kept)
        )
        return and_(its, sessions.c.id.not_in(last_used))

    async def _are_open(self) -> ColumnElement[bool]:
        """Match the sessions that were used a short enough time ago."""
        timeout = timedelta(seconds=(await self._settings.read()).session_timeout)
        return sessions.c.used_at >= datetime.now(UTC) - timeout - NOTED_EVERY


def _hashed(token: str) -> str:
    """Return what is kept of a token: it is random, so that a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()


def _credential(token: str, password: str) -> str:
    """Return what tells later whether a password is the same, to who has the token.

    Who only has the store cannot even try passwords on it.
    """
    return hmac.digest(token.encode(), password.encode(), "sha256").hex()
