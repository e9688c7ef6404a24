"""A task and its steps as they go: nested bars on a terminal, lines elsewhere."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from taskfish.cli.northbound import POLL_SECONDS, resource
from taskfish.redfish.task import TaskState

Task = dict[str, Any]
WIDE = 160
INDENT = "  "
WHOLE = "?$expand=."
"""Has a collection's members in it, as they are, instead of links to them."""


@dataclass(frozen=True)
class TaskWithSteps:
    """A Task, and its SubTasks in their order: none if it is a single change."""

    task: Task
    steps: tuple[Task, ...] = ()


Show = Callable[[TaskWithSteps], None]


def screen() -> Console:
    """Return standard output; where it is no terminal, lines are long, not folded."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


async def show_to_end(
    console: Console, client: httpx.AsyncClient, uri: str
) -> TaskWithSteps:
    """Show the task at `uri` with its steps until it has ended; return what they are.

    Raises NorthboundError if the gateway does not say.
    """
    with progress(console) as show:
        while True:
            seen = await with_steps(client, uri)
            show(seen)
            if TaskState(seen.task["TaskState"]).ended:
                return seen
            await asyncio.sleep(POLL_SECONDS)


async def with_steps(client: httpx.AsyncClient, uri: str) -> TaskWithSteps:
    """Read a task, then its steps: those of one that has ended are as they stay."""
    task = await resource(client, uri)
    if "SubTasks" not in task:
        return TaskWithSteps(task)
    listed = await resource(client, f"{task['SubTasks']['@odata.id']}{WHOLE}")
    return TaskWithSteps(task, tuple(listed["Members"]))


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Show]:
    """Give a function that shows how a task and its steps are now."""
    with _bars(console) if console.is_terminal else _lines(console) as show_one:

        def show(seen: TaskWithSteps) -> None:
            show_one(seen.task, "")
            for step in seen.steps:
                show_one(step, INDENT)

        yield show


@contextlib.contextmanager
def _bars(console: Console) -> Iterator[Callable[[Task, str], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[state]}"),
    )
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as shown:

        def show(task: Task, indent: str) -> None:
            uri = task["@odata.id"]
            if uri not in bars:
                bars[uri] = shown.add_task(f"{indent}{task['Id']}", total=100, state="")
            shown.update(bars[uri], completed=_percent(task), state=task["TaskState"])

        yield show


@contextlib.contextmanager
def _lines(console: Console) -> Iterator[Callable[[Task, str], None]]:
    last: dict[str, str] = {}

    def show(task: Task, indent: str) -> None:
        line = f"{indent}{task['Id']}  {_percent(task):>3} %  {task['TaskState']}"
        if last.get(task["@odata.id"]) != line:
            last[task["@odata.id"]] = line
            console.print(line, highlight=False, soft_wrap=True, markup=False)

    yield show


def _percent(task: Task) -> int:
    return int(task.get("PercentComplete") or 0)
