"""`taskfish keys rotate`: what it does and what it says."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from activities.sources import start_watcher
from taskfish.cli.free_ports import free_port
from taskfish.cli.keys import rotate
from taskfish.encryption import Keyring, generate_key
from taskfish.errors import ConfigurationError
from taskfish.redfish.sources import ConnectionMethod, Source, SourceOptions
from taskfish.settings import Settings
from taskfish.store.database import Store, upgrade
from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.sources import Sources
from taskfish.temporal import data_converter
from tests.house import fast_settings

OLD, NEW = SecretStr(generate_key()), SecretStr(generate_key())
OLD_ID, NEW_ID = (Keyring([key]).first.hex() for key in (OLD, NEW))


@pytest.fixture
async def settings(
    tmp_path: Path, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Give the settings of an empty store, the new key first."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    settings = fast_settings(tmp_path, OLD, encryption_keys=(NEW, OLD))
    await upgrade(settings.database_url)
    return settings


@pytest.fixture
async def older(temporal_address: str) -> Client:
    """Give the client of a process that has the old key only."""
    converter = data_converter(Keyring([OLD]))
    return await Client.connect(temporal_address, data_converter=converter)


def store_with(settings: Settings, *keys: SecretStr) -> Store:
    return Store(settings.database_url, Keyring(keys))


async def listed(client: Client, settings: Settings, count: int) -> None:
    """Wait until visibility knows so many runs of the gateway."""
    query = f"TaskQueue='{settings.task_queue}'"
    async with asyncio.timeout(20):
        while (await client.count_workflows(query)).count != count:
            await asyncio.sleep(0.05)


async def test_store_works_without_the_old_key(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    store = store_with(settings, OLD)
    reference = await SecretBodies(store).keep("x", "task")
    await store.close()
    await rotate(settings)
    said = capsys.readouterr().out
    assert (
        f"Sealed 1 values of the store with the key {NEW_ID}: secret_bodies 1" in said
    )
    assert f"The store no longer needs the key {OLD_ID}" in said
    assert f"Temporal no longer needs the key {OLD_ID}: take it out" in said
    store = store_with(settings, NEW)
    assert await SecretBodies(store).get(reference) == "x"
    await store.close()
    await rotate(settings)
    assert "Sealed 0 values" in capsys.readouterr().out


async def test_old_key_is_needed_while_its_runs_are_kept(
    settings: Settings, older: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    queue = settings.task_queue
    run = await older.start_workflow("Nothing", id=f"{queue}-run", task_queue=queue)
    await listed(older, settings, 1)
    await rotate(settings)
    said = capsys.readouterr().out
    assert f"Temporal still needs the key {OLD_ID}: it keeps 0 ended and 1 open" in said
    assert f"Open are {run.id}." in said
    await run.terminate()
    async with asyncio.timeout(20):
        while "1 ended and 0 open" not in said:
            await rotate(settings)
            said = capsys.readouterr().out
    assert "The last that has ended is gone by " in said
    request = DeleteWorkflowExecutionRequest(namespace="default")
    request.workflow_execution.workflow_id = run.id
    await older.workflow_service.delete_workflow_execution(request)
    await listed(older, settings, 0)
    await rotate(settings)
    assert "Temporal no longer needs" in capsys.readouterr().out


async def test_run_of_after_the_change_needs_no_old_key(
    settings: Settings, older: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    await rotate(settings)
    queue = settings.task_queue
    run = await older.start_workflow("Nothing", id=f"{queue}-run", task_queue=queue)
    await listed(older, settings, 1)
    capsys.readouterr()
    await rotate(settings)
    assert "Temporal no longer needs" in capsys.readouterr().out
    await run.terminate()


async def test_watcher_is_started_anew_with_the_new_key(
    settings: Settings, older: Client
) -> None:
    source = Source(
        id=f"w{settings.task_queue[-8:]}",
        name="watched",
        host_name="http://127.0.0.1:1",
        method=ConnectionMethod.REDFISH,
        options=SourceOptions(),
    )
    store = store_with(settings, OLD)
    await Sources(store).add(source, "task")
    await _make_ready(store)
    await store.close()
    queue, conflict = settings.task_queue, WorkflowIDConflictPolicy.FAIL
    await start_watcher(older, queue, source.id, conflict)
    handle = older.get_workflow_handle(f"watch:{source.id}")
    before = (await handle.describe()).run_id
    await listed(older, settings, 1)
    await rotate(settings)
    after = await handle.describe()
    assert after.run_id != before
    first = (await handle.fetch_history()).events[0]
    payload = first.workflow_execution_started_event_attributes.input.payloads[0]
    codec = data_converter(Keyring([NEW])).payload_codec
    assert codec is not None
    decoded = await codec.decode([payload])
    assert decoded[0].data == f'"{source.id}"'.encode()
    await handle.terminate()


async def test_silent_temporal_keeps_the_old_key(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    await rotate(settings)
    said = capsys.readouterr().out
    assert f"Whether Temporal needs the key {OLD_ID} is not known" in said
    assert "Keep it" in said


async def test_one_key_needs_no_temporal(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    await rotate(settings.model_copy(update={"encryption_keys": (NEW,)}))
    said = capsys.readouterr().out
    assert said == f"Sealed 0 values of the store with the key {NEW_ID}.\n"


async def test_lost_key_is_named(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = SecretStr(generate_key())
    store = store_with(settings, lost)
    await SecretBodies(store).keep("x", "task")
    await store.close()
    with pytest.raises(ConfigurationError) as refused:
        await rotate(settings)
    assert Keyring([lost]).first.hex() in str(refused.value)
    assert "no longer needs the key" not in capsys.readouterr().out.split("Temporal")[0]
    assert lost.get_secret_value() not in str(refused.value)


async def test_rotation_without_keys_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="taskfish keys generate"):
        await rotate(settings.model_copy(update={"encryption_keys": ()}))


async def _make_ready(store: Store) -> None:
    async with store.write() as connection:
        await connection.exec_driver_sql("UPDATE sources SET state='ready'")
