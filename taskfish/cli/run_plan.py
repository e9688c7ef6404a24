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

from taskfish.cli.northbound import (
    LONGEST_PAUSE,
    POLL_SECONDS,
    NorthboundError,
    OutageError,
    answered,
    logged_in,
    refusal,
    silent,
    tell,
)
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
"""Seconds for which the start of a plan is sent again."""
EXIT_UNKNOWN = 3
_AT_ONCE = {"Prefer": "respond-async, wait=0"}


@dataclass(frozen=True)
class RunOptions:
    """What the command was told: `cancels` also cancels the task at Ctrl-C."""

    file: Path
    task_id: str | None = None
    as_json: bool = False
    cancels: bool = False


@dataclass(frozen=True)
class Started:
    """The URIs of the task that a plan has become, and of its monitor."""

    uri: str
    monitor: str


class UnknownEndError(NorthboundError):
    """The plan has started, or may have, and how it ends is not known here."""


async def run_plan(settings: Settings, options: RunOptions) -> int:
    """Send the plan and follow it to its end: 0 if it has completed, else 1.

    Ctrl-C leaves the task running, if it is not to be cancelled: 130. What nobody
    knows the end of is 3.
    """
    plan = read_plan(options.file)
    async with logged_in(settings) as client:
        try:
            return await _run(client, plan, options)
        except UnknownEndError as error:
            tell(f"taskfish: {error}")
            return EXIT_UNKNOWN


async def _run(
    client: httpx.AsyncClient, plan: dict[str, Any], options: RunOptions
) -> int:
    started = await unless_interrupted(_start(client, plan, options))
    if started is None:
        tell("The gateway has not answered yet: the plan may have started.")
        return EXIT_INTERRUPTED
    tell(f"Started: {started.uri}")
    seen = await unless_interrupted(_followed(client, started, options))
    if seen is None and options.cancels:
        seen = await unless_interrupted(_cancelled(client, started, options))
    if seen is None:
        tell(f"The task goes on: {started.uri}\nDELETE cancels it.")
        return EXIT_INTERRUPTED
    _print_end(seen, options.as_json)
    return int(seen.task["TaskState"] != TaskState.COMPLETED)


async def _start(
    client: httpx.AsyncClient, plan: dict[str, Any], options: RunOptions
) -> Started:
    """Start the plan once, and return its task.

    Raises NorthboundError with each message of a refusal on a line of its own.
    """
    chosen = {"Task-Id": options.task_id} if options.task_id else {}
    key = {"Idempotency-Key": secrets.token_hex(16)}
    headers = _AT_ONCE | chosen | key
    answer = await _Sending(client, options.file).answer(plan, headers)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise _refused(options.file, answer)
    return Started(answer.json()["@odata.id"], answer.headers["Location"])


class _Sending:
    """A start that is sent again with the same key while its answer is lost, or the
    gateway cannot start it yet. One that cannot be connected to at first is told at
    once.
    """

    def __init__(self, client: httpx.AsyncClient, file: Path) -> None:
        self._client = client
        self._file = file
        self._give_up_at: float | None = None
        self._may_be_there = False

    async def answer(
        self, plan: dict[str, Any], headers: dict[str, str]
    ) -> httpx.Response:
        """Return the final answer; raise NorthboundError, without one in time."""
        pause = POLL_SECONDS
        while True:
            request = self._client.post(ACTION, json=plan, headers=headers)
            try:
                return await answered(request)
            except OutageError as outage:
                self._may_be_there |= outage.taken
                wanted = max(pause, outage.retry_after)
                if time.monotonic() + wanted > self._last_moment(outage):
                    raise self._given_up(outage) from outage
            await asyncio.sleep(wanted)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _last_moment(self, outage: OutageError) -> float:
        """Return until when it is sent; at the first outage say that it is."""
        if self._give_up_at is None:
            reached = outage.taken or outage.answer is not None
            self._give_up_at = time.monotonic() + LONGEST_START * reached
            if reached:
                tell(
                    f"The gateway does not start the plan ({outage}): it is sent "
                    f"again for {LONGEST_START:.0f} s, and starts once."
                )
        return self._give_up_at

    def _given_up(self, outage: OutageError) -> NorthboundError:
        if self._may_be_there:
            return UnknownEndError(
                f"the answer to the start of {self._file} was lost ({outage}): the "
                "plan may have started; read the tasks"
            )
        if outage.answer is not None:
            return _refused(self._file, outage.answer)
        return silent(self._client, outage)


async def _cancelled(
    client: httpx.AsyncClient, started: Started, options: RunOptions
) -> TaskWithSteps:
    """Cancel the task, then follow it; raise UnknownEndError if that is not taken.

    DELETE at its monitor: at the Task it would remove one that has just ended, whose
    monitor may be gone.
    """
    try:
        answer = await answered(client.delete(started.monitor))
    except OutageError as outage:
        words = "may not have been" if outage.taken else "could not be"
        raise _unknown(f"the cancel {words} sent ({outage})", started) from outage
    if not answer.is_success and answer.status_code != httpx.codes.NOT_FOUND:
        raise _unknown(f"the cancel is refused: {refusal(answer)}", started)
    return await _followed(client, started, options)


def _unknown(why: str, started: Started) -> UnknownEndError:
    return UnknownEndError(f"{why}\nThe task may go on: {started.uri}")


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
    client: httpx.AsyncClient, started: Started, options: RunOptions
) -> TaskWithSteps:
    """Follow a task to its end, and show it if a person is to read that.

    Raises UnknownEndError if the gateway refuses to say.
    """
    try:
        if not options.as_json:
            return await show_to_end(screen(), client, started.uri)
        return await _quietly_followed(client, started.uri)
    except NorthboundError as error:
        raise _unknown(str(error), started) from error


async def _quietly_followed(client: httpx.AsyncClient, uri: str) -> TaskWithSteps:
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
