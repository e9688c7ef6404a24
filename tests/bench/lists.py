"""What a list of tasks costs beside Temporal's own: `python -m tests.bench.lists`.

20,000 ended tasks and 2,000 that run are put into a development server; the first page
of 50, expanded and filtered, is then read through the API and from Temporal in turn,
and all pages once, with an eye on the memory of the process. What a page costs whose
tasks have to be counted first is said apart.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx
from pydantic import SecretStr
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RawValue, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

from api.app import create_app
from api.task_counts import KEPT_AT_MOST
from taskfish.cli.temporal_server import development_server
from taskfish.encryption import Keyring, generate_key
from taskfish.redfish.messages import task_message
from taskfish.redfish.task import Answer, Health, Outcome, TaskState
from taskfish.store.database import upgrade
from taskfish.temporal import (
    TASK_NAME,
    TASK_OPERATION,
    TASK_OWNER,
    TASK_RESOURCE_TYPE,
    TASK_RESOURCES,
    TASK_SOURCE,
    TASK_STATE,
    TASK_TARGET,
    data_converter,
)
from tests.house import PASSWORD, TASKS, USER, client_of, fast_settings
from workflows.task import TASK_MEMO, TaskMemo, conclude

ROUNDS = 40
COUNTING_ROUNDS = 5
PAGE = 50
AT_ONCE = 50
MOST = 3.0
"""How many times Temporal's own list a page may cost."""
STATE = "ExecutionStatus = 'Completed'"
QUERY = (
    "TaskOperation IS NOT NULL AND ParentWorkflowId IS NULL "
    f"AND ExecutionStatus != 'ContinuedAsNew' AND {STATE}"
)


@workflow.defn(dynamic=True, sandboxed=False)
class Ends:
    """Ends as a change does that its source has carried out."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Answer:
        """End with words of its own."""
        task_id = workflow.info().workflow_id
        return conclude(
            Outcome(
                state=TaskState.COMPLETED,
                status=Health.OK,
                answer=Answer(status=204),
                messages=(task_message("TaskCompletedOK", task_id),),
                percent=100,
            )
        )


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def fill(client: Client, ended: int, running: int) -> None:
    """Put in so many tasks; those that run are on a queue that nobody works at."""
    async with Worker(client, task_queue="ends", workflows=[Ends]):
        places = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, *, ends: bool) -> None:
            async with places:
                handle = await client.start_workflow(
                    "ComputerSystem.Reset",
                    id=f"ComputerSystem.Reset-rack{number % 500}.1-{number:06}",
                    task_queue="ends" if ends else "nobody",
                    memo={TASK_MEMO: _memo(number)},
                    search_attributes=_attributes(number, ends=ends),
                )
                if ends:
                    await handle.result()

        await asyncio.gather(*(one(n, ends=True) for n in range(ended)))
        total = ended + running
        await asyncio.gather(*(one(n, ends=False) for n in range(ended, total)))
    while (await client.count_workflows(QUERY)).count < ended:
        await asyncio.sleep(0.2)


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Return the seconds that a call takes."""
    begun = time.perf_counter()
    await call()
    return time.perf_counter() - begun


async def main(ended: int, running: int) -> int:
    """Measure and print; return 1 if a page costs more than it may."""
    key = SecretStr(generate_key())
    with tempfile.TemporaryDirectory() as folder:
        settings = fast_settings(Path(folder), key)
        await upgrade(settings.database_url)
        async with development_server() as address:
            client = await Client.connect(
                address, data_converter=data_converter(Keyring([key]))
            )
            say(f"filling in {ended} ended and {running} running tasks …")
            say(f"filled in {await timed(lambda: fill(client, ended, running)):.0f} s")
            app = create_app(settings, client)
            async with client_of(app, (USER, PASSWORD)) as gateway:
                return await _measure(client, gateway)


async def _measure(client: Client, gateway: httpx.AsyncClient) -> int:
    first = f"{TASKS}?$expand=.&$top={PAGE}&state=completed"

    async def page() -> None:
        answer = await gateway.get(first)
        assert len(answer.json()["Members"]) == PAGE, answer.text

    async def bare() -> None:
        listed = client.list_workflows(QUERY, page_size=PAGE)
        await listed.fetch_next_page()
        assert len(listed.current_page or ()) == PAGE

    await page()
    pages, bares, counting = [], [], []
    for _ in range(ROUNDS):
        pages.append(await timed(page))
        bares.append(await timed(bare))
    for _ in range(COUNTING_ROUNDS):
        await asyncio.sleep(KEPT_AT_MOST.total_seconds())
        counting.append(await timed(page))
    base = statistics.median(bares)
    ratio = statistics.median(pages) / base
    counted = statistics.median(counting) / base
    say(f"bare list of {PAGE}: {base * 1000:.1f} ms (median)")
    say(f"page of {PAGE}, expanded and filtered: {ratio:.2f} times that")
    say(f"the same where nobody has counted for a while: {counted:.2f} times")
    return 0 if await _walk(gateway) and ratio <= MOST else 1


async def _walk(gateway: httpx.AsyncClient) -> bool:
    """Read all pages; say whether the process has stayed as large as after the first
    tenth of them.
    """
    link: str | None = f"{TASKS}?$expand=."
    seen, sizes = 0, []
    while link is not None:
        body = (await gateway.get(link)).json()
        seen += len(body["Members"])
        sizes.append(_resident())
        link = body.get("Members@odata.nextLink")
    early = max(sizes[: max(1, len(sizes) // 10)])
    growth = max(sizes) - early
    say(
        f"{seen} tasks in {len(sizes)} pages; memory: {sizes[0]:.0f} MB at the first, "
        f"{early:.0f} MB after a tenth, {sizes[-1]:.0f} MB at the last"
    )
    return growth < 0.1 * early


def _resident() -> float:
    """Return how much memory the process has, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _memo(number: int) -> TaskMemo:
    system = f"/redfish/v1/Systems/rack{number % 500}.1"
    return TaskMemo(
        name=f"ComputerSystem.Reset rack{number % 500}.1",
        method="POST",
        uri=f"{system}/Actions/ComputerSystem.Reset",
        body={"ResetType": "ForceRestart"},
    )


def _attributes(number: int, *, ends: bool) -> TypedSearchAttributes:
    memo = _memo(number)
    state = TaskState.NEW if ends else TaskState.RUNNING
    return TypedSearchAttributes(
        [
            SearchAttributePair(TASK_STATE, state.value),
            SearchAttributePair(TASK_NAME, memo.name),
            SearchAttributePair(TASK_OPERATION, "ComputerSystem.Reset"),
            SearchAttributePair(TASK_TARGET, memo.uri),
            SearchAttributePair(TASK_RESOURCE_TYPE, "ComputerSystem"),
            SearchAttributePair(TASK_SOURCE, f"rack{number % 500}"),
            SearchAttributePair(TASK_OWNER, USER),
            SearchAttributePair(TASK_RESOURCES, [memo.uri.partition("/Actions")[0]]),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ended", type=int, default=20_000)
    parser.add_argument("--running", type=int, default=2_000)
    chosen = parser.parse_args()
    code = asyncio.run(main(chosen.ended, chosen.running))
    sys.stdout.flush()
    os._exit(code)
