"""Who gets events: EventDestinations, and open streams while they are open (D9)."""

import json
import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from taskfish.errors import UndecryptableError
from taskfish.redfish.event_filters import EventFilter
from taskfish.redfish.events import Event, resource_removed, subscription_uri
from taskfish.store.database import Store, serialized
from taskfish.store.event_log import tell_within
from taskfish.store.tables import events, subscriptions
from taskfish.store.together import Together

SubscriptionKind = Literal["RedfishEvent", "SSE"]
RetryPolicy = Literal[
    "TerminateAfterRetries",
    "SuspendRetries",
    "RetryForever",
    "RetryForeverWithBackoff",
]
"""EventDestination.DeliveryRetryPolicy."""

logger = logging.getLogger(__name__)


class Subscription(BaseModel):
    """One subscription. `cursor` is the position of the last event that it got, or
    needs no more; `heartbeat_minutes` is None without a heartbeat; `revision` tells two
    versions apart. `http_headers` are secret. One that is not `is_readable` has lost
    its `http_headers` to another key, or its `filters` to another version.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: SubscriptionKind
    owner: str
    name: str | None = None
    destination: str
    context: str = ""
    filters: EventFilter = EventFilter()
    http_headers: dict[str, str] = {}
    verify_certificate: bool = True
    retry_policy: RetryPolicy = "TerminateAfterRetries"
    heartbeat_minutes: int | None = None
    state: Literal["Enabled", "Disabled"] = "Enabled"
    cursor: int
    seen_at: datetime | None = None
    revision: int = 1
    created_at: datetime
    is_readable: bool = True


class Subscriptions:
    """Reads and writes of the `subscriptions` table."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._advancing = Together(self._advance_all)

    async def add(
        self, new: Subscription, limit: int | None = None, *told: Event
    ) -> bool:
        """Add one; return False if there are as many of its kind as `limit`.

        What is to be told of that is appended to the event log, and is the last event
        that the new one does not get.
        """
        count = (
            select(func.count())
            .select_from(subscriptions)
            .where(subscriptions.c.kind == new.kind)
        )
        async with self._store.write() as connection:
            await serialized(connection, subscriptions.name)
            there = (await connection.execute(count)).scalar_one()
            if limit is not None and there >= limit:
                return False
            if told:
                await tell_within(connection, *told)
                newest = await connection.execute(select(func.max(events.c.position)))
                new = new.model_copy(update={"cursor": newest.scalar_one()})
            await connection.execute(insert(subscriptions).values(self._row(new)))
        return True

    async def get(self, subscription_id: str) -> Subscription | None:
        """Return one, None if there is no such."""
        statement = select(subscriptions).where(subscriptions.c.id == subscription_id)
        async with self._store.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return self._subscription(row._mapping) if row else None

    async def all(self, kind: SubscriptionKind | None = None) -> list[Subscription]:
        """Return all, or all of a kind, the oldest first."""
        statement = select(subscriptions).order_by(
            subscriptions.c.created_at, subscriptions.c.id
        )
        if kind is not None:
            statement = statement.where(subscriptions.c.kind == kind)
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [self._subscription(row._mapping) for row in rows]

    async def change(
        self, subscription_id: str, only_if: int | None = None, **changes: Any
    ) -> Subscription | None:
        """Change some fields; return the new version.

        None if there is no such, or not in the revision `only_if`.
        """
        its = subscriptions.c.id == subscription_id
        async with self._store.write() as connection:
            await serialized(connection, subscriptions.name)
            found = await connection.execute(select(subscriptions).where(its))
            row = found.one_or_none()
            if row is None or only_if not in (None, row.revision):
                return None
            old = self._subscription(row._mapping)
            changed = {**changes, "revision": old.revision + 1}
            new = old.model_copy(update=changed)
            row_of_new = self._row(new)
            values = {name: row_of_new[name] for name in changed}
            await connection.execute(update(subscriptions).where(its).values(values))
        return self._subscription({**row._mapping, **values})

    async def revisions(self) -> dict[str, int]:
        """Return the revision of each subscription, by its id."""
        statement = select(subscriptions.c.id, subscriptions.c.revision)
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.id: row.revision for row in rows}

    async def advance(self, subscription_id: str, cursor: int) -> None:
        """Note up to which position a subscription has got its events.

        What many note at once is one transaction.
        """
        await self._advancing.ask((subscription_id, cursor))

    async def _advance_all(self, noted: Sequence[tuple[str, int]]) -> None:
        statement = (
            update(subscriptions)
            .where(
                subscriptions.c.id == bindparam("its_id"),
                subscriptions.c.cursor < bindparam("its_cursor"),
            )
            .values(cursor=bindparam("its_cursor"))
        )
        rows = [{"its_id": each, "its_cursor": cursor} for each, cursor in noted]
        async with self._store.write() as connection:
            await connection.execute(statement, rows)

    async def remove(
        self, subscription_id: str, *told: Event, only_if: int | None = None
    ) -> bool:
        """Remove one, and append what is to be told of that to the event log.

        Returns False, and tells nothing, if it was not there, or not in the revision
        `only_if`.
        """
        its = subscriptions.c.id == subscription_id
        if only_if is not None:
            its &= subscriptions.c.revision == only_if
        async with self._store.write() as connection:
            removed = await connection.execute(delete(subscriptions).where(its))
            if removed.rowcount > 0:
                await tell_within(connection, *told)
        return removed.rowcount > 0

    async def remove_streams(self, streams: Collection[str]) -> None:
        """Remove streams that are not open any more, or never came to be."""
        its = subscriptions.c.id.in_(streams)
        async with self._store.write() as connection:
            await connection.execute(delete(subscriptions).where(its))

    async def note_open(self, streams: Collection[str]) -> set[str]:
        """Note that these streams are open; return those that are still there."""
        its = subscriptions.c.id.in_(streams)
        async with self._store.write() as connection:
            await connection.execute(
                update(subscriptions).where(its).values(seen_at=datetime.now(UTC))
            )
            found = await connection.execute(select(subscriptions.c.id).where(its))
            return {row.id for row in found}

    async def forget_streams(self, not_seen_since: datetime) -> None:
        """Remove the streams of processes that have died."""
        async with self._store.write() as connection:
            await connection.execute(
                delete(subscriptions).where(
                    subscriptions.c.kind == "SSE",
                    subscriptions.c.seen_at < not_seen_since,
                )
            )

    def _row(self, one: Subscription) -> dict[str, Any]:
        headers = json.dumps(one.http_headers).encode()
        return {
            **one.model_dump(exclude={"filters", "http_headers", "is_readable"}),
            "filters": one.filters.model_dump(mode="json", exclude_defaults=True),
            "http_headers": self._store.keyring.seal(headers),
        }

    def _subscription(self, row: Any) -> Subscription:
        """Return a row's subscription, and as much as can be read of a bad one."""
        found: dict[str, Any] = {**row, "http_headers": {}}
        try:
            sealed = row["http_headers"]
            found["http_headers"] = json.loads(self._store.keyring.open(sealed))
            return Subscription.model_validate(found)
        except (UndecryptableError, ValueError) as error:
            logger.warning("the subscription %s cannot be read: %s", row["id"], error)
        found |= {"filters": _filters(row["filters"]), "is_readable": False}
        return Subscription.model_validate(found)


def _filters(kept: Any) -> EventFilter:
    """Return the filters in a row, none for those of another version."""
    try:
        return EventFilter.model_validate(kept)
    except ValueError:
        return EventFilter()


async def remove_owned(connection: AsyncConnection, owner: str) -> None:
    """Remove what an account has subscribed to, and tell of that, all in the
    transaction that is under way; streams come and go without an event.
    """
    its = subscriptions.c.owner == owner
    statement = select(subscriptions.c.id).where(
        its, subscriptions.c.kind == "RedfishEvent"
    )
    found = (await connection.execute(statement)).scalars().all()
    await connection.execute(delete(subscriptions).where(its))
    told = (resource_removed(subscription_uri(each), owner=owner) for each in found)
    await tell_within(connection, *told)
