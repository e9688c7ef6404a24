"""AggregationSources in the store, and the inventory that belongs to them."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from taskfish.redfish.inventory import Member
from taskfish.redfish.sources import ConnectionMethod, Source, SourceOptions
from taskfish.store.database import Store
from taskfish.store.inventory import Inventory
from taskfish.store.sources import SourceChanges, Sources
from taskfish.store.tables import members
from taskfish.store.tables import sources as table
from tests.store.stores import opened

MANAGERS = [
    Member(source="rack7", collection="Managers", id=name) for name in ("B", "A")
]
SYSTEM = Member(
    source="rack7",
    collection="Systems",
    id="System.Embedded.1",
    uuid="u",
    power_state="On",
    allowable_values={"ComputerSystem.Reset": {"ResetType": ["On"]}},
)


def source(name: str = "rack7", host: str = "10.0.0.7", **values: Any) -> Source:
    """Return a source with a password."""
    given: dict[str, Any] = {
        "method": ConnectionMethod.REDFISH,
        "user_name": "admin",
        "password": SecretStr("swordfish"),
    }
    return Source(id=name, host_name=host, **(given | values))


async def ready(
    store: Store, *found: Member, has_accounts: bool = True, has_tasks: bool = True
) -> bool:
    """Make rack7 ready with an inventory."""
    return await Inventory(store).replace(
        "rack7",
        found,
        uuid="u",
        has_accounts=has_accounts,
        has_tasks=has_tasks,
        task_id="task-1",
    )


async def test_new_source_is_adding_and_not_listed(store: Store) -> None:
    sources = Sources(store)
    assert await sources.add(source(), "task-1") is None
    record = await sources.get("rack7")
    assert record is not None
    assert (record.state, record.task_id) == ("adding", "task-1")
    assert record.source == source()
    assert await sources.ready() == []


async def test_ready_source_is_listed_with_its_members(store: Store) -> None:
    sources, inventory = Sources(store), Inventory(store)
    await sources.add(source(), "task-1")
    assert await ready(store, SYSTEM, *MANAGERS)
    (record,) = await sources.ready()
    assert (record.uuid, record.has_accounts, record.manager) == ("u", True, "A")
    assert await inventory.collection("Systems") == ["rack7.System.Embedded.1"]
    assert await inventory.member("Systems", "rack7.System.Embedded.1") == SYSTEM


async def test_accounts_without_a_service_belong_to_no_manager(store: Store) -> None:
    await Sources(store).add(source(), "task-1")
    await ready(store, *MANAGERS, has_accounts=False)
    record = await Sources(store).get("rack7")
    assert record is not None
    assert record.manager is None


async def test_source_without_tasks_is_known_by_its_access(store: Store) -> None:
    sources = Sources(store)
    await sources.add(source(), "task-1")
    for has_tasks in (False, True):
        await ready(store, has_tasks=has_tasks)
        access = await sources.access("rack7")
        assert access is not None
        assert access.source.has_tasks is has_tasks


async def test_members_of_a_source_that_is_adding_are_hidden(store: Store) -> None:
    await Sources(store).add(source(), "task-1")
    async with store.write() as connection:
        row = SYSTEM.model_dump(mode="json")
        await connection.execute(members.insert().values(row))
    inventory = Inventory(store)
    assert await inventory.collection("Systems") == []
    assert await inventory.member("Systems", SYSTEM.name) is None


@pytest.mark.parametrize(
    "name", ["", ".", "rack7", "rack7.", ".1", "rack7.system.embedded.1", "rack8.1"]
)
async def test_unknown_member_is_none(store: Store, name: str) -> None:
    await Sources(store).add(source(), "task-1")
    await ready(store, SYSTEM)
    assert await Inventory(store).member("Systems", name) is None


async def test_inventory_is_replaced_as_a_whole(store: Store) -> None:
    await Sources(store).add(source(), "task-1")
    await ready(store, SYSTEM, *MANAGERS)
    await ready(store, MANAGERS[0])
    inventory = Inventory(store)
    assert await inventory.collection("Systems") == []
    assert await inventory.collection("Managers") == ["rack7.B"]


async def test_source_is_the_only_one_while_no_other_has_systems(store: Store) -> None:
    """One that is being added, or has no systems, does not count."""
    inventory, sources = Inventory(store), Sources(store)
    assert await inventory.only_source() is None
    await sources.add(source(), "task-1")
    other = SYSTEM.model_copy(update={"id": "2"})
    await ready(store, SYSTEM, other, *MANAGERS)
    assert await inventory.only_source() == "rack7"
    await sources.add(source("rack8", "10.0.0.8"), "task-2")
    row = SYSTEM.model_copy(update={"source": "rack8"}).model_dump(mode="json")
    async with store.write() as connection:
        await connection.execute(members.insert().values(row))
    assert await inventory.only_source() == "rack7"
    facts: dict[str, Any] = {"uuid": "v", "has_accounts": False, "has_tasks": False}
    manager = MANAGERS[0].model_copy(update={"source": "rack8"})
    assert await inventory.replace("rack8", [manager], task_id="task-2", **facts)
    assert await inventory.only_source() == "rack7"
    system = SYSTEM.model_copy(update={"source": "rack8"})
    assert await inventory.replace("rack8", [system], **facts)
    assert await inventory.only_source() is None


async def test_inventory_of_another_tasks_addition_is_not_kept(store: Store) -> None:
    await Sources(store).add(source(), "task-2")
    assert not await ready(store, SYSTEM)
    assert await Sources(store).ready() == []


async def test_inventory_of_a_removed_source_is_not_kept(store: Store) -> None:
    await Sources(store).add(source(), "task-1")
    assert await Sources(store).remove("rack7")
    assert not await ready(store, SYSTEM)
    async with store.read() as connection:
        assert (await connection.execute(select(members))).all() == []


async def test_members_go_with_their_source(store: Store) -> None:
    await Sources(store).add(source(), "task-1")
    await ready(store, SYSTEM)
    assert await Sources(store).remove("rack7")
    assert not await Sources(store).remove("rack7")
    async with store.read() as connection:
        assert (await connection.execute(select(members))).all() == []


async def test_power_state_is_noted_for_one_system(store: Store) -> None:
    await Sources(store).add(source(), "task-1")
    await ready(store, SYSTEM)
    inventory = Inventory(store)
    await inventory.note_power_state("rack7", SYSTEM.id, "Off")
    await inventory.note_power_state("rack8", SYSTEM.id, "On")
    found = await inventory.member("Systems", SYSTEM.name)
    assert found is not None
    assert found.power_state == "Off"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("10.0.0.7", "https://10.0.0.7:443/"),
        ("http://10.0.0.7", "10.0.0.7:80"),
        ("BMC.example", "bmc.EXAMPLE"),
        ("[::1]", "[0::1]:443"),
    ],
)
async def test_place_that_is_taken_is_not_given_again(
    store: Store, first: str, second: str
) -> None:
    sources = Sources(store)
    await sources.add(source("rack7", first), "task-1")
    taken = await sources.add(source("rack8", second), "task-2")
    assert taken is not None
    assert taken.source.id == "rack7"
    assert await sources.get("rack8") is None


async def test_same_host_behind_two_plugins_is_two_places(store: Store) -> None:
    sources = Sources(store)
    behind = SourceOptions(plugin="plugin")
    assert await sources.add(source("rack7"), "task-1") is None
    assert await sources.add(source("rack8", options=behind), "task-2") is None
    assert await sources.behind("plugin") == ["rack8"]
    assert await sources.behind("rack7") == []


async def test_of_many_additions_at_once_one_has_the_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        taken = await asyncio.gather(
            *(
                Sources(store).add(source(f"rack{number}"), f"task-{number}")
                for number, store in enumerate([one, two] * 5)
            )
        )
    assert taken.count(None) == 1


async def test_removal_of_an_addition_spares_another_tasks_source(
    store: Store,
) -> None:
    sources = Sources(store)
    await sources.add(source(), "task-1")
    assert not await sources.remove("rack7", task_id="task-2")
    await ready(store)
    assert not await sources.remove("rack7", task_id="task-1")
    assert await sources.get("rack7") is not None


async def test_password_is_sealed(store: Store) -> None:
    await Sources(store).add(source(), "task-1")
    async with store.read() as connection:
        row = (await connection.execute(select(table))).one()
    assert b"swordfish" not in repr(row).encode()
    assert store.keyring.open(row.password) == b"swordfish"


async def test_changed_credentials_end_a_refusal(store: Store) -> None:
    sources = Sources(store)
    await sources.add(source(), "task-1")
    await sources.note_refused(source())
    before = await sources.access("rack7")
    options = SourceOptions(poll_seconds=1)
    given = SourceChanges(user_name="root", password=None, options=options)
    assert await sources.change("rack7", given)
    after = await sources.access("rack7")
    assert before is not None
    assert after is not None
    assert (before.refused, after.refused) == (True, False)
    assert after.source.user_name == "root"
    assert after.source.password is None
    assert after.source.options == options


async def test_refusal_of_older_credentials_does_not_count(store: Store) -> None:
    sources = Sources(store)
    await sources.add(source(), "task-1")
    await sources.change("rack7", SourceChanges(user_name="root"))
    await sources.note_refused(source())
    access = await sources.access("rack7")
    assert access is not None
    assert not access.refused


async def test_changes_at_once_do_not_undo_each_other(store: Store) -> None:
    sources = Sources(store)
    await sources.add(source(), "task-1")
    changes = [
        SourceChanges(password=SecretStr("new")),
        SourceChanges(user_name="root"),
        *(
            SourceChanges(options=SourceOptions(**{name: value}))
            for name, value in {
                "fingerprint": "AB",
                "poll_seconds": 7,
                "max_concurrent_requests": 9,
            }.items()
        ),
    ]
    made = await asyncio.gather(*(sources.change("rack7", each) for each in changes))
    record = await sources.get("rack7")
    assert made == [True] * len(changes)
    assert record is not None
    assert record.source.password == SecretStr("new")
    assert record.source.user_name == "root"
    assert record.source.options == SourceOptions(
        fingerprint="AB", poll_seconds=7, max_concurrent_requests=9
    )


@pytest.mark.parametrize(
    "change",
    [
        SourceChanges(password=SecretStr("swordfish")),
        SourceChanges(user_name="root"),
        SourceChanges(options=SourceOptions(fingerprint="AB")),
    ],
)
async def test_source_that_is_not_as_it_was_seen_stays(
    store: Store, change: SourceChanges
) -> None:
    sources = Sources(store)
    await sources.add(source(), "task-1")
    seen = await sources.get("rack7")
    await sources.note_health("rack7", answers=False)
    assert await sources.change("rack7", change, seen)
    after = await sources.get("rack7")
    assert not await sources.change("rack7", SourceChanges(user_name="x"), seen)
    assert not await sources.remove("rack7", seen=seen)
    assert await sources.get("rack7") == after
    assert await sources.remove("rack7", seen=after)
    assert not await sources.change("rack7", change)
    assert not await sources.remove("rack7", seen=after)


async def test_changed_credentials_of_a_plugin_end_refusals_behind_it(
    store: Store,
) -> None:
    sources = Sources(store)
    await sources.add(source(options=SourceOptions(plugin="plugin")), "task-1")
    await sources.add(source("plugin", "10.0.0.1", method=ConnectionMethod.ODIM), "t")
    await sources.note_refused(source())
    await sources.change("plugin", SourceChanges(user_name="root"))
    access = await sources.access("rack7")
    assert access is not None
    assert not access.refused


async def test_source_is_down_since_it_was_first_missed(store: Store) -> None:
    sources = Sources(store)
    await sources.add(source(), "task-1")
    await sources.note_health("rack7", answers=False)
    first = await sources.get("rack7")
    await sources.note_health("rack7", answers=False)
    second = await sources.get("rack7")
    await sources.note_health("rack7", answers=True)
    third = await sources.get("rack7")
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.down_since == second.down_since
    assert first.down_since is not None
    assert datetime.now(UTC) - first.down_since < timedelta(seconds=5)
    assert third.down_since is None


async def test_access_to_a_machine_names_its_plugin(store: Store) -> None:
    sources = Sources(store)
    await sources.add(source("plugin", "10.0.0.1", method=ConnectionMethod.ODIM), "t")
    options = SourceOptions(plugin="plugin")
    await sources.add(source(options=options), "task-1")
    access = await sources.access("rack7")
    assert access is not None
    assert access.plugin is not None
    assert access.plugin.id == "plugin"
    assert await sources.access("none") is None
