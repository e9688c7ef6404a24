"""The gateway's own subscriptions at its sources: where they are, and whose token.

A token has 256 random bits, so its plain SHA-256 is all that is kept of it.
"""

import hashlib
import hmac
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, SecretStr
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import source_subscriptions

_NOBODYS = hashlib.sha256(b"").hexdigest()


class SourceSubscription(BaseModel):
    """One row; `uri` is None while nobody knows whether the source has made it."""

    model_config = ConfigDict(frozen=True)

    uri: str | None
    made_at: datetime


class SourceSubscriptions:
    """Reads and writes of the `source_subscriptions` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, source: str) -> SourceSubscription | None:
        """Return the subscription at a source, None without one."""
        statement = select(source_subscriptions).where(_at(source))
        async with self._store.read() as connection:
            row = (await connection.execute(statement)).first()
        return SourceSubscription(uri=row.uri, made_at=row.made_at) if row else None

    async def begin(self, source: str, token: SecretStr) -> bool:
        """Accept a token, before the source has it: its first event may be quick.

        An earlier one counts no more. Returns False if there is no such source.
        """
        row = {
            "source": source,
            "token": _digest(token.get_secret_value()),
            "made_at": datetime.now(UTC),
        }
        try:
            async with self._store.write() as connection:
                await connection.execute(
                    delete(source_subscriptions).where(_at(source))
                )
                await connection.execute(insert(source_subscriptions).values(**row))
        except IntegrityError:
            return False
        return True

    async def made(self, source: str, uri: str) -> bool:
        """Keep where the subscription is; False if the source was removed meanwhile."""
        statement = update(source_subscriptions).where(_at(source)).values(uri=uri)
        async with self._store.write() as connection:
            return (await connection.execute(statement)).rowcount > 0

    async def forget(self, source: str) -> None:
        """Accept nothing from a source any more."""
        async with self._store.write() as connection:
            await connection.execute(delete(source_subscriptions).where(_at(source)))

    async def is_token_of(self, source: str, token: str) -> bool:
        """Say whether a token is the source's; an unknown source takes as long."""
        statement = select(source_subscriptions.c.token).where(_at(source))
        async with self._store.read() as connection:
            kept = (await connection.execute(statement)).scalar()
        same = hmac.compare_digest(kept or _NOBODYS, _digest(token))
        return same and kept is not None


def _at(source: str) -> ColumnElement[bool]:
    return source_subscriptions.c.source == source


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
