"""`python worker.py`: what it says when it cannot work, and how it stops."""

import signal
import time

import pytest
from pydantic import SecretStr

from taskfish.cli.free_ports import free_port
from taskfish.cli.temporal_server import local_environment
from taskfish.encryption import generate_key
from tests.cli.processes import environment
from tests.house import House
from tests.worker_process import (
    WorkerChild,
    child,
    settings_environment,
    worker_process,
)
from tests.workflows.houses import (
    event_names,
    history_of,
    until_begun,
    until_executed,
)

STOPS_WITHIN = 4.0
"""Seconds from SIGTERM to the end, with nothing to finish."""


async def stopped(worker: WorkerChild) -> tuple[int, float]:
    """Send SIGTERM; return the exit code and how long it took."""
    since = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    code = await worker.ended()
    return code, time.monotonic() - since


async def said(address: str, **changes: str) -> str:
    """Run a worker with these variables; return the sentence it ends with."""
    variables = {"TASKFISH_ENCRYPTION_KEYS": generate_key(), **changes}
    variables = local_environment(address, environment() | variables)
    async with child(variables) as worker:
        code = await worker.ended()
        assert code == 2, worker.said
        assert "Traceback" not in worker.said
        sentence = worker.said.splitlines()[-1]
        assert sentence.startswith("taskfish worker: ")
        return sentence


async def test_worker_without_keys_says_so(temporal_address: str) -> None:
    words = await said(temporal_address, TASKFISH_ENCRYPTION_KEYS="")
    assert "TASKFISH_ENCRYPTION_KEYS is empty" in words
    assert "taskfish keys generate" in words


async def test_worker_with_a_bad_key_does_not_show_it(temporal_address: str) -> None:
    words = await said(temporal_address, TASKFISH_ENCRYPTION_KEYS="c2VjcmV0")
    assert "32 bytes" in words
    assert "c2VjcmV0" not in words


async def test_worker_with_a_bad_setting_names_it(temporal_address: str) -> None:
    key = generate_key()
    words = await said(
        temporal_address,
        TASKFISH_HEARTBEAT_TIMEOUT="soon",
        TASKFISH_ENCRYPTION_KEYS=key,
    )
    assert "TASKFISH_HEARTBEAT_TIMEOUT" in words
    assert key not in words


async def test_worker_without_temporal_says_so() -> None:
    address = f"127.0.0.1:{free_port()}"
    words = await said(address)
    assert "Temporal" in words
    assert "TEMPORAL_ADDRESS" in words


async def test_worker_without_store_says_so(
    temporal_address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("store") / "empty.db"
    url = f"sqlite+aiosqlite:///{empty}"
    words = await said(temporal_address, TASKFISH_DATABASE_URL=url)
    assert "taskfish db upgrade" in words


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_worker_stops_at_once(
    bmc: House, temporal_address: str, number: signal.Signals
) -> None:
    """Also with a task to wait for, which the next worker takes over."""
    await bmc.stop_worker()
    bmc.emulator.set_modes("bmc1", hang=True)
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        accepted = await bmc.reset("bmc1.1")
        await until_begun(bmc, accepted, "await_completion")
        since = time.monotonic()
        worker.process.send_signal(number)
        assert await worker.ended() == 0, worker.said
        assert time.monotonic() - since < STOPS_WITHIN
        assert "Traceback" not in worker.said
    assert (await bmc.task(accepted))["TaskState"] == "Running"
    bmc.emulator.set_modes("bmc1", hang=False)
    await bmc.start_worker()
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_worker_finishes_what_it_sends(bmc: House, temporal_address: str) -> None:
    await bmc.stop_worker()
    bmc.emulator.set_modes("bmc1", answer_delay=1, seconds=2)
    async with worker_process(bmc, temporal_address) as worker:
        await worker.until_ready()
        accepted = await bmc.create_volume("bmc1.1")
        await until_executed(bmc)
        code, _ = await stopped(worker)
        assert code == 0, worker.said
    names = event_names(await history_of(bmc, accepted))
    assert names.count("ACTIVITY_TASK_COMPLETED") == 1
    await bmc.start_worker()
    assert (await bmc.ended(accepted))["TaskState"] == "Completed"
    assert bmc.executions("bmc1") == 1


async def test_settings_reach_another_process(bmc: House) -> None:
    """What the tests' processes rely on."""
    variables = settings_environment(bmc.settings)
    assert variables["TASKFISH_TASK_QUEUE"] == bmc.settings.task_queue
    key = bmc.settings.encryption_keys[0]
    assert isinstance(key, SecretStr)
    assert variables["TASKFISH_ENCRYPTION_KEYS"] == key.get_secret_value()
