"""Every change that was asked for, before its task starts (contracts.md 6)."""

import hmac
import secrets
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from taskfish.store.database import Store
from taskfish.store.tables import requests


class RequestRecord(BaseModel):
    """One request. `token` is its one start, which the task's memo has too.

    `key` is its Idempotency-Key and `digest` tells it from other requests; both are
    there together or not at all. `run_id` is there once its task has surely started;
    it is its first run, also when the workflow was reset. `ends_task`: it asks to end
    a task that is there, and is kept for a little while only.
    """

    model_config = ConfigDict(frozen=True)

    token: str
    owner: str
    key: str | None = None
    digest: bytes | None = None
    task_id: str
    run_id: str | None = None
    made_at: datetime
    ends_task: bool = False

    def is_for(self, digest: bytes) -> bool:
        """Say whether it was the request that has this digest."""
        return self.digest is not None and hmac.compare_digest(self.digest, digest)


class Requests:
    """Reads and writes of the `requests` table. Digests lie there sealed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(
        self,
        *,
        token: str,
        owner: str,
        task_id: str,
        key: str | None = None,
        digest: bytes | None = None,
    ) -> RequestRecord | None:
        """Keep a request that is about to start; return the earlier one of its key.

        A key is unique by owner: of two requests at once one is kept, and the other
        is told of it.
        """
        sealed = None if digest is None else self._store.keyring.seal(digest)
        values = {
            "token": token,
            "owner": owner,
            "key": key,
            "digest": sealed,
            "task_id": task_id,
            "made_at": datetime.now(UTC),
        }
        try:
            async with self._store.write() as connection:
                await connection.execute(insert(requests).values(**values))
        except IntegrityError:
            earlier = await self.with_key(owner, key) if key else None
            if earlier is None:
                raise
            return earlier
        return None

    async def with_key(self, owner: str, key: str) -> RequestRecord | None:
        """Return the request that an owner has sent with this key."""
        its = (requests.c.owner == owner) & (requests.c.key == key)
        async with self._store.read() as connection:
            row = (await connection.execute(select(requests).where(its))).first()
        return self._record(row) if row is not None else None

    async def started(self, token: str, run_id: str) -> None:
        """Remember that the task of a request surely runs."""
        async with self._store.write() as connection:
            await connection.execute(
                update(requests).where(requests.c.token == token).values(run_id=run_id)
            )

    async def forget_start(self, token: str) -> None:
        """Forget a request whose task surely did not start.

        One with a key stays: the same request may come again and start then.
        """
        its = (requests.c.token == token) & requests.c.run_id.is_(None)
        async with self._store.write() as connection:
            await connection.execute(
                delete(requests).where(its & requests.c.key.is_(None))
            )

    async def forget(self, task_id: str, first_run: str) -> None:
        """Forget the request of a task that is removed: its key is free again."""
        its = (requests.c.task_id == task_id) & (requests.c.run_id == first_run)
        async with self._store.write() as connection:
            await connection.execute(delete(requests).where(its))

    async def add_end(self, owner: str, task_id: str) -> None:
        """Keep for a while that somebody has asked to end or remove a task."""
        values = {
            "token": secrets.token_hex(16),
            "owner": owner,
            "task_id": task_id,
            "made_at": datetime.now(UTC),
            "ends_task": True,
        }
        async with self._store.write() as connection:
            await connection.execute(insert(requests).values(**values))

    async def prune(self, before: datetime, ends_before: datetime) -> None:
        """Forget requests before a moment: their tasks are gone; those to end a task
        before another.
        """
        made_at = requests.c.made_at
        async with self._store.write() as connection:
            await connection.execute(
                delete(requests).where(
                    (made_at < before)
                    | (requests.c.ends_task & (made_at < ends_before))
                )
            )

    async def of_owner_since(self, owner: str, moment: datetime) -> list[RequestRecord]:
        """Return the requests of somebody since a moment, the newest first."""
        statement = (
            select(requests)
            .where(requests.c.owner == owner, requests.c.made_at >= moment)
            .order_by(requests.c.made_at.desc())
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [self._record(row) for row in rows]

    async def since(self, moment: datetime) -> list[RequestRecord]:
        """Return the requests since a moment, the newest first."""
        statement = (
            select(requests)
            .where(requests.c.made_at >= moment)
            .order_by(requests.c.made_at.desc())
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [self._record(row) for row in rows]

    def _record(self, row: Row[*tuple[object, ...]]) -> RequestRecord:
        sealed = row.digest
        digest = None if sealed is None else self._store.keyring.open(sealed)
        return RequestRecord.model_validate({**row._mapping, "digest": digest})
