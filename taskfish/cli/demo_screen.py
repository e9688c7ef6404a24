"""What the demo shows: bars on a terminal, lines elsewhere, and how tasks ended."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

Task = dict[str, Any]
Show = Callable[[Task], None]
WIDE = 160


def screen() -> Console:
    """Return standard output; where it is no terminal, lines are long, not folded."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Show]:
    """Give a function that shows how a task is now."""
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

        def show(task: Task) -> None:
            uri = task["@odata.id"]
            if uri not in bars:
                bars[uri] = shown.add_task(task["Id"], total=100, state="")
            shown.update(bars[uri], completed=_percent(task), state=task["TaskState"])

        yield show


@contextlib.contextmanager
def _lines(console: Console) -> Iterator[Show]:
    last: dict[str, str] = {}

    def show(task: Task) -> None:
        line = f"{task['Id']}  {_percent(task):>3} %  {task['TaskState']}"
        if last.get(task["@odata.id"]) != line:
            last[task["@odata.id"]] = line
            console.print(line, highlight=False, soft_wrap=True)

    yield show


def print_end(
    console: Console,
    task: Task,
    answer: httpx.Response,
    created: dict[str, Any] | None,
    workflow: str,
) -> None:
    """Print a finished task, its final answer, what it made, and its workflow."""
    table = Table(show_header=False)
    for name, value in _end_rows(task, answer, created):
        table.add_row(name, Text(value))
    console.print()
    console.print(table)
    console.print(f"Web UI: {workflow}", highlight=False, soft_wrap=True)


def _end_rows(
    task: Task, answer: httpx.Response, created: dict[str, Any] | None
) -> Iterator[tuple[str, str]]:
    yield "Task", task["Id"]
    for key in ("TaskState", "TaskStatus", "StartTime", "EndTime", "PercentComplete"):
        yield key, str(task.get(key, ""))
    for message in task.get("Messages", []):
        yield "Message", message.get("Message", message["MessageId"])
    yield "Final answer", f"{answer.status_code} {answer.reason_phrase}"
    if created is not None:
        yield "Location", answer.headers["Location"]
        yield "Made", f"{created.get('Name')}, {created.get('RAIDType')}"


def _percent(task: Task) -> int:
    return int(task.get("PercentComplete") or 0)
