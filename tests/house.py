"""A whole gateway in one process: emulator on real sockets, worker, API, a client."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import ColumnElement, delete
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from api.app import create_app
from taskfish.encryption import Keyring
from taskfish.plugins.emulator import Addresses, Emulator, serve
from taskfish.plugins.machine.modes import Modes
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.store.requests import Requests
from taskfish.store.sources import Sources
from taskfish.store.tables import journal, secret_bodies, sources
from tests.store.stores import make_database, url_in
from worker import WorkerProcess

SOURCES = "/redfish/v1/AggregationService/AggregationSources"
METHODS = "/redfish/v1/AggregationService/ConnectionMethods"
TASKS = "/redfish/v1/TaskService/Tasks"
USER, PASSWORD = "admin", "gatekeeper"
FAST = Modes(seconds=0.4)
POLL = 0.1
"""Seconds between two questions of a test."""
SOURCE_POLL = 0.05
"""Seconds between two questions of the gateway to a source."""
LONGEST_WAIT = 120.0
ENDED = ("Completed", "Exception", "Cancelled", "Killed")


class House:
    """What a test needs of a running gateway. `client` is logged in."""

    def __init__(
        self,
        settings: Settings,
        temporal: Client,
        store: Store,
        emulator: Emulator,
        addresses: Addresses,
        client: httpx.AsyncClient,
    ) -> None:
        self.settings = settings
        self.temporal = temporal
        self.store = store
        self.emulator = emulator
        self.addresses = addresses
        self.client = client
        self._settled_at = datetime.now(UTC)
        self._stopped: asyncio.Event | None = None
        self._working: asyncio.Task[None] | None = None

    async def start_worker(self) -> None:
        """Start the worker; it takes what waits for it."""
        self._stopped = asyncio.Event()
        worker = WorkerProcess(self.settings, self.temporal, self.store)
        self._working = asyncio.create_task(worker.run(self._stopped))

    async def stop_worker(self) -> None:
        """Stop the worker gracefully; nothing happens if none runs."""
        if self._working is not None and self._stopped is not None:
            self._stopped.set()
            await self._working
            self._working = None

    async def add_sources(self) -> None:
        """Add the plugin, its nodes and the BMCs of the emulator, if not there."""
        known = Sources(self.store)
        behind = {"Plugin": {"@odata.id": f"{SOURCES}/plugin"}}
        wanted: list[tuple[str, str, str, str, dict[str, Any]]]
        wanted = [("plugin", self.addresses.plugin, "ODIM", "plugin", {})]
        for number, host in enumerate(self.addresses.systems, start=1):
            wanted.append((f"node{number}", host, "ODIM", "password", behind))
        for number, host in enumerate(self.addresses.bmcs, start=1):
            wanted.append((f"bmc{number}", host, "Redfish", "password", {}))
        for source in wanted:
            if await known.get(source[0]) is None:
                answer = await self.add_source(*source)
                assert answer.status_code == 201, answer.text

    async def settle(self) -> None:
        """Make everything as it was at first, for the next test."""
        await self._end_tasks()
        self.emulator.renew()
        if self._working is None:
            await self.start_worker()
        async with self.store.write() as connection:
            await connection.execute(delete(sources).where(_is_not_as_at_first()))
            # New machines number their volumes from one again: what had the same URI
            # a moment ago would be taken for the same volume.
            await connection.execute(delete(journal))
            # What a terminated task has kept is swept a while later only.
            await connection.execute(delete(secret_bodies))
        await self.add_sources()

    async def _end_tasks(self) -> None:
        """Terminate what runs, tasks before their steps, but for what is being sent:
        that would go on for a moment and be counted in the next test.

        Visibility may not list yet what was started last: the store does.
        """
        open_ids = await self._open_ids()
        for task_id in sorted(open_ids, key=lambda each: each.count(":")):
            of_task, is_step, _ = task_id.partition(":")
            if not is_step or of_task in open_ids:
                handle = self.temporal.get_workflow_handle(task_id)
                with contextlib.suppress(RPCError, TimeoutError):
                    await self._until_not_sending(handle)
                with contextlib.suppress(RPCError):
                    await handle.terminate()

    async def leave_nothing_open(self) -> None:
        """Terminate all that the stopped worker has left in Temporal: other gateways
        of the session see it there, and its schedule would fire each minute.
        """
        schedule = f"housekeeping:{self.settings.task_queue}"
        with contextlib.suppress(RPCError):
            await self.temporal.get_schedule_handle(schedule).delete()
        with contextlib.suppress(RPCError):
            for task_id in await self._open_ids():
                with contextlib.suppress(RPCError):
                    await self.temporal.get_workflow_handle(task_id).terminate()

    async def _open_ids(self) -> set[str]:
        query = f"TaskQueue='{self.settings.task_queue}' AND ExecutionStatus='Running'"
        open_ids = {run.id async for run in self.temporal.list_workflows(query)}
        started = await Requests(self.store).since(self._settled_at)
        self._settled_at = datetime.now(UTC)
        return open_ids | {request.task_id for request in started}

    async def _until_not_sending(self, handle: WorkflowHandle[Any, Any]) -> None:
        async with asyncio.timeout(self.settings.submit_answer_timeout):
            while True:
                found = (await handle.describe()).raw_description.pending_activities
                if not any(
                    each.activity_type.name == "submit"
                    and each.HasField("last_started_time")
                    for each in found
                ):
                    return
                await asyncio.sleep(POLL)

    async def add_source(
        self,
        name: str,
        host: str,
        method: str,
        password: str,
        options: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Add one source and return its monitor's final answer."""
        response = await self.client.post(
            SOURCES, json=source_body(name, host, method, password, options)
        )
        assert response.status_code == 202, response.text
        return await self.final(response)

    async def change(
        self, method: str, uri: str, body: object = None, **headers: str
    ) -> httpx.Response:
        """Send a change and return its 202."""
        response = await self.client.request(method, uri, json=body, headers=headers)
        assert response.status_code == 202, response.text
        return response

    async def reset(
        self, system: str, reset_type: str = "ForceRestart"
    ) -> httpx.Response:
        """Send a reset and return its 202."""
        uri = f"/redfish/v1/Systems/{system}/Actions/ComputerSystem.Reset"
        return await self.change("POST", uri, {"ResetType": reset_type})

    async def create_volume(
        self, system: str, name: str = "data", apply_time: str | None = None
    ) -> httpx.Response:
        """Send the creation of a volume and return its 202."""
        uri = f"/redfish/v1/Systems/{system}/Storage/1/Volumes"
        drives = [{"@odata.id": f"/redfish/v1/Systems/{system}/Storage/1/Drives/1"}]
        body: dict[str, Any] = {"Name": name, "RAIDType": "RAID0"}
        body["Links"] = {"Drives": drives}
        if apply_time:
            body["@Redfish.OperationApplyTime"] = apply_time
        return await self.change("POST", uri, body)

    async def task(self, accepted: httpx.Response) -> dict[str, Any]:
        """Read the Task of a 202."""
        response = await self._read(accepted.json()["@odata.id"])
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def final(self, accepted: httpx.Response) -> httpx.Response:
        """Poll the monitor of a 202 until it gives the final answer."""
        async with asyncio.timeout(LONGEST_WAIT):
            while True:
                response = await self._read(accepted.headers["Location"])
                if response.status_code != 202:
                    return response
                await asyncio.sleep(POLL)

    async def _read(self, uri: str) -> httpx.Response:
        return await self.answer(lambda: self.client.get(uri))

    async def answer(
        self, send: Callable[[], Awaitable[httpx.Response]]
    ) -> httpx.Response:
        """Send as clients do: again where Temporal has not answered in its 3 seconds,
        which a test server on a machine at its limit sometimes does not.
        """
        async with asyncio.timeout(LONGEST_WAIT):
            while True:
                response = await send()
                if "Temporal does not answer" not in response.text:
                    return response
                await asyncio.sleep(POLL)

    async def ended(self, accepted: httpx.Response) -> dict[str, Any]:
        """Poll the Task of a 202 until it has ended, and return it."""
        return await self.until(accepted, *ENDED)

    async def until(self, accepted: httpx.Response, *states: str) -> dict[str, Any]:
        """Poll the Task of a 202 until it is in one of these states, and return it.

        Fails at once when it has ended in another.
        """
        async with asyncio.timeout(LONGEST_WAIT):
            while True:
                task = await self.task(accepted)
                if task["TaskState"] in states:
                    return task
                assert task["TaskState"] not in ENDED, task
                await asyncio.sleep(POLL)

    def workflow(self, accepted: httpx.Response) -> WorkflowHandle[Any, Any]:
        """Return Temporal's handle of a 202's task."""
        return self.temporal.get_workflow_handle(accepted.json()["Id"])

    def executions(self, machine: str, method: str | None = None) -> int:
        """Return how many changes the emulator has carried out on a machine."""
        return len(self.emulator.executions(machine, method))


def _is_not_as_at_first() -> ColumnElement[bool]:
    """Match the sources that a test has added, changed or found fault with."""
    password = sources.c.user_name.is_distinct_from("admin")
    faults = sources.c.refused_at.is_not(None) | sources.c.down_since.is_not(None)
    known = sources.c.id.in_(["plugin", "node1", "node2", "bmc1"])
    return password | faults | ~known | (sources.c.state != "ready")


def source_body(
    name: str,
    host: str,
    method: str,
    password: str,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body that adds a source which is polled as often as tests like."""
    return {
        "Id": name,
        "HostName": host,
        "UserName": "admin",
        "Password": password,
        "Links": {"ConnectionMethod": {"@odata.id": f"{METHODS}/{method}"}},
        "Oem": {"Taskfish": {"PollSeconds": SOURCE_POLL, **(options or {})}},
    }


def fast_settings(folder: Path, key: SecretStr, **changes: Any) -> Settings:
    """Return settings with a task queue of their own and short times."""
    values: dict[str, Any] = {
        "admin_username": USER,
        "admin_password": SecretStr(PASSWORD),
        "database_url": url_in(folder),
        "encryption_keys": (key,),
        "task_queue": f"test-{uuid.uuid4()}",
        "heartbeat_timeout": 2,
        "submit_deadline": 3,
        "submit_answer_timeout": 5,
        "read_timeout": 2,
        "connect_timeout": 1,
        "interrupted_after": 1,
        "wait_settings": 0,
        "wait_media": 0,
        "abort_grace": 2,
        "adoption_interval": 3600,
        "health_check": 3600,
        "login_rate": "1000/second",
        "allow_local_addresses": True,
    }
    return Settings(**(values | changes))


@asynccontextmanager
async def client_of(
    app: FastAPI, auth: tuple[str, str] | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[httpx.AsyncClient]:
    """Open an API in this process, and give a client of it; who asks has `address`."""
    transport = httpx.ASGITransport(app, client=(address, 4711))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://gateway", auth=auth
        ) as client,
    ):
        yield client


@asynccontextmanager
async def open_house(
    temporal: Client, folder: Path, key: SecretStr, **changes: Any
) -> AsyncIterator[House]:
    """Open a gateway with a running worker and no sources yet."""
    settings = fast_settings(folder, key, **changes)
    await make_database(folder)
    store = Store(settings.database_url, Keyring(settings.encryption_keys))
    emulator = Emulator(systems=2, bmcs=1, modes=FAST)
    app = create_app(settings, temporal)
    async with (
        serve(emulator) as addresses,
        client_of(app, (USER, PASSWORD)) as client,
    ):
        house = House(settings, temporal, store, emulator, addresses, client)
        await house.start_worker()
        try:
            yield house
        finally:
            await house.stop_worker()
            await house.leave_nothing_open()
            await store.close()
