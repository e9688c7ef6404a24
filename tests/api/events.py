"""What the tests of events share: the log's end, subscriptions, streams of a server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
from sqlalchemy import delete

from taskfish.redfish.events import Event, LoggedEvent
from taskfish.store.event_log import EventLog
from taskfish.store.tables import service, subscriptions
from tests.house import PASSWORD, USER, House

SERVICE = "/redfish/v1/EventService"
SUBSCRIPTIONS = f"{SERVICE}/Subscriptions"
STREAM = f"{SERVICE}/SSE"
SUBMIT = f"{SERVICE}/Actions/EventService.SubmitTestEvent"
TEST = f"{SERVICE}/Actions/EventService.TestEventSubscription"
DESTINATION = "https://listener.example.com:8443/events"
SOON = 5.0


class Sent(NamedTuple):
    """What came on a stream: an event with its id, or the text of a comment."""

    id: str | None
    data: dict[str, Any] | None
    comment: str | None = None


class Reader:
    """A client of a stream that reads what comes."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.unread: list[str] = []
        self._lines = answer.aiter_lines()

    async def next(self, seconds: float = SOON) -> Sent:
        """Return the next event or comment; raise StopAsyncIteration at the end."""
        async with asyncio.timeout(seconds):
            fields: dict[str, str] = {}
            while line := await anext(self._lines):
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        data = json.loads(fields["data"]) if "data" in fields else None
        return Sent(fields.get("id"), data, fields.get(""))

    async def event(self, seconds: float = SOON) -> dict[str, Any]:
        """Return the record of the next event, whatever comments come before."""
        while (sent := await self.next(seconds)).data is None:
            pass
        (record,) = sent.data["Events"]
        found: dict[str, Any] = record
        assert sent.data["Id"] == found["EventId"]
        assert sent.id == found["EventId"] or found["EventId"].startswith("lost-")
        return found

    async def key(self) -> str:
        """Return the next event's message, without registry and version."""
        return str((await self.event())["MessageId"]).rpartition(".")[2]

    async def until_end(self, seconds: float = SOON) -> None:
        """Read on until the server ends the stream; keep what is data."""
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                self.unread += [line] if line.startswith("data") else []


@asynccontextmanager
async def reading(url: str, **options: Any) -> AsyncIterator[Reader]:
    """Open a stream of a server and read that it is open."""
    options.setdefault("auth", (USER, PASSWORD))
    async with (
        httpx.AsyncClient(base_url=url, timeout=SOON * 4, trust_env=False) as client,
        client.stream("GET", STREAM, **options) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        reader = Reader(answer)
        assert (await reader.next()).comment == "the stream is open"
        yield reader


async def newest_events(house: House, since: int) -> list[LoggedEvent]:
    """Return what was appended to the log behind a position."""
    return await EventLog(house.store).after(since)


async def newest(house: House) -> int:
    """Return how far the log goes."""
    return await EventLog(house.store).newest()


async def append(house: House, *events: Event) -> None:
    """Append events as the worker does."""
    await EventLog(house.store).append(*events)


async def forget_subscriptions(house: House) -> None:
    """Remove all subscriptions, and put the EventService back."""
    async with house.store.write() as connection:
        await connection.execute(delete(subscriptions))
        row = service.c.name == "event_service"
        await connection.execute(delete(service).where(row))


def subscription(**more: Any) -> dict[str, Any]:
    """Return the body of a new subscription."""
    return {"Destination": DESTINATION, "Protocol": "Redfish", **more}
