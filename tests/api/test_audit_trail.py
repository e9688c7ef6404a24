"""What a flood leaves in the audit log, and what a silent store does to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.audit_trail import (
    APART,
    HOUR,
    MOST_LOGINS,
    MOST_PATHS,
    MOST_PEERS,
    WINDOW,
    AuditTrail,
)
from taskfish.store.audit import AuditLog, AuditRecord, NumberedRecord
from taskfish.store.database import Store
from tests.store.stores import KEYRING, opened, url_in

REFUSED = AuditRecord(
    at=datetime.now(UTC),
    event="Refused",
    user="eve",
    address="https://10.0.0.7",
    method="GET",
    path="/redfish/v1/Nothing",
    status=403,
    request_id="r-1",
)
DONE = REFUSED.model_copy(update={"event": "Change", "status": 202})
LOGIN = REFUSED.model_copy(update={"event": "Login", "status": 200})
DECODE = REFUSED.model_copy(update={"event": "Decode", "status": 200})
OWN = DONE.model_copy(
    update={"method": "PATCH", "path": "/redfish/v1/AccountService/Accounts/eve"}
)


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


class Trail:
    """A trail over a log of its own, and a clock for it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.log = AuditLog(store)
        self.clock = Clock()
        self.trail = AuditTrail(self.log, self.clock)

    async def note(self, record: AuditRecord, **changes: Any) -> None:
        """Note a record with some other values."""
        await self.trail.note(record.model_copy(update=changes))

    async def kept(self) -> list[NumberedRecord]:
        """Return what is in the log, all of it counted, the oldest first."""
        await self.trail.close()
        return (await self.log.page(10_000))[::-1]


@asynccontextmanager
async def a_trail(folder: Path) -> AsyncIterator[Trail]:
    async with opened(folder) as store:
        yield Trail(store)


@pytest.fixture
async def trail(tmp_path: Path) -> AsyncIterator[Trail]:
    """Give an empty trail."""
    async with a_trail(tmp_path) as found:
        yield found


async def rename(store: Store, table: str, name: str) -> None:
    """Rename a table: without its table the log is a store that does not answer."""
    async with store.write() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))


async def test_every_success_is_kept(trail: Trail) -> None:
    for _ in range(5):
        await trail.note(DONE)
    assert [record.repeated for record in await trail.kept()] == [0] * 5


async def test_refusals_that_are_alike_are_counted(trail: Trail) -> None:
    for _ in range(5):
        await trail.note(REFUSED)
    (record,) = await trail.kept()
    assert record.repeated == 4


async def test_refusals_at_once_are_counted(trail: Trail) -> None:
    await asyncio.gather(*(trail.note(REFUSED) for _ in range(20)))
    (record,) = await trail.kept()
    assert record.repeated == 19


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "adam"},
        {"user": None},
        {"address": "https://10.0.0.8"},
        {"path": "/redfish/v1/Other"},
        {"method": "POST"},
        {"event": "LoginFailed"},
        {"status": 401},
    ],
)
async def test_refusals_that_differ_are_kept(
    trail: Trail, changes: dict[str, Any]
) -> None:
    await trail.note(REFUSED)
    await trail.note(REFUSED, **changes)
    assert len(await trail.kept()) == 2


async def test_refusal_is_kept_again_after_a_while(trail: Trail) -> None:
    await trail.note(REFUSED)
    trail.clock.now += WINDOW - 1
    await trail.note(REFUSED)
    trail.clock.now += 2
    await trail.note(REFUSED)
    # What was counted in the first window is in the first record.
    assert [record.repeated for record in await trail.kept()] == [1, 0]


async def test_one_who_tries_every_path_fills_no_log(trail: Trail) -> None:
    for number in range(MOST_PATHS * 3):
        await trail.note(REFUSED, path=f"/{number}")
    kept = await trail.kept()
    assert len(kept) == MOST_PATHS + 1
    assert sum(1 + record.repeated for record in kept) == MOST_PATHS * 3


async def test_many_peers_fill_no_log(trail: Trail) -> None:
    for number in range(MOST_PEERS * 2):
        await trail.note(REFUSED, address=f"https://10.0.{number}.1")
    kept = await trail.kept()
    assert len(kept) == MOST_PEERS + 1
    assert sum(1 + record.repeated for record in kept) == MOST_PEERS * 2


async def test_flood_does_not_hide_a_success(trail: Trail) -> None:
    for number in range(MOST_PEERS * 2):
        await trail.note(REFUSED, address=f"https://10.0.{number}.1")
    await trail.note(DONE)
    assert (await trail.kept())[-1].event == "Change"


async def test_login_is_kept_once_an_hour_by_user_and_address(trail: Trail) -> None:
    other = LOGIN.model_copy(update={"address": "https://10.0.0.8"})
    for record in (LOGIN, LOGIN, other):
        await trail.trail.note_login(record)
    assert len(await trail.kept()) == 2
    trail.clock.now += HOUR + 1
    await trail.trail.note_login(LOGIN)
    assert len(await trail.kept()) == 3


async def test_addresses_of_one_network_are_one_login(trail: Trail) -> None:
    for number in range(1, 60):
        address = f"https://[2001:db8::{number:x}]"
        await trail.trail.note_login(LOGIN.model_copy(update={"address": address}))
        await trail.note(REFUSED, address=address)
    kept = await trail.kept()
    assert sorted(record.event for record in kept) == ["Login", "Refused"]


async def test_account_that_logs_in_from_everywhere_fills_no_log(trail: Trail) -> None:
    for number in range(MOST_LOGINS + 50):
        address = f"https://10.0.{number // 256}.{number % 256}"
        await trail.trail.note_login(LOGIN.model_copy(update={"address": address}))
    await trail.trail.note_login(LOGIN.model_copy(update={"user": "adam"}))
    kept = await trail.kept()
    assert len(kept) == MOST_LOGINS + 2
    assert kept[-1].user == "adam"


async def test_flood_of_sessions_of_one_account_is_counted(trail: Trail) -> None:
    for _ in range(APART + 30):
        await trail.note(LOGIN)
        await trail.note(LOGIN, event="Logout")
    await trail.note(LOGIN, user="adam")
    kept = await trail.kept()
    assert len(kept) == 2 * APART + 1
    assert sum(record.repeated for record in kept) == 2 * 30
    assert kept[-1].user == "adam"


async def test_flood_of_changes_of_the_own_account_is_counted(trail: Trail) -> None:
    for _ in range(APART + 30):
        await trail.note(OWN)
        await trail.note(OWN, path=OWN.path.replace("e", "%65"))
    assert len(await trail.kept()) == APART
    for _ in range(APART + 5):
        await trail.note(OWN, user="adam")
    assert len(await trail.kept()) == APART + APART + 5


async def test_decoding_is_kept_once_an_hour_and_a_refused_one_hides_nothing(
    trail: Trail,
) -> None:
    await trail.note(DECODE, status=400)
    for _ in range(5):
        await trail.note(DECODE)
    trail.clock.now += HOUR + 1
    await trail.note(DECODE)
    kept = await trail.kept()
    assert [(record.status, record.repeated) for record in kept] == [
        (400, 0),
        (200, 4),
        (200, 0),
    ]


async def test_what_has_started_a_task_is_kept_whatever_came_of_it(
    trail: Trail,
) -> None:
    for number in range(3):
        failed = DONE.model_copy(update={"status": 500, "task_id": f"t-{number}"})
        await trail.trail.note(failed, started=True)
    assert [record.task_id for record in await trail.kept()] == ["t-0", "t-1", "t-2"]


async def test_path_in_other_letters_is_the_same_refusal(trail: Trail) -> None:
    await trail.note(REFUSED)
    await trail.note(REFUSED, path=REFUSED.path.replace("N", "%4E"))
    assert len(await trail.kept()) == 1


async def test_count_is_written_by_itself(trail: Trail) -> None:
    for _ in range(3):
        await trail.note(REFUSED)
    async with asyncio.timeout(10):
        while (await trail.log.page(1))[0].repeated != 2:
            await asyncio.sleep(0.05)


async def test_silent_store_is_told_in_the_log_of_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(url_in(tmp_path / "missing"), KEYRING)
    trail = Trail(store)
    await trail.note(DONE)
    await asyncio.gather(*(trail.note(REFUSED) for _ in range(3)))
    await trail.trail.note_login(LOGIN)
    await trail.trail.close()
    await store.close()
    assert caplog.text.count("the audit log misses {") == 3
    assert caplog.text.count("the audit log misses 2 like {") == 1
    assert '"user":"eve"' in caplog.text


async def test_what_comes_after_a_moment_without_the_store_is_kept(
    trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    async def note_all() -> None:
        await trail.note(REFUSED)
        await trail.note(DECODE)
        await trail.trail.note_login(LOGIN)

    await rename(trail.store, "audit", "aside")
    await note_all()
    await rename(trail.store, "aside", "audit")
    for _ in range(4):
        await note_all()
    kept = {record.event: record.repeated for record in await trail.kept()}
    assert kept == {"Refused": 3, "Decode": 3, "Login": 0}
    assert caplog.text.count("the audit log misses") == 3


async def test_count_that_the_store_does_not_take_is_told(
    trail: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        await trail.note(REFUSED)
    await rename(trail.store, "audit", "aside")
    await trail.trail.close()
    await rename(trail.store, "aside", "audit")
    assert "the audit log misses 4 like {" in caplog.text
    assert [record.repeated for record in await trail.kept()] == [0]
