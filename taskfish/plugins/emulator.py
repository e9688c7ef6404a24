"""The emulator: machines behind one ODIM plugin, Redfish BMCs, and their control.

`python -m taskfish.plugins.emulator --systems 4 --bmcs 1 --port 9000` runs it as a
process; tests build an `Emulator` and `serve` it in their own event loop.
"""

import argparse
import asyncio
import json
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException
from pydantic import BaseModel, JsonValue, ValidationError

from taskfish.plugins.machine.executions import Execution
from taskfish.plugins.machine.gate import Gate
from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.odim import emulator as odim
from taskfish.plugins.odim.emulated_plugin import Plugin
from taskfish.plugins.redfish import emulator as redfish
from taskfish.plugins.serving import Service, listen

PLUGIN = "plugin"


class Addresses(BaseModel):
    """Where a served emulator is reached; `control` has no trailing slash."""

    plugin: str
    bmcs: list[str]
    control: str
    systems: list[str]
    """The ManagerAddress of each machine behind the plugin."""


class Executions(BaseModel):
    """The answer of `GET /emulator/executions`."""

    count: int
    executions: list[Execution]
    peaks: dict[str, int]
    requests: dict[str, int]
    connections: dict[str, int]


class Emulator:
    """`node1`… behind the plugin and `bmc1`… by themselves, all in `machines`."""

    def __init__(
        self,
        systems: int = 4,
        bmcs: int = 1,
        *,
        modes: Modes | None = None,
        plugin_credentials: tuple[str, str] = ("admin", "plugin"),
        bmc_credentials: tuple[str, str] = ("admin", "password"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._modes = modes or Modes()
        names = [f"node{number}" for number in range(1, systems + 1)]
        self.bmc_names = [f"bmc{number}" for number in range(1, bmcs + 1)]
        self.machines = {
            name: Machine(name, bmc_credentials, self._modes, clock)
            for name in names + self.bmc_names
        }
        behind = [self.machines[name] for name in names]
        self.plugin = Plugin(behind, plugin_credentials, clock)

    def gate(self, target: str) -> Gate:
        """Return the modes' holder of a machine or of the plugin; KeyError if none."""
        return self.plugin.gate if target == PLUGIN else self.machines[target].gate

    def set_modes(self, target: str, **changes: JsonValue) -> Modes:
        """Change some modes of `node1`, `bmc1`… or `plugin`."""
        if target == PLUGIN:
            return self.plugin.gate.merge(changes)
        return self.machines[target].set_modes(**changes)

    def reset_modes(self, modes: Modes | None = None) -> None:
        """Give every target the same modes, those of the beginning if None."""
        chosen = modes or self._modes
        self.plugin.gate.modes = chosen
        for machine in self.machines.values():
            machine.reset_modes(chosen)

    def renew(self) -> None:
        """Make everything as it was at the beginning, under the same addresses."""
        self.plugin.renew(self._modes)
        for machine in self.machines.values():
            machine.renew(self._modes)

    def restart(self, target: str, reset_ids: bool = True) -> None:
        """Let a BMC or the plugin forget its tasks and sessions."""
        if target == PLUGIN:
            self.plugin.restart(reset_ids)
        else:
            self.machines[target].restart(reset_ids)

    async def aclose(self) -> None:
        """Send nothing to subscribers any more."""
        for machine in self.machines.values():
            await machine.publisher.aclose()

    def executions(
        self, machine: str | None = None, method: str | None = None
    ) -> list[Execution]:
        """Return what was carried out, oldest first."""
        found = [
            execution
            for name, each in self.machines.items()
            if machine in (None, name)
            for execution in each.executions
            if method in (None, execution.method)
        ]
        return sorted(found, key=lambda execution: execution.at)

    def clear_executions(self) -> None:
        """Begin to count anew."""
        self.plugin.gate.traffic.reset()
        for machine in self.machines.values():
            machine.clear_executions()

    def report(self, machine: str | None, method: str | None) -> Executions:
        """Return the executions with how busy each target was."""
        found = self.executions(machine, method)
        traffic = {PLUGIN: self.plugin.gate.traffic} | {
            name: each.gate.traffic for name, each in self.machines.items()
        }
        return Executions(
            count=len(found),
            executions=found,
            peaks={name: each.peak_concurrency for name, each in traffic.items()},
            requests={name: each.requests for name, each in traffic.items()},
            connections={name: each.connections for name, each in traffic.items()},
        )


def create_control_app(emulator: Emulator) -> FastAPI:
    """Return what tests from outside use; it asks for no login."""
    app = FastAPI(openapi_url=None)
    _add_executions(app, emulator)
    _add_modes(app, emulator)
    _add_incidents(app, emulator)
    return app


def _add_executions(app: FastAPI, emulator: Emulator) -> None:
    @app.get("/emulator/executions")
    async def get_executions(
        machine: str | None = None, method: str | None = None
    ) -> Executions:
        return emulator.report(machine, method)

    @app.delete("/emulator/executions", status_code=204)
    async def delete_executions() -> None:
        emulator.clear_executions()


def _add_modes(app: FastAPI, emulator: Emulator) -> None:
    @app.get("/emulator/modes/{target}")
    async def get_modes(target: str) -> Modes:
        _require(emulator, target)
        return emulator.gate(target).modes

    @app.put("/emulator/modes/{target}")
    async def put_modes(
        target: str, changes: Annotated[dict[str, JsonValue], Body()]
    ) -> Modes:
        _require(emulator, target)
        try:
            return emulator.set_modes(target, **changes)
        except ValidationError as exc:
            raise HTTPException(422, str(exc)) from exc

    @app.delete("/emulator/modes", status_code=204)
    async def delete_modes() -> None:
        emulator.reset_modes()


def _add_incidents(app: FastAPI, emulator: Emulator) -> None:
    @app.post("/emulator/restart/{target}", status_code=204)
    async def post_restart(target: str, reset_ids: bool = True) -> None:
        _require(emulator, target)
        emulator.restart(target, reset_ids)

    @app.post("/emulator/renew", status_code=204)
    async def post_renew() -> None:
        emulator.renew()

    @app.post("/emulator/tasks/{target}", status_code=201)
    async def post_task(target: str, seconds: float = 2.0) -> dict[str, str]:
        _require(emulator, target)
        if target == PLUGIN:
            raise HTTPException(400, "The plugin has no tasks of its own.")
        job = emulator.machines[target].start_own_task(seconds=seconds)
        return {"id": job.id}


def _require(emulator: Emulator, target: str) -> None:
    targets = [PLUGIN, *emulator.machines]
    if target not in targets:
        raise HTTPException(404, f"There is no target {target!r}, only {targets}.")


def create_plugin_app(emulator: Emulator) -> FastAPI:
    """Return the ODIM plugin with the control application beside it."""
    app = create_control_app(emulator)
    app.mount("/", odim.create_app(emulator.plugin))
    return app


@asynccontextmanager
async def serve(
    emulator: Emulator,
    host: str = "127.0.0.1",
    ports: Sequence[int] = (),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Addresses]:
    """Run every application in the current event loop while the context lasts.

    `ports`: the plugin's (control has the same), then the BMCs'; 0 or missing: free.
    With `tls` all speak https.
    """
    names = [PLUGIN, *emulator.bmc_names]
    apps = [create_plugin_app(emulator)] + [
        redfish.create_app(emulator.machines[name]) for name in emulator.bmc_names
    ]
    wanted = [*ports, *[0] * len(names)]
    services = [
        Service(app, port, emulator.gate(name).traffic.connect)
        for app, name, port in zip(apps, names, wanted, strict=False)
    ]
    async with listen(services, host, tls) as (url, *bmcs):
        try:
            yield Addresses(
                plugin=url,
                bmcs=bmcs,
                control=f"{url}/emulator",
                systems=list(emulator.plugin.machines),
            )
        finally:
            await emulator.aclose()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the emulator as a process, until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m taskfish.plugins.emulator")
    parser.add_argument("--systems", type=int, default=4, help="behind the plugin")
    parser.add_argument("--bmcs", type=int, default=1, help="that speak Redfish")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of plugin and control")
    parser.add_argument("--bmc-port", type=int, action="append", default=[])
    parser.add_argument("--seconds", type=float, default=2.0, help="of an operation")
    asyncio.run(_run(parser.parse_args(arguments)))


async def _run(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    modes = Modes(seconds=options.seconds)
    emulator = Emulator(options.systems, options.bmcs, modes=modes)
    ports = [options.port, *options.bmc_port]
    async with serve(emulator, options.host, ports) as addresses:
        sys.stdout.write(json.dumps(addresses.model_dump()) + "\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
