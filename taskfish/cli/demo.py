"""`taskfish demo`: a volume that waits for a reset, and the reset, emulated.

It does what any REST client can do; nothing here knows the gateway from inside.
"""

import asyncio
import contextlib
import json
import os
import shlex
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from taskfish.cli.child_processes import log_end, start_child, stop_child
from taskfish.cli.demo_screen import Task, print_end, progress, screen
from taskfish.cli.dev_parts import COMMAND
from taskfish.cli.northbound import (
    POLL_SECONDS,
    final_answer,
    gateway,
    refusal,
    resource,
)
from taskfish.cli.signals import EXIT_INTERRUPTED, run_until_signal
from taskfish.errors import TaskfishError
from taskfish.redfish.task import TaskState

STOP_GRACE = 45.0
WORK_SECONDS = 6
"""How long the emulated machines take for a change: long enough to watch it."""
PENDING_SECONDS = 10.0


class DemoFailedError(TaskfishError):
    """The demo did not go as it should; the text says why."""


async def run_demo(keep: bool, tls: bool) -> int:
    """Show everything; return the exit code. With `keep`, go on until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="taskfish-demo-") as directory:
        demo = _Demo(Path(directory), keep, tls)
        await run_until_signal(demo.show(), demo.kill)
    return demo.exit_code


class _Demo:
    """One demonstration with its own Taskfish in a directory of its own."""

    def __init__(self, directory: Path, keep: bool, tls: bool) -> None:
        self.exit_code = EXIT_INTERRUPTED
        self._directory = directory
        self._keep = keep
        self._tls = tls
        self._console = screen()
        self._process: Process | None = None

    def kill(self) -> None:
        """End it at once: what `taskfish dev` has started ends with it."""
        if self._process and self._process.returncode is None:
            self._process.kill()

    async def show(self) -> None:
        async with self._taskfish() as ready:
            login = (ready["username"], ready["password"])
            ca = Path(ready["ca"]) if "ca" in ready else None
            async with gateway(ready["api"], *login, ca) as client:
                try:
                    await self._story(client, ready)
                except httpx.TransportError as error:
                    raise DemoFailedError(f"the API went away: {error}") from error
            self.exit_code = 0
            if self._keep:
                self._console.print(f"\nIt goes on at {ready['api']} until Ctrl-C.")
                await asyncio.Event().wait()

    @contextlib.asynccontextmanager
    async def _taskfish(self) -> AsyncIterator[dict[str, Any]]:
        """Run `taskfish dev` and give what its ready.json says."""
        data = self._directory / "data"
        log = self._directory / "dev.log"
        command = [*COMMAND, "dev", "--port", "0", "--systems", "2", "--bmcs", "1"]
        command += ["--data-dir", str(data)] + ["--tls"] * self._tls
        self._console.print("Starting Temporal, store, worker, API, emulated machines…")
        self._process = await start_child(command, log, os.environ)
        try:
            yield await self._ready(self._process, data / "ready.json", log)
        finally:
            self._console.print("Stopping everything…")
            await stop_child(self._process, STOP_GRACE)

    async def _ready(self, process: Process, file: Path, log: Path) -> dict[str, Any]:
        while process.returncode is None:
            if ready := _read(file):
                return ready
            await asyncio.sleep(0.1)
        raise DemoFailedError(f"`taskfish dev` ended: {log_end(log)}")

    async def _story(self, client: httpx.AsyncClient, ready: dict[str, Any]) -> None:
        system = ready["systems"][0]
        await self._slow_down(ready["emulator"], system)
        volume = await self._change(
            client, f"{system}/Storage/1/Volumes", _volume(system)
        )
        await self._until_pending(client, volume)
        reset_uri = f"{system}/Actions/ComputerSystem.Reset"
        reset = await self._change(client, reset_uri, {"ResetType": "ForceRestart"})
        tasks = await self._follow(client, volume, reset)
        for accepted, task in zip((volume, reset), tasks, strict=True):
            await self._print_end(client, ready, accepted, task)
        self._print_curl(ready, reset_uri)
        self._check(tasks)

    async def _slow_down(self, emulator: str, system: str) -> None:
        """Give changes on the emulated machine a length that can be watched."""
        machine = system.rpartition("/")[2].partition(".")[0]
        async with httpx.AsyncClient(base_url=emulator, trust_env=False) as control:
            modes = {"seconds": WORK_SECONDS}
            answer = await control.put(f"/emulator/modes/{machine}", json=modes)
            if not answer.is_success:
                raise refusal(answer)

    async def _change(
        self, client: httpx.AsyncClient, uri: str, body: dict[str, Any]
    ) -> httpx.Response:
        """POST something that becomes a task."""
        accepted = await client.post(uri, json=body)
        if accepted.status_code != httpx.codes.ACCEPTED:
            raise refusal(accepted)
        self._console.print(f"\nPOST {uri}\n     {json.dumps(body)}", soft_wrap=True)
        self._console.print(
            f"202  Location: {accepted.headers['Location']}", soft_wrap=True
        )
        return accepted

    async def _until_pending(
        self, client: httpx.AsyncClient, accepted: httpx.Response
    ) -> None:
        """Show that the task waits for the reset."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + PENDING_SECONDS
        uri = accepted.json()["@odata.id"]
        while (task := await resource(client, uri))["TaskState"] != TaskState.PENDING:
            if clock() > deadline or TaskState(task["TaskState"]).ended:
                raise DemoFailedError(f"{uri} is {task['TaskState']}, not Pending")
            await asyncio.sleep(POLL_SECONDS)
        self._console.print("     TaskState: Pending, until the system is reset")

    async def _follow(
        self, client: httpx.AsyncClient, *accepted: httpx.Response
    ) -> list[Task]:
        """Show live progress until all tasks have ended."""
        uris = [answer.json()["@odata.id"] for answer in accepted]
        with progress(self._console) as show:
            while True:
                tasks = await asyncio.gather(*[resource(client, uri) for uri in uris])
                for task in tasks:
                    show(task)
                if all(TaskState(task["TaskState"]).ended for task in tasks):
                    return tasks
                await asyncio.sleep(POLL_SECONDS)

    async def _print_end(
        self,
        client: httpx.AsyncClient,
        ready: dict[str, Any],
        accepted: httpx.Response,
        task: Task,
    ) -> None:
        answer = await final_answer(client, accepted)
        made = answer.headers.get("Location")
        created = await resource(client, made) if made and answer.is_success else None
        workflow = f"{ready['temporal_ui']}/namespaces/default/workflows/{task['Id']}"
        print_end(self._console, task, answer, created, workflow)

    def _print_curl(self, ready: dict[str, Any], uri: str) -> None:
        login = shlex.quote(f"{ready['username']}:{ready['password']}")
        ca = f" --cacert {shlex.quote(ready['ca'])}" if "ca" in ready else ""
        self._console.print(
            f"\nThe same in one line:\ncurl -isu {login}{ca} {ready['api']}{uri}"
            " -H 'Content-Type: application/json'"
            """ -d '{"ResetType": "ForceRestart"}'""",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )

    def _check(self, tasks: list[Task]) -> None:
        for task in tasks:
            if task["TaskState"] != TaskState.COMPLETED:
                raise DemoFailedError(f"{task['Id']} ended as {task['TaskState']}")


def _read(file: Path) -> dict[str, Any] | None:
    try:
        ready: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return ready


def _volume(system: str) -> dict[str, Any]:
    drives = [f"{system}/Storage/1/Drives/{number}" for number in (1, 2)]
    return {
        "Name": "demo",
        "RAIDType": "RAID1",
        "Links": {"Drives": [{"@odata.id": uri} for uri in drives]},
        "@Redfish.OperationApplyTime": "OnReset",
    }
