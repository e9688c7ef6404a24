"""A `taskfish dev` of a test's own, as a process."""

import asyncio
import json
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.processes import environment, until

COMMAND = (sys.executable, "-m", "taskfish.cli.main", "dev", "--port", "0")


@dataclass
class Running:
    """One `taskfish dev`."""

    process: Process
    directory: Path

    @property
    def ready_file(self) -> Path:
        return self.directory / "ready.json"

    def ready(self) -> dict[str, Any] | None:
        try:
            ready: dict[str, Any] = json.loads(self.ready_file.read_text())
        except FileNotFoundError:
            return None
        return ready

    async def until_ready(self) -> dict[str, Any]:
        await until(lambda: self.ready() or self.process.returncode is not None, 60)
        ready = self.ready()
        assert ready, (self.directory / "output").read_text()
        return ready

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            await asyncio.wait_for(self.process.wait(), 60)


async def start(directory: Path, *options: str, **variables: str) -> Running:
    directory.mkdir(exist_ok=True)
    with (directory / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            "--data-dir",
            str(directory),
            *options,
            stdout=output,
            stderr=output,
            env=environment() | variables,
        )
    return Running(process, directory)
