"""What one user's thousands of resets cost another: `make bench-bulk`.

`python -m tests.bench.bulk [MACHINES]` resets so many light machines (500) in one
AggregationService.Reset by one user, and meanwhile single machines of another source by
another user, one after the other. Fleet, worker and Temporal are processes of their own
and speak HTTP; a reset takes 2 s at its machine. It prints how long a single reset
takes alone and beside the operation, and what the operation cost.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecutionStatus

from taskfish.cli.temporal_server import development_server
from taskfish.encryption import Keyring, generate_key
from taskfish.temporal import data_converter
from tests.house import SOURCES, House, open_house, source_body
from tests.worker_process import WorkerChild, worker_process

RESET = "/redfish/v1/AggregationService/Actions/AggregationService.Reset"
A_SOURCE = 250
"""Machines of one source, at most."""
SINGLES, LONE = 20, "lone"
RESET_SECONDS, POLL_SECONDS = 2.0, 0.5
LONGEST = 3600.0
AS_BY_DEFAULT = {
    "heartbeat_timeout": 10,
    "interrupted_after": 60,
    "submit_deadline": 120,
    "submit_answer_timeout": 300,
    "read_timeout": 30,
    "connect_timeout": 5,
}
"""The settings' own times: those of tests are short."""


async def main(machines: int) -> None:
    """Measure on a development server of its own."""
    key = SecretStr(generate_key())
    async with development_server() as address:
        converter = data_converter(Keyring([key]))
        temporal = await Client.connect(address, data_converter=converter)
        with tempfile.TemporaryDirectory() as folder:
            async with open_house(
                temporal, Path(folder), key, **AS_BY_DEFAULT
            ) as house:
                await house.stop_worker()
                async with (
                    fleets(machines) as urls,
                    worker_process(house, address) as worker,
                ):
                    await worker.until_ready()
                    await add_all(house, urls)
                    await measure(house, worker, machines)


@asynccontextmanager
async def fleets(machines: int) -> AsyncIterator[list[str]]:
    """Serve the machines, and the lone ones, from a process of their own."""
    sizes = [min(A_SOURCE, machines - n) for n in range(0, machines, A_SOURCE)]
    arguments = [str(RESET_SECONDS), *map(str, sizes), str(SINGLES)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fleet", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().split()
    finally:
        process.kill()
        await process.wait()


async def add_all(house: House, urls: Sequence[str]) -> None:
    """Add the sources; the last is that of the lone machines."""
    names = [*(f"fleet{number}" for number, _ in enumerate(urls[1:])), LONE]
    for name, url in zip(names, urls, strict=True):
        options = {"MaxConcurrentRequests": 16, "PollSeconds": POLL_SECONDS}
        options |= {"AdoptTasks": False}
        body = source_body(name, url, "Redfish", "password", options)
        answer = await house.final(await house.client.post(SOURCES, json=body))
        assert answer.status_code == 201, answer.text


async def measure(house: House, worker: WorkerChild, machines: int) -> None:
    """Print what a single reset takes alone, beside the operation, and that itself."""
    account = {"UserName": "other", "Password": "gatekeeper", "RoleId": "Operator"}
    added = await house.client.post("/redfish/v1/AccountService/Accounts", json=account)
    assert added.status_code == 201, added.text
    other = httpx.AsyncClient(
        transport=house.client._transport,
        base_url="http://gateway",
        auth=("other", "gatekeeper"),
    )
    alone = [await single(other, number) for number in range(SINGLES)]
    say(f"a single reset alone: median {statistics.median(alone):.2f} s")
    peak = asyncio.create_task(peak_memory(worker))
    uris = await systems(house)
    began = time.perf_counter()
    body = {"ResetType": "ForceRestart", "TargetURIs": uris}
    accepted = await house.change("POST", RESET, body)
    say(f"{machines} machines accepted in {time.perf_counter() - began:.2f} s")
    ending = asyncio.create_task(ended(house, accepted))
    beside: list[float] = []
    while not ending.done():
        beside.append(await single(other, len(beside) % SINGLES))
    task = await ending
    took = time.perf_counter() - began
    beside = beside[:-1] or beside
    p95 = statistics.quantiles(beside, n=20)[18] if len(beside) > 1 else beside[0]
    median = statistics.median(beside)
    say(f"beside the operation ({len(beside)}): median {median:.2f} s, p95 {p95:.2f} s")
    say(f"ratio of the medians: {median / statistics.median(alone):.2f}")
    say(f"the operation: {task['TaskState']}/{task['TaskStatus']} in {took:.0f} s,")
    say(f"{machines / took:.1f} machines/s")
    bad = [each for each in task["Messages"] if each["MessageSeverity"] != "OK"]
    say(
        f"messages of failures: {len(bad)}"
        + "".join(f"\n  {m['Message']}" for m in bad[:5])
    )
    await say_runs(house, accepted)
    peak.cancel()
    try:
        await peak
    except asyncio.CancelledError:
        say(f"the worker's peak memory: {memory(worker, 'VmHWM'):.0f} MiB")


async def systems(house: House) -> list[dict[str, str]]:
    """Return links to all machines but the lone ones."""
    members = (await house.client.get("/redfish/v1/Systems")).json()["Members"]
    return [each for each in members if f"/{LONE}." not in each["@odata.id"]]


async def single(client: httpx.AsyncClient, number: int) -> float:
    """Reset one lone machine; return how long that took."""
    uri = f"/redfish/v1/Systems/{LONE}.m{number + 1}/Actions/ComputerSystem.Reset"
    began = time.perf_counter()
    accepted = await client.post(uri, json={"ResetType": "ForceRestart"})
    assert accepted.status_code == 202, accepted.text
    while True:
        answer = await client.get(accepted.headers["Location"])
        if answer.status_code not in (202, 503):
            assert answer.status_code == 204, answer.text
            return time.perf_counter() - began
        await asyncio.sleep(0.1)


async def ended(house: House, accepted: httpx.Response) -> dict[str, Any]:
    """Wait for the end of the operation, and say every ten seconds how far it is."""
    uri, told = accepted.json()["@odata.id"], 0.0
    async with asyncio.timeout(LONGEST):
        while True:
            answer = await house.client.get(uri)
            task: dict[str, Any] = answer.json()
            if answer.status_code == 200 and "EndTime" in task:
                return task
            if time.monotonic() - told > 10 and answer.status_code == 200:
                told = time.monotonic()
                say(f"  {task['PercentComplete']} %")
            await asyncio.sleep(1)


async def say_runs(house: House, accepted: httpx.Response) -> None:
    """Print how many runs the operation had, and the longest history."""
    task_id = accepted.json()["Id"]
    query = f"WorkflowId = '{task_id}'"
    events, size, runs = 0, 0, 0
    async for run in house.temporal.list_workflows(query):
        handle = house.temporal.get_workflow_handle(task_id, run_id=run.run_id)
        info = (await handle.describe()).raw_description.workflow_execution_info
        assert run.status is not WorkflowExecutionStatus.RUNNING
        events = max(events, info.history_length)
        size = max(size, info.history_size_bytes)
        runs += 1
    say(f"{runs} runs, the longest history {events} events, {size / 2**20:.1f} MiB")


async def peak_memory(worker: WorkerChild) -> None:
    """Say every minute how much memory the worker has."""
    while True:
        await asyncio.sleep(60)
        say(f"  worker: {memory(worker, 'VmRSS'):.0f} MiB")


def memory(worker: WorkerChild, name: str) -> float:
    """Return a value of a worker's memory in MiB."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def say(words: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
    sys.stdout.flush()
    os._exit(0)
