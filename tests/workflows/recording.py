"""Records a history of each workflow and ending: `python -m tests.workflows.recording`.

It records the histories that are missing in tests/histories, where test_replay.py
replays them. One that is there stays as it is: runs of its kind may be under way
anywhere, so a change of a workflow's commands needs `workflow.patched`.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
from pydantic import SecretStr
from temporalio.client import Client, WorkflowFailureError

from activities.event_deliveries import DELIVERY
from activities.housekeeping import HOUSEKEEPING
from taskfish.cli.temporal_server import development_server
from taskfish.encryption import Keyring
from taskfish.store.subscriptions import Subscriptions
from taskfish.temporal import data_converter
from tests.house import SOURCES, House, open_house, source_body
from tests.subscriber import listening, subscribe
from tests.workflows.adopting import (
    SOON,
    adopted_job,
    others_change,
    others_task,
    the_adopted,
)
from tests.workflows.houses import (
    NODE,
    bmc_house,
    create_account,
    event_names,
    history_of,
    node_house,
    until,
    until_begun,
    until_executed,
)
from tests.workflows.recorded_operations import (
    BULK_OPERATIONS,
    OPERATIONS,
    RESET,
    Scenario,
)

HISTORIES = Path(__file__).parent.parent / "histories"
TEST_KEY = SecretStr("dGVzdC1rZXktb25seS1uZXZlci1pbi1wcm9kdWN0aW8=")
"""Encrypts the committed histories: a key for tests, known to everybody."""


async def completed_polled(house: House) -> httpx.Response:
    """A volume is created, its task is polled to its end."""
    return await house.create_volume("bmc1.1")


async def completed_sync(house: House) -> httpx.Response:
    """The source answers at once."""
    house.emulator.set_modes("bmc1", answer="sync")
    return await house.reset("bmc1.1")


async def completed_paused(house: House) -> httpx.Response:
    """The source's task is suspended for a while: two signals."""
    house.emulator.set_modes("bmc1", pause_at=50)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", pause_at=None)
    return accepted


async def completed_secret(house: House) -> httpx.Response:
    """An account is created, whose password is forgotten at the end."""
    return await create_account(house)


async def failed(house: House) -> httpx.Response:
    """The source's task fails."""
    house.emulator.set_modes("bmc1", fail=True)
    return await house.reset("bmc1.1")


async def refused(house: House) -> httpx.Response:
    """The source refuses the change."""
    house.emulator.set_modes("bmc1", refuse=409)
    return await house.reset("bmc1.1")


async def cancelled_following(house: House) -> httpx.Response:
    """It is cancelled while it is followed, and the source aborts its task."""
    house.emulator.set_modes("bmc1", seconds=30, abort_seconds=0.2)
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.workflow(accepted).cancel(reason="requested")
    return accepted


async def cancelled_sending(house: House) -> httpx.Response:
    """It is cancelled while it is sent."""
    house.emulator.set_modes("bmc1", answer_delay=0.3, seconds=30, abort_seconds=0)
    accepted = await house.reset("bmc1.1")
    await until_executed(house)
    await house.workflow(accepted).cancel(reason="requested")
    return accepted


async def cancelled_unsent(house: House) -> httpx.Response:
    """It is cancelled between two tries to send it."""
    house.emulator.set_modes("bmc1", refuse=503)
    accepted = await house.reset("bmc1.1")

    async def pauses() -> bool:
        return "TIMER_STARTED" in event_names(await history_of(house, accepted))

    await until(pauses)
    await house.workflow(accepted).cancel(reason="requested")
    return accepted


async def cancelled_by_source(house: House) -> httpx.Response:
    """The source cancels its task by itself."""
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    machine = house.emulator.machines["bmc1"]
    machine.abort(next(iter(machine.timeline.jobs.values())))
    return accepted


async def abort_refused(house: House) -> httpx.Response:
    """The source refuses to abort its task, which completes."""
    accepted = await abort_refused_once(house)
    house.emulator.set_modes("bmc1", hang=False)
    return accepted


async def abort_asked_again(house: House) -> httpx.Response:
    """The source refuses to abort its task at first: a second Cancel is a signal."""
    accepted = await abort_refused_once(house)
    house.emulator.set_modes("bmc1", abort="supported", abort_seconds=0)
    await house.workflow(accepted).signal("Cancel", "ada")
    return accepted


async def abort_refused_once(house: House) -> httpx.Response:
    """Cancel a hanging reset whose source refuses to abort it."""
    house.emulator.set_modes("bmc1", hang=True, abort="refused")
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.workflow(accepted).cancel(reason="requested")

    async def is_refused() -> bool:
        run = await house.workflow(accepted).describe()
        return bool((await run.memo()).get("abort_refused"))

    await until(is_refused)
    return accepted


async def deadline_passed(house: House) -> httpx.Response:
    """The source aborts its task at the deadline."""
    house.emulator.set_modes("bmc1", hang=True, abort_seconds=0)
    return await _reset(house, {"Task-Timeout": "1"})


async def suspended_unsent(house: House) -> httpx.Response:
    """It is suspended between two tries to send it, and resumed."""
    house.emulator.set_modes("bmc1", refuse=503)
    accepted = await house.reset("bmc1.1")
    await until_executed(house, times=0)
    await house.workflow(accepted).signal("Suspend", "ada")
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", refuse=None)
    await house.workflow(accepted).signal("Resume", "ada")
    return accepted


async def suspended_at_source(house: House) -> httpx.Response:
    """It is suspended while the source works on it, which can pause its task."""
    house.emulator.set_modes("bmc1", pausable=True, seconds=2)
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.workflow(accepted).signal("Suspend", "ada")
    await house.until(accepted, "Suspended")
    await house.workflow(accepted).signal("Resume", "ada")
    return accepted


async def tagged(house: House) -> httpx.Response:
    """Its tags are replaced while the source works on it, then taken away."""
    house.emulator.set_modes("bmc1", seconds=2)
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.workflow(accepted).signal("SetTags", ["night", "rack7"])
    await house.workflow(accepted).signal("SetTags", [])
    return accepted


async def resumed_at_source(house: House) -> httpx.Response:
    """The source pauses its task by itself, and is told to go on."""
    house.emulator.set_modes("bmc1", pausable=True, seconds=2)
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    timeline = house.emulator.machines["bmc1"].timeline
    timeline.pause(next(iter(timeline.jobs.values())), True)
    await house.until(accepted, "Suspended")
    await house.workflow(accepted).signal("Resume", "ada")
    return accepted


async def queued(house: House) -> httpx.Response:
    """It waits for another change of the machine."""
    house.emulator.set_modes("bmc1", seconds=1)
    await house.reset("bmc1.1")
    return await _reset(house, {"Task-Conflict": "queue"})


async def queue_timed_out(house: House) -> httpx.Response:
    """It waits in vain for another change of the machine."""
    house.emulator.set_modes("bmc1", hang=True)
    await house.reset("bmc1.1")
    return await _reset(house, {"Task-Conflict": "queue"})


async def superseding(house: House) -> httpx.Response:
    """A forced power-off takes the place of a graceful one that hangs."""
    house.emulator.set_modes("bmc1", hang_graceful=True, abort_seconds=0)
    hanging = await house.reset("bmc1.1", "GracefulShutdown")
    await until_begun(house, hanging, "await_completion")
    return await _reset(house, {"Task-Conflict": "reject"}, "ForceOff")


async def on_reset_by_gateway(house: House) -> httpx.Response:
    """The source knows no apply time: the gateway waits for the reset."""
    house.emulator.set_modes("bmc1", apply_times=False)
    accepted = await house.create_volume("bmc1.1", apply_time="OnReset")
    await until_begun(house, accepted, "await_reset")
    await house.reset("bmc1.1")
    return accepted


async def on_reset_by_source(house: House) -> httpx.Response:
    """The source takes the apply time: its task is Pending until the reset."""
    accepted = await house.create_volume("bmc1.1", apply_time="OnReset")
    await until_begun(house, accepted, "await_completion")
    await house.reset("bmc1.1")
    return accepted


async def on_reset_kept_by_source(house: House) -> httpx.Response:
    """The source takes the apply time, and the machine is free for the reset."""
    return await on_reset_by_source(house)


async def in_window(house: House) -> httpx.Response:
    """It is sent when its maintenance window begins."""
    return await _in_window(house, 2)


async def window_suspended(house: House) -> httpx.Response:
    """It is suspended while it waits for its window, and resumed within it."""
    accepted = await _in_window(house, 2)
    await house.workflow(accepted).signal("Suspend", "ada")
    await house.until(accepted, "Suspended")
    await house.workflow(accepted).signal("Resume", "ada")
    return accepted


async def _in_window(house: House, seconds: int) -> httpx.Response:
    start = datetime.now(UTC) + timedelta(seconds=seconds)
    body = {
        "ResetType": "ForceRestart",
        "@Redfish.OperationApplyTime": "AtMaintenanceWindowStart",
        "@Redfish.MaintenanceWindow": {
            "MaintenanceWindowStartTime": start.isoformat(timespec="seconds"),
            "MaintenanceWindowDurationInSeconds": 600,
        },
    }
    return await house.change("POST", RESET, body)


async def _reset(
    house: House, headers: dict[str, str], reset_type: str = "ForceRestart"
) -> httpx.Response:
    return await house.change("POST", RESET, {"ResetType": reset_type}, **headers)


async def completed_told(house: House) -> httpx.Response:
    """Each state is told to the event log: the source pauses its task on the way."""
    house.emulator.set_modes("bmc1", pause_at=50)
    accepted = await house.reset("bmc1.1")
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", pause_at=None)
    return accepted


async def cancelled_told(house: House) -> httpx.Response:
    """A cancelled task tells the event log of its end."""
    return await cancelled_following(house)


async def answer_found(house: House) -> httpx.Response:
    """The answer is lost, and the look finds the task of the source."""
    house.emulator.set_modes("bmc1", lose_answer=1)
    return await house.create_volume("bmc1.1")


async def not_sent_first(house: House) -> httpx.Response:
    """The source is busy at first."""
    house.emulator.set_modes("bmc1", refuse=503, refuse_times=1)
    return await house.reset("bmc1.1")


async def task_forgotten(house: House) -> httpx.Response:
    """The source forgets its task, and the machine does not show what became of it."""
    house.emulator.set_modes("bmc1", hang=True)
    accepted = await house.create_volume("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    house.emulator.restart("bmc1")
    return accepted


async def outcome_unknown(house: House) -> httpx.Response:
    """The answer is lost, and nothing tells what became of it."""
    house.emulator.set_modes("node1", lose_answer=1)
    uri = f"{NODE}/Actions/ComputerSystem.SetDefaultBootOrder"
    return await house.change("POST", uri, {})


async def source_added(house: House) -> httpx.Response:
    """A source is added."""
    return await _add(house, "password")


async def source_refused(house: House) -> httpx.Response:
    """A source is not added: its password is wrong."""
    return await _add(house, "wrong")


async def source_cancelled(house: House) -> httpx.Response:
    """Adding a source is cancelled."""
    house.emulator.set_modes("bmc1", read_delay=0.3)
    accepted = await _add(house, "password")
    await until_begun(house, accepted, "admit_source")
    await house.workflow(accepted).cancel(reason="requested")
    return accepted


async def source_added_in_time(house: House) -> httpx.Response:
    """A source is added, within a deadline."""
    return await _add(house, "password", {"Task-Timeout": "60"})


async def source_overdue(house: House) -> httpx.Response:
    """A source does not answer in time."""
    house.emulator.set_modes("bmc1", read_delay=5)
    return await _add(house, "password", {"Task-Timeout": "1"})


async def source_cancelled_by_name(house: House) -> httpx.Response:
    """Adding a source is cancelled through Redfish: a signal comes first."""
    house.emulator.set_modes("bmc1", read_delay=0.3)
    accepted = await _add(house, "password")
    await until_begun(house, accepted, "admit_source")
    await house.client.delete(accepted.json()["@odata.id"])
    return accepted


async def _add(
    house: House, password: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    address = house.addresses.bmcs[0]
    body = source_body("bmc1", address, "Redfish", password)
    return await house.client.post(SOURCES, json=body, headers=headers)


async def adopted_completed(house: House) -> httpx.Response:
    """A task that the source began by itself pauses on the way, and completes."""
    house.emulator.set_modes("bmc1", pause_at=50)
    accepted = await adopted_job(house, others_task(house, seconds=0.2))
    await house.until(accepted, "Suspended")
    house.emulator.set_modes("bmc1", pause_at=None)
    return accepted


async def adopted_cancelled(house: House) -> httpx.Response:
    """A task that another client has started is cancelled."""
    house.emulator.set_modes("bmc1", seconds=60, abort_seconds=0)
    accepted = await the_adopted(house, await others_change(house))
    await house.client.delete(accepted.json()["@odata.id"])
    return accepted


async def adopted_suspended(house: House) -> httpx.Response:
    """An adopted task is suspended and resumed at its source."""
    house.emulator.set_modes("bmc1", pausable=True)
    accepted = await adopted_job(house, others_task(house, seconds=2))
    await until_begun(house, accepted, "await_completion")
    await house.workflow(accepted).signal("Suspend", "ada")
    await house.until(accepted, "Suspended")
    await house.workflow(accepted).signal("Resume", "ada")
    return accepted


async def adopted_lost(house: House) -> httpx.Response:
    """An adopted task disappears."""
    accepted = await adopted_job(house, others_task(house, seconds=60))
    await until_begun(house, accepted, "await_completion")
    house.emulator.restart("bmc1")
    return accepted


async def adopted_ended(house: House) -> httpx.Response:
    """A task had ended before it was found."""
    return await adopted_job(house, others_task(house, seconds=0))


Opener = Callable[[Client, Path, SecretStr], AbstractAsyncContextManager[House]]

ON_A_BMC: tuple[Scenario, ...] = (
    completed_polled,
    completed_sync,
    completed_paused,
    completed_secret,
    failed,
    refused,
    cancelled_following,
    cancelled_sending,
    cancelled_unsent,
    cancelled_by_source,
    abort_refused,
    abort_asked_again,
    deadline_passed,
    suspended_unsent,
    suspended_at_source,
    tagged,
    resumed_at_source,
    queued,
    superseding,
    on_reset_by_gateway,
    on_reset_by_source,
    on_reset_kept_by_source,
    in_window,
    window_suspended,
    completed_told,
    cancelled_told,
    answer_found,
    not_sent_first,
    task_forgotten,
    *OPERATIONS,
)
IMPATIENT: tuple[Scenario, ...] = (queue_timed_out,)
"""On a BMC, with a queue that nobody waits in for long."""
BEHIND_A_PLUGIN: tuple[Scenario, ...] = (outcome_unknown,)
WITHOUT_SOURCES: tuple[Scenario, ...] = (
    source_added,
    source_refused,
    source_cancelled,
    source_added_in_time,
    source_overdue,
    source_cancelled_by_name,
)
OF_OTHERS: tuple[Scenario, ...] = (
    adopted_completed,
    adopted_cancelled,
    adopted_suspended,
    adopted_lost,
    adopted_ended,
)
"""On a BMC that is often asked for tasks of others."""
IN_BULK: tuple[Scenario, ...] = BULK_OPERATIONS
"""Behind a plugin, with a run for each step."""
SCENARIOS = (
    *ON_A_BMC,
    *IMPATIENT,
    *BEHIND_A_PLUGIN,
    *IN_BULK,
    *WITHOUT_SOURCES,
    *OF_OTHERS,
)
WATCH = "source_watched"
SWEPT = "housekeeping"
"""Recorded before the sweep removed tasks: kept, as runs of then must replay."""
SWEPT_AND_REMOVED = "housekeeping_removing"
FORCED_OFF = "step_forced_off"
"""Recorded before such a step ended graceful resets: kept as well."""
SUSPENDED_QUEUED = "operation_suspended_queued"
"""Recorded before an operation that is suspended in a queue left it: kept as well."""
REMOVED = "tasks_removed"
DELIVERED = "events_delivered"
RECONCILED = "events_reconciled"
NAMES = sorted(
    [WATCH, SWEPT, SWEPT_AND_REMOVED, REMOVED, DELIVERED, RECONCILED]
    + [FORCED_OFF, SUSPENDED_QUEUED]
    + [each.__name__ for each in SCENARIOS]
)


async def record(temporal: Client) -> None:
    """Write the histories that are missing."""
    HISTORIES.mkdir(exist_ok=True)
    for scenario in SCENARIOS:
        if _is_missing(scenario.__name__):
            async with _house_for(scenario, temporal) as house:
                await _write(scenario, house)
    internal = {
        WATCH: _write_watch,
        SWEPT_AND_REMOVED: _write_sweep,
        REMOVED: _write_removal,
        DELIVERED: _write_delivery,
        RECONCILED: _write_reconciler,
    }
    for name, write in internal.items():
        if _is_missing(name):
            async with _fresh(bmc_house, temporal) as house:
                await write(house)


def _is_missing(name: str) -> bool:
    return not (HISTORIES / f"{name}.json").exists()


def _house_for(
    scenario: Scenario, temporal: Client
) -> AbstractAsyncContextManager[House]:
    if scenario in IMPATIENT:
        return _fresh(partial(bmc_house, queue_timeout=1), temporal)
    if scenario in BEHIND_A_PLUGIN:
        return _fresh(node_house, temporal)
    if scenario in IN_BULK:
        return _fresh(partial(node_house, bulk_steps_a_run=1), temporal)
    if scenario in OF_OTHERS:
        return _fresh(partial(bmc_house, adoption_interval=SOON), temporal)
    if scenario in WITHOUT_SOURCES:
        return _fresh(open_house, temporal)
    return _fresh(bmc_house, temporal)


@asynccontextmanager
async def _fresh(open_one: Opener, temporal: Client) -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_one(temporal, Path(folder), TEST_KEY) as house:
            yield house


async def _write(scenario: Scenario, house: House) -> None:
    accepted = await scenario(house)
    task = await house.ended(accepted)
    history = await house.workflow(accepted).fetch_history()
    _save(scenario.__name__, history.to_json())
    events = len(history.events)
    sys.stdout.write(f"{scenario.__name__}: {task['TaskState']}, {events} events\n")


async def _write_watch(house: House) -> None:
    """A watcher ends when its source is removed."""
    watcher = house.temporal.get_workflow_handle("watch:bmc1")
    assert (await house.client.delete(f"{SOURCES}/bmc1")).status_code == 204
    await watcher.result()
    _save(WATCH, (await watcher.fetch_history()).to_json())


async def _write_sweep(house: House) -> None:
    sweep = await house.temporal.start_workflow(
        HOUSEKEEPING,
        id="housekeeping:sweep",
        task_queue=house.settings.task_queue,
    )
    await sweep.result()
    _save(SWEPT_AND_REMOVED, (await sweep.fetch_history()).to_json())


async def _write_removal(house: House) -> None:
    """All ended tasks are removed: there is the one that added the source."""
    uri = "/redfish/v1/TaskService/Actions/TaskService.DeleteAllCompletedTasks"
    assert (await house.client.post(uri, json={})).status_code == 204
    removal = house.temporal.get_workflow_handle("removal:all")
    await removal.result()
    _save(REMOVED, (await removal.fetch_history()).to_json())


async def _write_delivery(house: House) -> None:
    """A delivery ends when its subscription is removed."""
    async with listening() as listener:
        subscription = await subscribe(house, listener)
        await house.ended(await house.reset("bmc1.1"))
        await until(lambda: listener.keys[-1:] == ["TaskCompletedOK"])
        await Subscriptions(house.store).remove(subscription.id)
        delivery = house.temporal.get_workflow_handle(f"{DELIVERY}{subscription.id}")
        await delivery.result()
        _save(DELIVERED, (await delivery.fetch_history()).to_json())


async def _write_reconciler(house: House) -> None:
    """The reconciler goes on for good: an operator cancels it."""
    name = f"events:{house.settings.task_queue}"
    reconciler = house.temporal.get_workflow_handle(name)
    await reconciler.cancel()
    with contextlib.suppress(WorkflowFailureError):
        await reconciler.result()
    _save(RECONCILED, (await reconciler.fetch_history()).to_json())


def _save(name: str, text: str) -> None:
    (HISTORIES / f"{name}.json").write_text(text + "\n")


async def main() -> None:
    """Record on a development server of its own."""
    async with development_server() as address:
        converter = data_converter(Keyring([TEST_KEY]))
        await record(
            await Client.connect(
                address, data_converter=converter, identity="recording"
            )
        )


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)
