"""How the demo's operation ended: its task, its steps and what it has made."""

from collections.abc import Iterator
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from taskfish.cli.step_screen import TaskWithSteps


def print_end(
    console: Console,
    ended: TaskWithSteps,
    answer: httpx.Response,
    made: list[dict[str, Any]],
    workflow: str,
) -> None:
    """Print a finished task, its final answer, what it made, and its workflow."""
    table = Table(show_header=False)
    for name, value in _end_rows(ended, answer, made):
        table.add_row(name, Text(value))
    console.print()
    console.print(table)
    console.print(f"Web UI: {workflow}", highlight=False, soft_wrap=True)


def _end_rows(
    ended: TaskWithSteps, answer: httpx.Response, made: list[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    task = ended.task
    yield "Task", task["Id"]
    for key in ("TaskState", "TaskStatus", "StartTime", "EndTime", "PercentComplete"):
        yield key, str(task.get(key, ""))
    for step in ended.steps:
        yield f"Step {step['Id']}", step["TaskState"]
    for message in task.get("Messages", []):
        yield "Message", message.get("Message", message["MessageId"])
    yield "Final answer", f"{answer.status_code} {answer.reason_phrase}"
    for each in made:
        yield "Made", f"{each['@odata.id']}: {each['Name']}, {each.get('RAIDType')}"
