"""Records a history of each workflow and ending: `python -m tests.workflows.recording`.

The files in tests/histories are replayed by test_replay.py. Record them afresh when a
workflow's commands change on purpose, and only if no such run may be under way
anywhere; else use `workflow.patched`.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr
from temporalio.client import Client

from activities.housekeeping import HOUSEKEEPING
from taskfish.cli.temporal_server import development_server
from taskfish.encryption import Keyring
from taskfish.temporal import data_converter
from tests.house import SOURCES, House, open_house, source_body
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
    house.emulator.set_modes("bmc1", hang=True, abort="refused")
    accepted = await house.reset("bmc1.1")
    await until_begun(house, accepted, "await_completion")
    await house.workflow(accepted).cancel(reason="requested")

    async def is_refused() -> bool:
        run = await house.workflow(accepted).describe()
        return "abort_refused" in await run.memo()

    await until(is_refused)
    house.emulator.set_modes("bmc1", hang=False)
    return accepted


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


async def _add(house: House, password: str) -> httpx.Response:
    address = house.addresses.bmcs[0]
    body = source_body("bmc1", address, "Redfish", password)
    return await house.client.post(SOURCES, json=body)


Scenario = Callable[[House], Awaitable[httpx.Response]]
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
    answer_found,
    not_sent_first,
    task_forgotten,
)
BEHIND_A_PLUGIN: tuple[Scenario, ...] = (outcome_unknown,)
WITHOUT_SOURCES: tuple[Scenario, ...] = (
    source_added,
    source_refused,
    source_cancelled,
)
WATCH = "source_watched"
SWEPT = "housekeeping"
NAMES = sorted(
    [WATCH, SWEPT]
    + [each.__name__ for each in (*ON_A_BMC, *BEHIND_A_PLUGIN, *WITHOUT_SOURCES)]
)


async def record(temporal: Client) -> None:
    """Write all histories afresh."""
    HISTORIES.mkdir(exist_ok=True)
    for scenario in ON_A_BMC:
        async with _fresh(bmc_house, temporal) as house:
            await _write(scenario, house)
    for scenario in BEHIND_A_PLUGIN:
        async with _fresh(node_house, temporal) as house:
            await _write(scenario, house)
    for scenario in WITHOUT_SOURCES:
        async with _fresh(open_house, temporal) as house:
            await _write(scenario, house)
    async with _fresh(bmc_house, temporal) as house:
        await _write_housekeeping(house)
        await _write_watch(house)


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


async def _write_housekeeping(house: House) -> None:
    sweep = await house.temporal.start_workflow(
        HOUSEKEEPING,
        id="housekeeping:sweep",
        task_queue=house.settings.task_queue,
    )
    await sweep.result()
    _save(SWEPT, (await sweep.fetch_history()).to_json())


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
