"""Bodies that hold secrets, kept sealed until their task has ended (contracts.md 3)."""

import json
import secrets
from datetime import UTC, datetime

from pydantic import JsonValue
from sqlalchemy import delete, insert, select

from taskfish.store.database import Store
from taskfish.store.tables import secret_bodies


class SecretBodies:
    """Reads and writes of the `secret_bodies` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, body: JsonValue, task_id: str) -> str:
        """Keep a task's body and return the reference that may go through Temporal."""
        reference = secrets.token_urlsafe(24)
        sealed = self._store.keyring.seal(json.dumps(body).encode())
        async with self._store.write() as connection:
            await connection.execute(
                insert(secret_bodies).values(
                    reference=reference,
                    task_id=task_id,
                    body=sealed,
                    created_at=datetime.now(UTC),
                )
            )
        return reference

    async def get(self, reference: str) -> JsonValue:
        """Return a kept body, None once it has been forgotten."""
        statement = select(secret_bodies.c.body).where(
            secret_bodies.c.reference == reference
        )
        async with self._store.read() as connection:
            sealed = (await connection.execute(statement)).scalar()
        if sealed is None:
            return None
        body: JsonValue = json.loads(self._store.keyring.open(sealed))
        return body

    async def kept_before(self, moment: datetime) -> dict[str, str]:
        """Return reference → task id of the bodies kept before a moment."""
        statement = select(secret_bodies.c.reference, secret_bodies.c.task_id).where(
            secret_bodies.c.created_at < moment
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.reference: row.task_id for row in rows}

    async def forget(self, reference: str) -> None:
        """Delete a body: its change needs it no more."""
        async with self._store.write() as connection:
            await connection.execute(
                delete(secret_bodies).where(secret_bodies.c.reference == reference)
            )
