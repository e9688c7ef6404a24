"""A real HTTP server that answers by a script and remembers what it was asked."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from tests.plugins.faulty_socket import read_request, serving


@dataclass(frozen=True)
class Asked:
    """One request as it came; names of headers in lower case."""

    line: str
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON body."""
        return json.loads(self.content)


@dataclass
class ScriptedService:
    """Answers by `script`: "GET /path" → answers in turn, the last one for ever.

    Anything else is 404. `connections` counts them, `most_at_once` requests.
    """

    url: str = ""
    script: dict[str, list[bytes]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    delay: float = 0.0
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0

    def on(self, line: str, *answers: bytes) -> None:
        """Answer a request line so."""
        self.script[line] = list(answers)

    def lines(self) -> list[str]:
        """Return the request lines so far."""
        return [asked.line for asked in self.asked]

    async def behave(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection until its client closes it."""
        self.connections += 1
        while True:
            asked = _parse(await read_request(reader))
            self.asked.append(asked)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            await asyncio.sleep(self.delay)
            self.at_once -= 1
            writer.write(self._next(asked.line))
            await writer.drain()

    def _next(self, line: str) -> bytes:
        answers = self.script.get(line, [http(404)])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@asynccontextmanager
async def scripted(tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedService]:
    """Give a service that answers nothing but 404 so far."""
    service = ScriptedService()
    async with serving(service.behave, tls) as service.url:
        yield service


def http(status: int, body: JsonValue | bytes = None, **headers: str) -> bytes:
    """Return a whole HTTP answer; `_` in a header's name is `-`."""
    content = body if isinstance(body, bytes) else b""
    if body is not None and not isinstance(body, bytes):
        content = json.dumps(body).encode()
        headers.setdefault("Content_Type", "application/json")
    head = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(content)}"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*head, "", ""]).encode() + content


def _parse(request: bytes) -> Asked:
    head, _, content = request.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    pairs = (field.partition(": ") for field in fields)
    headers = {name.lower(): value for name, _, value in pairs}
    return Asked(line.removesuffix(" HTTP/1.1"), headers, content)
