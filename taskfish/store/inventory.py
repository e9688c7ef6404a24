"""The inventory: which systems, chassis and managers the sources have.

Collections read only this, so that one dead BMC never delays `/Systems`.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from taskfish.redfish.events import resource_created, resource_removed
from taskfish.redfish.inventory import Member
from taskfish.store.database import Store
from taskfish.store.event_log import tell_within
from taskfish.store.tables import members, sources

_MACHINES = ("Systems", "Chassis", "Managers")
_ROOT = "/redfish/v1"
_A_QUERY = 500
"""Machines asked for at once: databases bear so many parameters, times three."""


class Inventory:
    """Reads and writes of the `members` table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def collection(self, collection: str) -> list[str]:
        """Return the gateway's Ids of all members of a collection, sorted."""
        statement = (
            select(members.c.source, members.c.id)
            .join(sources, sources.c.id == members.c.source)
            .where(members.c.collection == collection, sources.c.state == "ready")
            .order_by(members.c.source, members.c.id)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [f"{row.source}.{row.id}" for row in rows]

    async def members(self, collection: str) -> list[Member]:
        """Return all that is known of the members of a collection, sorted by name."""
        statement = (
            select(members)
            .join(sources, sources.c.id == members.c.source)
            .where(members.c.collection == collection, sources.c.state == "ready")
            .order_by(members.c.source, members.c.id)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [Member.model_validate(dict(row._mapping)) for row in rows]

    async def member(self, collection: str, name: str) -> Member | None:
        """Return the member that the gateway calls `name`, None if there is none."""
        source, _, member_id = name.partition(".")
        statement = (
            select(members)
            .join(sources, sources.c.id == members.c.source)
            .where(
                members.c.collection == collection,
                members.c.source == source,
                members.c.id == member_id,
                sources.c.state == "ready",
            )
        )
        async with self._store.read() as connection:
            row = (await connection.execute(statement)).first()
        return Member.model_validate(dict(row._mapping)) if row is not None else None

    async def at(self, uris: Iterable[str]) -> dict[str, Member]:
        """Return those of these machines that there are, by their URIs: however many,
        in a few queries.
        """
        keys = list[tuple[str, str, str]]()
        for uri in dict.fromkeys(uris):
            collection, _, name = uri.removeprefix(f"{_ROOT}/").rpartition("/")
            source, _, member_id = name.partition(".")
            keys.append((collection, source, member_id))
        found: dict[str, Member] = {}
        its = tuple_(members.c.collection, members.c.source, members.c.id)
        async with self._store.read() as connection:
            for first in range(0, len(keys), _A_QUERY):
                statement = (
                    select(members)
                    .join(sources, sources.c.id == members.c.source)
                    .where(
                        its.in_(keys[first : first + _A_QUERY]),
                        sources.c.state == "ready",
                    )
                )
                for row in await connection.execute(statement):
                    member = Member.model_validate(dict(row._mapping))
                    found[member.uri] = member
        return found

    async def systems_of_all(self, source_ids: Collection[str]) -> list[str]:
        """Return the gateway's Ids of the systems of several sources."""
        wanted, found = sorted(source_ids), list[str]()
        async with self._store.read() as connection:
            for first in range(0, len(wanted), _A_QUERY):
                statement = select(members.c.source, members.c.id).where(
                    members.c.source.in_(wanted[first : first + _A_QUERY]),
                    members.c.collection == "Systems",
                )
                rows = await connection.execute(statement)
                found += [f"{row.source}.{row.id}" for row in rows]
        return found

    async def systems_of(self, source_id: str) -> list[str]:
        """Return the gateway's Ids of a source's systems, sorted."""
        statement = (
            select(members.c.id)
            .where(members.c.source == source_id, members.c.collection == "Systems")
            .order_by(members.c.id)
        )
        async with self._store.read() as connection:
            rows = (await connection.execute(statement)).all()
        return [f"{source_id}.{row.id}" for row in rows]

    async def only_source(self) -> str | None:
        """Return the source of all systems; None if there are several, or no systems.

        However many systems there are, two rows at most are read.
        """
        statement = (
            select(members.c.source)
            .join(sources, sources.c.id == members.c.source)
            .where(members.c.collection == "Systems", sources.c.state == "ready")
            .distinct()
            .limit(2)
        )
        async with self._store.read() as connection:
            found = (await connection.execute(statement)).scalars().all()
        return found[0] if len(found) == 1 else None

    async def replace(
        self,
        source_id: str,
        found: Sequence[Member],
        *,
        uuid: str | None,
        has_accounts: bool,
        has_tasks: bool,
        task_id: str | None = None,
    ) -> bool:
        """Make `found` the source's whole inventory and the source ready.

        Machines that come and go are told to the event log. Returns False, and keeps
        nothing, if the source is not there any more, or was not added by `task_id` and
        is not ready yet.
        """
        condition = (sources.c.id == source_id) & (
            (sources.c.state == "ready") | (sources.c.task_id == task_id)
        )
        async with self._store.write() as connection:
            result = await connection.execute(
                update(sources)
                .where(condition)
                .values(
                    state="ready",
                    uuid=uuid,
                    has_accounts=has_accounts,
                    has_tasks=has_tasks,
                )
            )
            if result.rowcount == 0:
                return False
            before = await told_members(connection, source_id)
            await connection.execute(
                delete(members).where(members.c.source == source_id)
            )
            if found:
                rows = [member.model_dump(mode="json") for member in found]
                await connection.execute(insert(members), rows)
            after = await told_members(connection, source_id)
            await tell_within(
                connection,
                *(resource_removed(uri) for uri in sorted(before - after)),
                *(resource_created(uri) for uri in sorted(after - before)),
            )
        return True

    async def note_power_state(
        self, source_id: str, system: str, power_state: str | None
    ) -> None:
        """Remember the PowerState that a system was last seen in."""
        async with self._store.write() as connection:
            await connection.execute(
                update(members)
                .where(
                    members.c.source == source_id,
                    members.c.collection == "Systems",
                    members.c.id == system,
                )
                .values(power_state=power_state)
            )


async def told_members(connection: AsyncConnection, source_id: str) -> set[str]:
    """Return the URIs of a source's members that events tell of: its machines."""
    statement = select(members.c.source, members.c.collection, members.c.id).where(
        members.c.source == source_id, members.c.collection.in_(_MACHINES)
    )
    rows = await connection.execute(statement)
    return {Member.model_validate(dict(row._mapping)).uri for row in rows}
