"""AggregationSources in the store: their credentials are sealed."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from taskfish.redfish.events import resource_removed
from taskfish.redfish.resources import AGGREGATION_SOURCES
from taskfish.redfish.sources import (
    ConnectionMethod,
    Source,
    SourceAccess,
    SourceOptions,
    place_of,
)
from taskfish.store.database import Store
from taskfish.store.event_log import tell_within
from taskfish.store.inventory import told_members
from taskfish.store.tables import members, sources

SourceState = Literal["adding", "ready"]


class SourceRecord(BaseModel):
    """A source and what the gateway knows of it.

    `task_id` is the task that adds or added it; `manager` the source's own Id of its
    first Manager; `refused_at` is set from the first refused login until the
    credentials change, `down_since` while the source does not answer. `version` is
    another one after each change of what clients set, and tells nothing of it.
    """

    model_config = ConfigDict(frozen=True)

    source: Source
    state: SourceState
    task_id: str
    uuid: str | None
    has_accounts: bool
    manager: str | None
    refused_at: datetime | None
    down_since: datetime | None
    created_at: datetime
    version: str


class SourceChanges(BaseModel):
    """What a change gives; what is not set stays, each option by itself."""

    model_config = ConfigDict(frozen=True)

    user_name: str | None = None
    password: SecretStr | None = None
    options: SourceOptions = SourceOptions()


class Sources:
    """Reads and writes of the `sources` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, source: Source, task_id: str) -> SourceRecord | None:
        """Keep a new source as "adding"; return the one that is in its place instead.

        Two sources are in one place if they have the same Id, or the same host behind
        the same plugin.
        """
        behind = source.options.plugin or ""
        place = f"{behind} {place_of(source.host_name)}"
        taken = or_(sources.c.id == source.id, sources.c.place == place)
        async with self._store.write() as connection:
            row = (await connection.execute(_SELECT.where(taken))).first()
            if row is not None:
                return self._record(row)
            await connection.execute(
                insert(sources).values(
                    id=source.id,
                    name=source.name,
                    place=place,
                    host_name=source.host_name,
                    method=source.method.value,
                    options=source.options.model_dump(mode="json"),
                    state="adding",
                    task_id=task_id,
                    has_accounts=False,
                    has_tasks=source.has_tasks,
                    created_at=datetime.now(UTC),
                    **self._credentials(source.user_name, source.password),
                )
            )
        return None

    async def get(self, source_id: str) -> SourceRecord | None:
        """Return a source by its Id."""
        async with self._store.read() as connection:
            statement = _SELECT.where(sources.c.id == source_id)
            row = (await connection.execute(statement)).first()
        return self._record(row) if row is not None else None

    async def access(self, source_id: str) -> SourceAccess | None:
        """Return what is needed to speak to a source, with its plugin's own."""
        record = await self.get(source_id)
        if record is None:
            return None
        behind = record.source.options.plugin
        plugin = await self.get(behind) if behind else None
        return SourceAccess(
            source=record.source,
            plugin=plugin.source if plugin else None,
            manager=record.manager,
            refused=record.refused_at is not None,
        )

    async def ready(self) -> list[SourceRecord]:
        """Return the sources that have been added, by Id."""
        async with self._store.read() as connection:
            statement = _SELECT.where(sources.c.state == "ready").order_by(sources.c.id)
            rows = (await connection.execute(statement)).all()
        return [self._record(row) for row in rows]

    async def change(
        self,
        source_id: str,
        changes: SourceChanges,
        seen: SourceRecord | None = None,
    ) -> bool:
        """Change credentials and options; a refusal of the old ones is forgotten.

        So is a refusal that sources behind this plugin met: it may have been the
        plugin's own. Returns False, and changes nothing, if the source is gone, or
        no longer as it was `seen`.
        """
        behind = await self.behind(source_id)
        async with self._store.write() as connection:
            record = await self._locked(connection, source_id)
            if record is None or (seen and seen.version != record.version):
                return False
            await connection.execute(
                update(sources).where(sources.c.id.in_(behind)).values(refused_at=None)
            )
            await connection.execute(
                update(sources)
                .where(sources.c.id == source_id)
                .values(**self._changed(record.source.options, changes))
            )
        return True

    async def remove(
        self,
        source_id: str,
        task_id: str | None = None,
        seen: SourceRecord | None = None,
    ) -> bool:
        """Forget a source and its inventory; with a task id only if that task adds it.

        With `seen` only if it is still like that. Returns whether there was one; that
        a source which was ready has gone, and its machines, is told to the event log.
        """
        condition = sources.c.id == source_id
        if task_id is not None:
            condition &= (sources.c.task_id == task_id) & (sources.c.state == "adding")
        async with self._store.write() as connection:
            if seen is not None:
                record = await self._locked(connection, source_id)
                if record is None or record.version != seen.version:
                    return False
            gone = await told_members(connection, source_id)
            removed = await connection.execute(
                delete(sources).where(condition).returning(sources.c.state)
            )
            state = removed.scalar()
            if state == "ready":
                source = f"{AGGREGATION_SOURCES}/{source_id}"
                told = (resource_removed(uri) for uri in (*sorted(gone), source))
                await tell_within(connection, *told)
        return state is not None

    async def behind(self, source_id: str) -> list[str]:
        """Return the Ids of the sources that are reached through this one."""
        async with self._store.read() as connection:
            rows = await connection.execute(select(sources.c.id, sources.c.options))
        return [row.id for row in rows if row.options.get("plugin") == source_id]

    async def note_refused(self, source: Source) -> None:
        """Remember that the source refused its credentials, unless they were changed.

        Another process may have used the old ones for a moment longer.
        """
        its = sources.c.id == source.id
        async with self._store.write() as connection:
            record = await self._locked(connection, source.id)
            if record is not None and _same_login(record.source, source):
                await connection.execute(
                    update(sources).where(its).values(refused_at=datetime.now(UTC))
                )

    async def note_health(self, source_id: str, answers: bool) -> None:
        """Remember since when the source has not answered, or that it does."""
        down_since = None if answers else datetime.now(UTC)
        async with self._store.write() as connection:
            changed = sources.c.down_since.is_not(None) if answers else _IS_UP
            await connection.execute(
                update(sources)
                .where((sources.c.id == source_id) & changed)
                .values(down_since=down_since)
            )

    async def _locked(
        self, connection: AsyncConnection, source_id: str
    ) -> SourceRecord | None:
        """Return a source that nobody else changes before this transaction's end."""
        statement = _SELECT.where(sources.c.id == source_id)
        locked = statement.with_for_update(of=sources)
        row = (await connection.execute(locked)).first()
        return self._record(row) if row is not None else None

    def _changed(self, before: SourceOptions, changes: SourceChanges) -> dict[str, Any]:
        """Return the columns that a change writes: no others, and no other options."""
        given = self._credentials(changes.user_name, changes.password)
        options = before.model_dump() | changes.options.model_dump(exclude_unset=True)
        return {
            **{name: given[name] for name in given.keys() & changes.model_fields_set},
            "options": SourceOptions.model_validate(options).model_dump(mode="json"),
            "refused_at": None,
        }

    def _credentials(
        self, user_name: str | None, password: SecretStr | None
    ) -> dict[str, str | bytes | None]:
        keyring = self._store.keyring
        sealed = (
            keyring.seal(password.get_secret_value().encode()) if password else None
        )
        return {"user_name": user_name, "password": sealed}

    def _record(self, row: Row[*tuple[Any, ...]]) -> SourceRecord:
        keyring = self._store.keyring
        password = keyring.open(row.password).decode() if row.password else None
        return SourceRecord(
            source=Source(
                id=row.id,
                name=row.name,
                host_name=row.host_name,
                method=ConnectionMethod(row.method),
                user_name=row.user_name,
                password=SecretStr(password) if password is not None else None,
                options=SourceOptions.model_validate(row.options),
                has_tasks=row.has_tasks,
            ),
            state=row.state,
            task_id=row.task_id,
            uuid=row.uuid,
            has_accounts=row.has_accounts,
            manager=row.manager if row.has_accounts else None,
            refused_at=row.refused_at,
            down_since=row.down_since,
            created_at=row.created_at,
            version=_version(row),
        )


def _version(row: Row[*tuple[Any, ...]]) -> str:
    """Return what no two changes have in common: a sealed password is never twice."""
    kept = (row.user_name, row.password, sorted(row.options.items()), row.created_at)
    return hashlib.sha256(repr(kept).encode()).hexdigest()


def _same_login(one: Source, other: Source) -> bool:
    return (one.user_name, one.password) == (other.user_name, other.password)


_MANAGER = (
    select(members.c.id)
    .where(members.c.source == sources.c.id, members.c.collection == "Managers")
    .order_by(members.c.id)
    .limit(1)
    .scalar_subquery()
    .label("manager")
)
_SELECT = select(*sources.c, _MANAGER)
_IS_UP = sources.c.down_since.is_(None)
