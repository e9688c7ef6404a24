"""What is forgotten by itself, and what is not."""

import contextlib
from datetime import UTC, datetime, timedelta

from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment

from activities.housekeeping import KEPT_FOR, HousekeepingActivities
from activities.open_places import OpenPlaces
from activities.reset_gate import ResetGate
from taskfish.store.audit import AuditLog, NumberedRecord
from taskfish.store.event_log import EventLog
from taskfish.store.journal import Journal, JournalKey
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.reset_waits import ResetWaits
from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.turns import Turns
from tests.house import House
from tests.workflows.houses import answered, until

ACCOUNTS = "/redfish/v1/Managers/bmc1.1/RemoteAccountService/Accounts"
ACCOUNT = {"UserName": "eve", "Password": "hush-hush-1", "RoleId": "ReadOnly"}


def housekeeping(house: House, **changes: int) -> HousekeepingActivities:
    """Return the activities, for which every kept secret is old enough."""
    return HousekeepingActivities(
        house.temporal,
        Journal(house.store),
        MonitorReads(house.store),
        Requests(house.store),
        SecretBodies(house.store),
        OpenPlaces(house.temporal, Turns(house.store)),
        ResetGate(house.temporal, ResetWaits(house.store)),
        AuditLog(house.store),
        EventLog(house.store),
        house.settings.model_copy(update=changes),
        longest_start=timedelta(0),
    )


async def sweep(house: House, **changes: int) -> int:
    """Sweep once, with some other settings."""
    activity = housekeeping(house, **changes).sweep
    return await answered(lambda: ActivityEnvironment().run(activity))


async def kept(house: House) -> list[str]:
    found = await SecretBodies(house.store).kept_before(datetime.now(UTC))
    return list(found.values())


async def test_secrets_of_an_open_task_are_kept(house: House) -> None:
    await house.stop_worker()
    accepted = await house.change("POST", ACCOUNTS, ACCOUNT)
    assert await sweep(house) == 0
    assert accepted.json()["Id"] in await kept(house)


async def test_secrets_of_a_killed_task_are_swept(house: House) -> None:
    await house.stop_worker()
    accepted = await house.change("POST", ACCOUNTS, ACCOUNT)
    await house.workflow(accepted).terminate()
    await sweep(house)
    assert accepted.json()["Id"] not in await kept(house)


async def test_secrets_of_a_task_that_never_started_are_swept(house: House) -> None:
    await SecretBodies(house.store).keep({"Password": "x"}, "Never-started-1")
    await sweep(house)
    assert "Never-started-1" not in await kept(house)


async def test_task_forgets_its_secrets_at_its_end(house: House) -> None:
    accepted = await house.change("POST", ACCOUNTS, ACCOUNT)
    assert (await house.final(accepted)).status_code == 201
    assert accepted.json()["Id"] not in await kept(house)


async def test_old_journal_rows_are_pruned(house: House) -> None:
    journal = Journal(house.store)
    key = JournalKey(workflow_id="w", run_id="r", step="submit-1")
    await journal.begin(key, "bmc1", None)
    await sweep(house)
    assert await journal.entry(key) is not None
    await journal.prune(datetime.now(UTC) + KEPT_FOR)
    assert await journal.entry(key) is None


async def test_housekeeping_is_scheduled_once(house: House) -> None:
    schedule = f"housekeeping:{house.settings.task_queue}"
    handle = house.temporal.get_schedule_handle(schedule)

    async def is_there() -> bool:
        with contextlib.suppress(RPCError):
            return bool((await handle.describe()).schedule.spec.intervals)
        return False

    await until(is_there)
    await house.stop_worker()
    await house.start_worker()


async def test_audit_log_keeps_its_newest_records(house: House) -> None:
    async def changes() -> list[NumberedRecord]:
        kept = await AuditLog(house.store).page(1000)
        return [record for record in kept if record.event == "Change"]

    for uri in ("TaskService", "AccountService", "SessionService"):
        await house.client.patch(f"/redfish/v1/{uri}", json={"@odata.id": uri})
    newest = (await changes())[:2]
    await sweep(house, audit_entries=2)
    assert await changes() == newest
    await sweep(house, audit_days=1)
    assert await changes() == newest
