"""A thousand open streams on one process: each gets everything, and all end at once."""

import asyncio
import json
from datetime import UTC, datetime

from taskfish.redfish.events import resource_created
from tests.api.answers import members
from tests.api.events import (
    STREAM,
    SUBSCRIPTIONS,
    append,
    forget_subscriptions,
)
from tests.api.sessions import token_of
from tests.house import PASSWORD, USER, House
from tests.serving import api

MANY, EVENTS, AT_ONCE = 1000, 5, 50


class Listener:
    """A client of a stream, over a bare connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    async def positions(self, number: int) -> list[int]:
        """Return the positions of the next events."""
        found: list[int] = []
        while len(found) < number:
            line = await self._reader.readline()
            if line.startswith(b"data: "):
                found.append(int(json.loads(line[6:])["Id"]))
        return found

    async def until_end(self) -> None:
        """Read until the server closes the connection."""
        await self._reader.read()
        self._writer.close()


async def listening(port: int, token: str, turn: asyncio.Semaphore) -> Listener:
    """Open a stream, and read that it is open."""
    async with turn:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n"
        writer.write(head.encode())
        status = await reader.readline()
        assert status.split()[1] == b"200", status
        await reader.readuntil(b": the stream is open")
    return Listener(reader, writer)


async def test_each_of_a_thousand_streams_gets_each_event(house: House) -> None:
    await forget_subscriptions(house)
    token = (await token_of(house.client, (USER, PASSWORD)))["X-Auth-Token"]
    turn = asyncio.Semaphore(AT_ONCE)
    async with api(house) as one, asyncio.timeout(90):
        port = one.server.servers[0].sockets[0].getsockname()[1]
        opened = await asyncio.gather(
            *(listening(port, token, turn) for _ in range(MANY))
        )
        assert len(members(await house.client.get(SUBSCRIPTIONS))) == MANY
        waiting = [asyncio.create_task(each.positions(EVENTS)) for each in opened]
        for each in range(EVENTS):
            uri = f"/redfish/v1/Systems/node1.1/Storage/1/Volumes/{each}"
            await append(house, resource_created(uri, at=datetime.now(UTC)))
        got = await asyncio.gather(*waiting)
        assert len({tuple(each) for each in got}) == 1
        async with asyncio.timeout(4):
            await one.stop()
        await asyncio.gather(*(each.until_end() for each in opened))
    assert members(await house.client.get(SUBSCRIPTIONS)) == []
