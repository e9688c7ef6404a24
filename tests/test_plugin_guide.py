"""The transcripts of the plugin guide are what the emulator really says."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from taskfish.plugins.emulator import Emulator, serve
from taskfish.plugins.machine.modes import Modes
from tests.plugins.emulator_clients import Clock
from tests.plugins.scripted_service import Asked, ScriptedService, http, scripted
from tests.transcripts import Transcript, transcripts
from tests.workflows.houses import until

GUIDE = Path(__file__).parent.parent / "docs" / "plugin-guide.md"
GATEWAY = "https://gateway.example.com"
"""The address that the guide has for the gateway, which is the test's receiver."""


class Stage:
    """An emulator that is asked as in the guide, and who gets its events."""

    def __init__(
        self, clock: Clock, clients: dict[str, httpx.AsyncClient], url: str
    ) -> None:
        self._clock = clock
        self._clients = clients
        self._url = url

    def let_pass(self, seconds: float) -> None:
        """Let time pass for the emulator."""
        self._clock.move(seconds)

    async def play(self, transcript: Transcript) -> httpx.Response:
        """Send a request."""
        method, path = transcript.asked.line.split()
        client = self._clients["bmc" if path.startswith("/redfish") else "plugin"]
        return await client.request(
            method, path, json=self._real(transcript.asked.body)
        )

    def _real(self, body: Any) -> Any:
        """Return a body with the receiver's address in it, also in a PostBody."""
        real = json.loads(json.dumps(body).replace(GATEWAY, self._url))
        if isinstance(real, dict) and "PostBody" in real:
            inside = base64.b64decode(real["PostBody"]).decode()
            encoded = inside.replace(GATEWAY, self._url).encode()
            real["PostBody"] = base64.b64encode(encoded).decode()
        return real

    def named(self, text: str) -> str:
        """Return a text with the guide's own address in it."""
        return text.replace(self._url, GATEWAY)


@pytest.fixture
async def receiver() -> AsyncIterator[ScriptedService]:
    async with scripted() as service:
        for name in ("node1", "bmc1"):
            service.on(f"POST /southbound/events/{name}", http(204))
        yield service


@pytest.fixture
async def stage(receiver: ScriptedService) -> AsyncIterator[Stage]:
    clock = Clock()
    emulator = Emulator(1, 1, modes=Modes(seconds=2.0), clock=clock)
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(serve(emulator))
        places = {
            "plugin": (addresses.plugin, "plugin"),
            "bmc": (addresses.bmcs[0], "password"),
        }
        clients = {
            name: await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, auth=("admin", password), verify=False)
            )
            for name, (url, password) in places.items()
        }
        yield Stage(clock, clients, receiver.url)


async def test_transcripts_are_true(stage: Stage, receiver: ScriptedService) -> None:
    found = list(transcripts(GUIDE.read_text()))
    assert len(found) > 15
    events = 0
    for transcript in found:
        stage.let_pass(transcript.after)
        if transcript.is_event:
            event = await _event(receiver, events)
            events += 1
            _compare_event(stage, transcript, event)
        else:
            _compare(stage, transcript, await stage.play(transcript))
    assert events == 3


async def _event(receiver: ScriptedService, number: int) -> Asked:
    await until(lambda: len(receiver.asked) > number, 5)
    return receiver.asked[number]


def _compare_event(stage: Stage, transcript: Transcript, event: Asked) -> None:
    line = transcript.asked.line.replace(GATEWAY, "")
    asked = transcript.asked
    shown = asked.__class__(line, asked.headers, asked.body)
    assert shown.is_shown_by(event.line, event.headers, event.body), event.body


def _compare(stage: Stage, transcript: Transcript, answer: httpx.Response) -> None:
    body: Any = json.loads(stage.named(answer.text)) if answer.content else None
    line, headers = str(answer.status_code), dict(answer.headers)
    said = f"{transcript.asked.line}\n{line}\n{headers}\n{json.dumps(body)}"
    assert transcript.answered.is_shown_by(line, headers, body), said
