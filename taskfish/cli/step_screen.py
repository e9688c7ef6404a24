"""A task and its steps as they go: nested bars on a terminal, lines elsewhere."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from taskfish.cli.northbound import resource_in_the_end
from taskfish.redfish.task import TaskState

Task = dict[str, Any]
WIDE = 160
INDENT = "  "
WHOLE = "?$expand=.&$top=1000"
"""Has all of a collection's members in it, as they are, instead of links to them: no
plan has more.
"""
SHORTEST_PAUSE = 1.0
PAUSE_A_STEP = 0.01
"""Seconds between two looks: of many steps each look costs the gateway more."""


@dataclass(frozen=True)
class TaskWithSteps:
    """A Task, and its SubTasks in their order: none if it is a single change. Steps
    that are not needed go on the way.
    """

    task: Task
    steps: tuple[Task, ...] = ()


Show = Callable[[TaskWithSteps], None]
Read = Callable[[httpx.AsyncClient, str], Awaitable[dict[str, Any]]]
"""Reads a resource: once, or in the end."""


def screen() -> Console:
    """Return standard output; where it is no terminal, lines are long, not folded."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


async def show_to_end(
    console: Console,
    client: httpx.AsyncClient,
    uri: str,
    read: Read = resource_in_the_end,
) -> TaskWithSteps:
    """Show the task at `uri` with its steps until it has ended; return what they are.

    Raises NorthboundError if the gateway refuses to say.
    """
    with progress(console) as show:
        while True:
            seen = await with_steps(client, uri, read)
            show(seen)
            if TaskState(seen.task["TaskState"]).ended:
                return seen
            await pause_after(seen)


async def pause_after(seen: TaskWithSteps) -> None:
    """Wait until the task may be looked at again."""
    await asyncio.sleep(max(SHORTEST_PAUSE, PAUSE_A_STEP * len(seen.steps)))


async def with_steps(
    client: httpx.AsyncClient, uri: str, read: Read = resource_in_the_end
) -> TaskWithSteps:
    """Read a task, then its steps: those of one that has ended are as they stay."""
    task = await read(client, uri)
    if "SubTasks" not in task:
        return TaskWithSteps(task)
    steps_uri = task["SubTasks"]["@odata.id"]
    listed = await read(client, f"{steps_uri}{WHOLE}")
    return TaskWithSteps(task, tuple(listed["Members"]))


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Show]:
    """Give a function that shows how a task and its steps are now."""
    with _bars(console) if console.is_terminal else _lines(console) as show:
        yield show


@contextlib.contextmanager
def _bars(console: Console) -> Iterator[Show]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[state]}"),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as shown:

        def show(seen: TaskWithSteps) -> None:
            rows = {task["@odata.id"]: task for task in (seen.task, *seen.steps)}
            for uri in bars.keys() - rows.keys():
                shown.remove_task(bars.pop(uri))
            for uri, task in rows.items():
                if uri not in bars:
                    name = task["Id"] if task is seen.task else INDENT + task["Id"]
                    bars[uri] = shown.add_task(name, total=100, state="")
                percent, state = _percent(task), task["TaskState"]
                shown.update(bars[uri], completed=percent, state=state)

        yield show


@contextlib.contextmanager
def _lines(console: Console) -> Iterator[Show]:
    last: dict[str, str] = {}

    def show(seen: TaskWithSteps) -> None:
        for task in (seen.task, *seen.steps):
            indent = "" if task is seen.task else INDENT
            line = f"{indent}{task['Id']}  {_percent(task):>3} %  {task['TaskState']}"
            if last.get(task["@odata.id"]) != line:
                last[task["@odata.id"]] = line
                console.print(line, highlight=False, soft_wrap=True, markup=False)

    yield show


def _percent(task: Task) -> int:
    return int(task.get("PercentComplete") or 0)
