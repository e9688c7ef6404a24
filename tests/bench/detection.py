"""How soon a task ends after its source's event: `python -m tests.bench.detection`.

Measured from the event's POST until Temporal has the task's end, with polling a minute
away. It is shown beside a bare signal's way to a workflow and back, on the same server.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from pydantic import SecretStr
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from taskfish.cli.temporal_server import development_server
from taskfish.encryption import Keyring, generate_key
from taskfish.temporal import data_converter
from tests.house import House
from tests.workflows.houses import add, until
from tests.workflows.listening import (
    machine_of,
    reachable_house,
    send,
    until_subscribed,
)

ROUNDS = 40


@workflow.defn(sandboxed=False)
class Bare:
    """Ends with its first signal."""

    def __init__(self) -> None:
        self._signalled = False

    @workflow.run
    async def run(self) -> None:
        """Wait for the signal."""
        await workflow.wait_condition(lambda: self._signalled)

    @workflow.signal
    def end(self) -> None:
        """End."""
        self._signalled = True


async def detections(house: House, rounds: int) -> list[float]:
    """Return the seconds from each event to the end of its task."""
    return [await _detection(house, str(number)) for number in range(rounds)]


async def signals(client: Client, rounds: int) -> list[float]:
    """Return the seconds from each signal to the end of its workflow."""
    queue = f"bench-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Bare]):
        return [await _signal(client, queue) for _ in range(rounds)]


async def _detection(house: House, task: str) -> float:
    """End a task at its source unseen, then send the event and wait for its end."""
    house.emulator.set_modes("bmc1", hang=True, seconds=0.01)
    accepted = await house.create_volume("bmc1.1", f"volume {task}")
    await house.until(accepted, "Running")
    house.emulator.set_modes("bmc1", hang=False)
    machine = machine_of(house)
    await until(lambda: not machine.timeline.active)
    ended = asyncio.create_task(house.workflow(accepted).result())
    begun = time.perf_counter()
    answer = await send(house, task)
    assert answer.status_code == 204, answer.text
    await ended
    return time.perf_counter() - begun


async def _signal(client: Client, queue: str) -> float:
    handle = await client.start_workflow(
        Bare.run, id=f"bare:{uuid.uuid4()}", task_queue=queue
    )
    ended = asyncio.create_task(handle.result())
    begun = time.perf_counter()
    await handle.signal(Bare.end)
    await ended
    return time.perf_counter() - begun


async def measure(rounds: int = ROUNDS) -> str:
    """Return both medians and how many times the one is of the other."""
    key = SecretStr(generate_key())
    with tempfile.TemporaryDirectory(prefix="taskfish-bench-") as folder:
        async with development_server() as address:
            client = await Client.connect(
                address, data_converter=data_converter(Keyring([key]))
            )
            async with reachable_house(client, Path(folder), key) as house:
                url = house.addresses.bmcs[0]
                await add(house, "bmc1", url, "Redfish", "password")
                await until_subscribed(house)
                house.emulator.set_modes("bmc1", events="lost", retry_after="60")
                found = await detections(house, rounds)
            bare = await signals(client, rounds)
    return _report(found, bare)


def _report(found: list[float], bare: list[float]) -> str:
    median, signal = statistics.median(found), statistics.median(bare)
    slowest = statistics.quantiles(found, n=20)[-1]
    return (
        f"detection: median {median * 1000:.0f} ms, 95 % within {slowest * 1000:.0f} ms"
        f" ({len(found)} events)\nbare signal: median {signal * 1000:.0f} ms\n"
        f"multiple: {median / signal:.1f}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(measure()))
    sys.stdout.flush()
    os._exit(0)
