"""`taskfish demo`: a volume that waits for a reset, and the reset, as one operation.

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
from taskfish.cli.demo_screen import print_end
from taskfish.cli.dev_parts import COMMAND
from taskfish.cli.northbound import final_answer, gateway, refusal, resource
from taskfish.cli.signals import EXIT_INTERRUPTED, run_until_signal
from taskfish.cli.step_screen import TaskWithSteps, screen, show_to_end
from taskfish.errors import TaskfishError
from taskfish.redfish.task import TaskState

STOP_GRACE = 45.0
WORK_SECONDS = 6
"""How long the emulated machines take for a change: long enough to watch it."""
OPERATION = "Oem/Taskfish.CreateVolumeAndReset"


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
        uri, body = f"{system}/Actions/{OPERATION}", _parameters(system)
        accepted = await self._change(client, uri, body)
        task = accepted.json()["@odata.id"]
        ended = await show_to_end(self._console, client, task, resource)
        await self._print_end(client, ready, accepted, ended)
        self._print_curl(ready, uri, body)
        if ended.task["TaskState"] != TaskState.COMPLETED:
            state = ended.task["TaskState"]
            raise DemoFailedError(f"{ended.task['Id']} ended as {state}")

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

    async def _print_end(
        self,
        client: httpx.AsyncClient,
        ready: dict[str, Any],
        accepted: httpx.Response,
        ended: TaskWithSteps,
    ) -> None:
        task = ended.task
        answer = await final_answer(client, accepted)
        links = task.get("Links", {}).get("CreatedResources", [])
        made = [await resource(client, link["@odata.id"]) for link in links]
        workflow = f"{ready['temporal_ui']}/namespaces/default/workflows/{task['Id']}"
        print_end(self._console, ended, answer, made, workflow)

    def _print_curl(
        self, ready: dict[str, Any], uri: str, body: dict[str, Any]
    ) -> None:
        login = shlex.quote(f"{ready['username']}:{ready['password']}")
        ca = f" --cacert {shlex.quote(ready['ca'])}" if "ca" in ready else ""
        self._console.print(
            f"\nThe same in one line:\ncurl -isu {login}{ca} {ready['api']}{uri}"
            " -H 'Content-Type: application/json'"
            f" -d {shlex.quote(json.dumps(body))}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


def _read(file: Path) -> dict[str, Any] | None:
    try:
        ready: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return ready


def _parameters(system: str) -> dict[str, Any]:
    """Return what is asked for: a mirror that is there once the system is reset."""
    storage = f"{system}/Storage/1"
    drives = [{"@odata.id": f"{storage}/Drives/{number}"} for number in (1, 2)]
    volume = {
        "Name": "demo",
        "RAIDType": "RAID1",
        "Links": {"Drives": drives},
        "@Redfish.OperationApplyTime": "OnReset",
    }
    return {"Storage": storage, "Volume": volume, "ResetType": "GracefulRestart"}
