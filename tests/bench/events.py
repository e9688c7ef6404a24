"""How fast events are: `make bench-events`, or `python -m tests.bench.events`.

A worker of its own delivers from the log to subscribers on loopback sockets, which this
process has. It prints how long an event takes from its append to its subscriber, as a
multiple of a bare signal's way to a workflow and back in the same run, and how many
events a second arrive, with one subscriber and with many.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client

from taskfish.cli.temporal_server import development_server
from taskfish.encryption import Keyring, generate_key
from taskfish.store.event_log import EventLog
from taskfish.temporal import data_converter
from tests.activities.deliveries import progress
from tests.bench.detection import signals
from tests.house import House
from tests.subscriber import Listener, listening, subscribe
from tests.worker_process import WorkerChild, worker_process
from tests.workflows.houses import bmc_house, until

SINGLES = 60
"""Events that are told of one at a time."""
SIGNALS = 60
TASKS = 10
BURST = 5000
"""Events that are told of at once, to one subscriber."""
MANY, BURST_FOR_MANY = 100, 500
IN_ONE_APPEND = 100
WAIT = 60.0


async def main() -> None:
    """Measure on a development server of its own."""
    key = SecretStr(generate_key())
    async with development_server() as address:
        converter = data_converter(Keyring([key]))
        temporal = await Client.connect(address, data_converter=converter)
        with tempfile.TemporaryDirectory() as folder:
            async with bmc_house(temporal, Path(folder), key) as house:
                await house.stop_worker()
                async with worker_process(house, address) as worker:
                    await worker.until_ready()
                    await measure(house, worker)


async def measure(house: House, worker: WorkerChild) -> None:
    """Print what was measured, the bare signal first: all else is compared with it."""
    house.emulator.set_modes("bmc1", seconds=0)
    signal = statistics.median(await signals(house.temporal, SIGNALS))
    say(f"bare signal: median {milliseconds(signal)}")
    async with subscribed(house, 1) as (listener,):
        appended = await append_latencies(house, listener)
        say_latency("append → subscriber", appended, signal)
        ends = await end_latencies(house, listener)
        say_latency("a task's end → subscriber", ends, signal)
        await burst(house, worker, [listener], BURST)
    async with subscribed(house, MANY) as listeners:
        await burst(house, worker, listeners, BURST_FOR_MANY)


async def append_latencies(house: House, listener: Listener) -> list[float]:
    """Return how long single events took from their append to their subscriber."""
    log, took = EventLog(house.store), list[float]()
    for number in range(SINGLES):
        heard = len(listener.events)
        began = time.perf_counter()
        await log.append(progress("single", number + 1))
        await listener.until(heard + 1)
        took.append(time.perf_counter() - began)
    return took


async def end_latencies(house: House, listener: Listener) -> list[float]:
    """Return how long after the time that it bears the end of a task was heard."""
    took = []
    for _ in range(TASKS):
        task = await house.ended(await house.reset("bmc1.1"))
        await until(partial(heard_end, listener, task["@odata.id"]))
        heard = heard_end(listener, task["@odata.id"])
        assert heard is not None, "it was waited for"
        arrived, ended = heard
        took.append((arrived - ended).total_seconds())
    return took


def heard_end(listener: Listener, uri: str) -> tuple[datetime, datetime] | None:
    """Return when a subscriber has heard of a task's end, and when that was."""
    for post in reversed(listener.accepted):
        for event in post.events:
            is_end = event["MessageId"].endswith(".TaskCompletedOK")
            if is_end and event["OriginOfCondition"]["@odata.id"] == uri:
                return post.at, datetime.fromisoformat(event["EventTimestamp"])
    return None


async def burst(
    house: House, worker: WorkerChild, listeners: Sequence[Listener], number: int
) -> None:
    """Tell of many events at once; print how many a second arrive."""
    log, before = EventLog(house.store), [len(each.events) for each in listeners]
    cpu, began = cpu_seconds(worker), time.perf_counter()
    for first in range(0, number, IN_ONE_APPEND):
        task = f"burst-{len(listeners)}-{first}"
        steps = range(1, 1 + IN_ONE_APPEND)
        await log.append(*(progress(task, each) for each in steps))
    wanted = [each + number for each in before]
    await until(lambda: have_all(listeners, wanted), WAIT)
    took = time.perf_counter() - began
    arrived = number * len(listeners)
    say(
        f"{number} events to {len(listeners)} subscribers: {arrived / took:,.0f}"
        f" events/s arrived, {took:.1f} s, worker {cpu_seconds(worker) - cpu:.1f} s CPU"
    )


def have_all(listeners: Sequence[Listener], wanted: Sequence[int]) -> bool:
    """Say whether each subscriber has as many events as it should."""
    pairs = zip(listeners, wanted, strict=True)
    return all(len(each.events) >= number for each, number in pairs)


def cpu_seconds(worker: WorkerChild) -> float:
    """Return how much CPU a worker has used so far."""
    stat = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2]
    user, system = stat.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def subscribed(house: House, number: int) -> AsyncIterator[list[Listener]]:
    """Give subscribers whose deliveries have begun."""
    async with AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(listening()) for _ in range(number)
        ]
        for each in listeners:
            await subscribe(house, each, retry_policy="RetryForever")
        await EventLog(house.store).append(progress(f"first-{number}", 1))
        await until(lambda: all(each.events for each in listeners), WAIT)
        yield listeners


def say_latency(what: str, took: Sequence[float], signal: float) -> None:
    """Print median and 95th percentile, also as multiples of a signal."""
    median, p95 = statistics.median(took), statistics.quantiles(took, n=20)[18]
    say(
        f"{what}: median {milliseconds(median)} ({median / signal:.1f} signals),"
        f" p95 {milliseconds(p95)} ({p95 / signal:.1f} signals)"
    )


def milliseconds(seconds: float) -> str:
    """Return a time as people read it."""
    return f"{seconds * 1000:.1f} ms"


def say(words: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)
