"""`taskfish keys rotate`: the store under the first key, and who needs the others."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import typer
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from activities.sources import WATCH, WATCHER, start_watcher
from taskfish.cli.temporal_setup import current_retention, translated_errors
from taskfish.encryption import Keyring
from taskfish.errors import ConfigurationError, TemporalUnavailableError
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.store.resealing import Resealed, reseal_all
from taskfish.store.service import ServiceFacts
from taskfish.store.sources import Sources
from taskfish.temporal import RPC_TIMEOUT, connect

SHOWN_RUNS = 5
VISIBILITY_SECONDS = 30.0


@dataclass(frozen=True)
class OlderRuns:
    """The runs in Temporal that began before the first key was the first.

    `gone_at` is when Temporal will have removed the last of those that have ended,
    None if none has; `open_ids` are some of those that go on.
    """

    open_count: int
    open_ids: tuple[str, ...]
    ended_count: int
    gone_at: datetime | None

    @property
    def are_there(self) -> bool:
        """Whether there is any."""
        return self.open_count + self.ended_count > 0


async def rotate(settings: Settings) -> None:
    """Seal the store with the first key and print which other keys are still needed.

    Safe to repeat, to break off, and to run beside everything else. Raise
    ConfigurationError if something is sealed with a key that is not configured.
    """
    keyring = Keyring(settings.encryption_keys)
    store = Store(settings.database_url, keyring)
    try:
        resealed = await reseal_all(store)
        since = await ServiceFacts(store).first_key_since(keyring.first)
        _show_store(keyring, resealed)
        if keyring.others:
            await _show_temporal(settings, keyring, store, since)
    finally:
        await store.close()
    if resealed.unreadable:
        raise ConfigurationError(_unreadable(resealed))


def _show_store(keyring: Keyring, resealed: Resealed) -> None:
    count = sum(resealed.values.values())
    tables = ", ".join(f"{name} {n}" for name, n in sorted(resealed.values.items()))
    typer.echo(
        f"Sealed {count} values of the store with the key {keyring.first.hex()}"
        + (f": {tables}." if tables else ".")
    )
    if keyring.others and not resealed.unreadable:
        typer.echo(f"The store no longer needs the key {_named(keyring.others)}.")


async def _show_temporal(
    settings: Settings, keyring: Keyring, store: Store, since: datetime
) -> None:
    """Say whether histories of Temporal need the other keys, and until when."""
    others = _named(keyring.others)
    try:
        client = await connect(keyring)
        with translated_errors():
            async with asyncio.timeout(VISIBILITY_SECONDS):
                await _renew_watchers(client, settings.task_queue, store, since)
                older = await older_runs(client, settings.task_queue, since)
    except (TemporalUnavailableError, TimeoutError) as error:
        reason = str(error) or "it does not answer in time"
        typer.echo(f"Whether Temporal needs the key {others} is not known: {reason}.")
        typer.echo("Keep it, and repeat this command.")
        return
    if not older.are_there:
        typer.echo(f"Temporal no longer needs the key {others}: take it out.")
        return
    typer.echo(
        f"Temporal still needs the key {others}: it keeps {older.ended_count} ended "
        f"and {older.open_count} open runs from before {since:%FT%TZ}."
    )
    if older.open_count:
        more = ", …" if older.open_count > len(older.open_ids) else ""
        typer.echo(f"Open are {', '.join(older.open_ids)}{more}.")
    if older.gone_at:
        typer.echo(f"The last that has ended is gone by {older.gone_at:%FT%TZ}.")
    typer.echo(
        "Keep the key, after the first, until this command says that it is not needed."
    )


async def _renew_watchers(
    client: Client, task_queue: str, store: Store, since: datetime
) -> None:
    """Start the watchers of before anew: they would need the old key for ever."""
    ready = {record.source.id for record in await Sources(store).ready()}
    older = _before(task_queue, since)
    query = f"{older} AND WorkflowType = '{WATCH}' AND ExecutionStatus = 'Running'"
    async for run in client.list_workflows(query, rpc_timeout=RPC_TIMEOUT):
        source_id = run.id.removeprefix(WATCHER)
        if source_id in ready:
            conflict = WorkflowIDConflictPolicy.TERMINATE_EXISTING
            await start_watcher(client, task_queue, source_id, conflict)


async def older_runs(client: Client, task_queue: str, since: datetime) -> OlderRuns:
    """Return what Temporal keeps of the runs that began before a moment.

    Watchers are not counted: they have just been started anew.
    """
    older = f"{_before(task_queue, since)} AND WorkflowType != '{WATCH}'"
    is_open = f"{older} AND ExecutionStatus = 'Running'"
    is_ended = f"{older} AND ExecutionStatus != 'Running'"
    shown = client.list_workflows(is_open, limit=SHOWN_RUNS, rpc_timeout=RPC_TIMEOUT)
    # Visibility gives those first that ended last.
    ended = client.list_workflows(is_ended, limit=1, rpc_timeout=RPC_TIMEOUT)
    closed = [run.close_time async for run in ended if run.close_time is not None]
    retention = await current_retention(client)
    counts = [
        await client.count_workflows(query, rpc_timeout=RPC_TIMEOUT)
        for query in (is_open, is_ended)
    ]
    return OlderRuns(
        open_count=counts[0].count,
        open_ids=tuple([run.id async for run in shown]),
        ended_count=counts[1].count,
        gone_at=closed[0] + retention if closed and retention else None,
    )


def _before(task_queue: str, since: datetime) -> str:
    return f"TaskQueue='{task_queue}' AND StartTime < '{since.isoformat()}'"


def _unreadable(resealed: Resealed) -> str:
    keys = ", ".join(f"{key} ({n})" for key, n in sorted(resealed.unreadable.items()))
    return (
        f"some values of the store cannot be read with the configured keys; they need "
        f"the key {keys}: add it to TASKFISH_ENCRYPTION_KEYS, after the first, and "
        "repeat this command"
    )


def _named(keys: tuple[bytes, ...]) -> str:
    return " or ".join(key.hex() for key in keys)
