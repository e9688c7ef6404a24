"""`taskfish power`: the power of machines, by the bare-metal power API.

It does what any client of that API can do; nothing here knows the gateway from inside.
"""

import json
from typing import Any
from urllib.parse import quote

import httpx
from rich.table import Table

from taskfish.cli.northbound import NorthboundError, logged_in
from taskfish.cli.power_words import TARGETS, PowerWord
from taskfish.cli.step_screen import screen
from taskfish.settings import Settings

_VERSION = {"X-OpenStack-Ironic-API-Version": "latest"}
Json = dict[str, Any]


async def set_power(
    settings: Settings, node: str, word: PowerWord, seconds: int | None, as_json: bool
) -> None:
    """Ask for a change of a node's power, or abort one; print which task it is."""
    target = TARGETS[word]
    asked = {"target": target} | ({"timeout": seconds} if seconds else {})
    async with logged_in(settings, _VERSION) as client:
        answer = await client.put(f"{_states(node)}/power", json=asked)
    _check(answer)
    task = answer.headers.get("Task-Id")
    if as_json:
        _print_json({"node": node, "target": target, "task": task})
    else:
        what = f"task {task}" if task else "nothing to do"
        screen().print(f"{node}: {target}, {what}", highlight=False, markup=False)


async def show_states(settings: Settings, node: str, as_json: bool) -> None:
    """Print the states of a node, as a table or as they are."""
    async with logged_in(settings, _VERSION) as client:
        answer = await client.get(_states(node))
    _check(answer)
    states: Json = answer.json()
    if as_json:
        _print_json(states)
        return
    table = Table("Property", "Value")
    for name in sorted(states):
        table.add_row(name, _shown(states[name]))
    screen().print(table, markup=False)


def _states(node: str) -> str:
    return f"/baremetal/v1/nodes/{quote(node, safe='')}/states"


def _check(answer: httpx.Response) -> None:
    """Raise what the gateway has said against a request."""
    if answer.is_success:
        return
    try:
        text = json.loads(answer.json()["error_message"])["faultstring"]
    except (ValueError, KeyError, TypeError):
        text = answer.text[:500]
    raise NorthboundError(f"{text} (HTTP {answer.status_code})")


def _print_json(value: Json) -> None:
    screen().out(json.dumps(value, indent=2), highlight=False)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)
