"""`taskfish run`: sends a plan of Redfish requests and shows its steps as they go.

It does what any REST client can do; nothing here knows the gateway from inside.
"""

import asyncio
import json
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from taskfish.cli.northbound import POLL_SECONDS, NorthboundError, logged_in, refusal
from taskfish.cli.plan_files import read_plan
from taskfish.cli.signals import EXIT_INTERRUPTED, unless_interrupted
from taskfish.cli.step_screen import (
    TaskWithSteps,
    pause_after,
    screen,
    show_to_end,
    with_steps,
)
from taskfish.redfish.task import TaskState
from taskfish.settings import Settings

ACTION = "/redfish/v1/TaskService/Actions/Oem/Taskfish.RunPlan"
LONGEST_START = 30.0
"""Seconds for which the start of a plan is sent again whose answer was lost."""
_AT_ONCE = {"Prefer": "respond-async, wait=0"}


@dataclass(frozen=True)
class RunOptions:
    """What the command was told: `cancels` also cancels the task at Ctrl-C."""

    file: Path
    task_id: str | None = None
    as_json: bool = False
    cancels: bool = False


async def run_plan(settings: Settings, options: RunOptions) -> int:
    """Send the plan and follow it to its end: 0 if it has completed, else 1.

    Ctrl-C leaves the task running, if it is not to be cancelled: 130.
    """
    plan = read_plan(options.file)
    async with logged_in(settings) as client:
        uri = await _start(client, plan, options)
        console = Console(stderr=True) if options.as_json else screen()
        console.print(f"Started: {uri}", highlight=False, soft_wrap=True)
        seen = await unless_interrupted(_followed(client, uri, options))
        if seen is None and options.cancels:
            await _cancel(client, uri)
            seen = await unless_interrupted(_followed(client, uri, options))
        if seen is None:
            words = f"The task goes on: {uri}\nDELETE cancels it."
            console.print(words, highlight=False, soft_wrap=True)
            return EXIT_INTERRUPTED
    _print_end(seen, options.as_json)
    return int(seen.task["TaskState"] != TaskState.COMPLETED)


async def _start(
    client: httpx.AsyncClient, plan: dict[str, Any], options: RunOptions
) -> str:
    """Start the plan once; return the URI of its task.

    It is sent again with the same key if its answer is lost: the gateway starts it
    once. Raises NorthboundError with each message of a refusal on a line of its own.
    """
    chosen = {"Task-Id": options.task_id} if options.task_id else {}
    key = {"Idempotency-Key": secrets.token_hex(16)}
    answer = await _sent(client, plan, _AT_ONCE | chosen | key)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise _refused(options.file, answer)
    uri: str = answer.json()["@odata.id"]
    return uri


async def _sent(
    client: httpx.AsyncClient, plan: dict[str, Any], headers: dict[str, str]
) -> httpx.Response:
    """Send the plan, again for a while if that may have gone through: a gateway that
    cannot be connected to at first is told of at once.
    """
    give_up_at, may_be_there = time.monotonic() + LONGEST_START, False
    while True:
        try:
            return await client.post(ACTION, json=plan, headers=headers)
        except httpx.TransportError as error:
            may_be_there |= not isinstance(error, httpx.ConnectError)
            if not may_be_there or time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(POLL_SECONDS)


async def _cancel(client: httpx.AsyncClient, uri: str) -> None:
    """Cancel the task; raise NorthboundError if the gateway does not take that."""
    answer = await client.delete(uri)
    if not answer.is_success:
        raise refusal(answer)


def _refused(file: Path, answer: httpx.Response) -> NorthboundError:
    try:
        infos = answer.json()["error"]["@Message.ExtendedInfo"]
        lines = [f"  {info['Message']}" for info in infos]
    except (ValueError, KeyError, TypeError):
        return refusal(answer)
    return NorthboundError(
        "\n".join([f"the gateway refuses {file} ({answer.status_code}):", *lines])
    )


async def _followed(
    client: httpx.AsyncClient, uri: str, options: RunOptions
) -> TaskWithSteps:
    """Follow a task to its end, and show it if a person is to read that."""
    if not options.as_json:
        return await show_to_end(screen(), client, uri)
    while True:
        seen = await with_steps(client, uri)
        if TaskState(seen.task["TaskState"]).ended:
            return seen
        await pause_after(seen)


def _print_end(seen: TaskWithSteps, as_json: bool) -> None:
    """Print how a task has ended: for a program the Task with its steps in it."""
    if as_json:
        whole = seen.task | {"Steps": list(seen.steps)}
        sys.stdout.write(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
        return
    console = screen()
    for message in seen.task.get("Messages", []):
        text = message.get("Message", message["MessageId"])
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{seen.task['TaskState']}: {seen.task['@odata.id']}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
