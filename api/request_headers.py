"""What a request may ask of the task that it starts: its headers (contracts.md 6)."""

import re
from dataclasses import dataclass
from typing import Literal, cast

from fastapi import Request

from api.errors import refuse
from api.preferences import Wait, preferred_wait
from taskfish.errors import RequestRefusedError
from taskfish.redfish.tags import MOST_TAGS, are_tags

ConflictWish = Literal["allow", "reject", "queue"]
LONGEST_TIMEOUT = 31_536_000
"""A year, in seconds."""
TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""An Id that a caller may choose (contracts.md 1)."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_CONFLICT_WISH = re.compile("allow|reject|queue")


@dataclass(frozen=True)
class TaskWishes:
    """What a request asks of its task; None is what the settings say.

    `task_id` is the Id that the caller has chosen, `key` the Idempotency-Key,
    `timeout` the task's deadline in seconds, `wait` how long the answer may take.
    """

    request_id: str
    task_id: str | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    timeout: int | None = None
    conflict: ConflictWish | None = None
    wait: Wait | None = None


async def task_wishes(request: Request) -> TaskWishes:
    """Read the headers; raise 400 HeaderInvalid for one that is not right."""
    return TaskWishes(
        request_id=request.state.request_id,
        task_id=_task_id(request),
        key=_key(request),
        tags=_tags(request),
        timeout=_timeout(request),
        conflict=_conflict(request),
        wait=preferred_wait(request),
    )


def _task_id(request: Request) -> str | None:
    return _matching(
        request,
        "Task-Id",
        TASK_ID,
        "Send 1 to 128 letters, digits, '_', '.' or '-', the first a letter or digit.",
    )


def _key(request: Request) -> str | None:
    how = "Send 1 to 255 visible ASCII characters."
    return _matching(request, "Idempotency-Key", _KEY, how)


def _tags(request: Request) -> tuple[str, ...]:
    """Return the tags, each once; empty ones between commas do not count."""
    listed = ",".join(request.headers.getlist("Task-Tags")).split(",")
    tags = tuple(dict.fromkeys(tag for part in listed if (tag := part.strip(" \t"))))
    if not are_tags(tags):
        how = (
            f"Send at most {MOST_TAGS} tags, separated by commas, each of 1 to 64 "
            "visible ASCII characters."
        )
        raise _invalid("Task-Tags", how)
    return tags


def _timeout(request: Request) -> int | None:
    how = f"Send whole seconds from 1 to {LONGEST_TIMEOUT}."
    value = _matching(request, "Task-Timeout", _WHOLE_NUMBER, how)
    if value is None:
        return None
    if not 1 <= int(value) <= LONGEST_TIMEOUT:
        raise _invalid("Task-Timeout", how)
    return int(value)


def _conflict(request: Request) -> ConflictWish | None:
    how = "Send one of allow, reject and queue."
    value = _matching(request, "Task-Conflict", _CONFLICT_WISH, how)
    return cast(ConflictWish | None, value)


def _matching(
    request: Request, name: str, pattern: re.Pattern[str], how: str
) -> str | None:
    """Return a header's value, None without it; raise 400 if it is there twice."""
    values = request.headers.getlist(name)
    if not values:
        return None
    if len(values) > 1 or not pattern.fullmatch(values[0]):
        raise _invalid(name, how)
    return values[0]


def _invalid(name: str, how: str) -> RequestRefusedError:
    return refuse("HeaderInvalid", name, resolution=how)
