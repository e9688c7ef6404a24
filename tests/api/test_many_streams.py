"""A thousand open streams on one process: each gets everything, and all end at once."""

import asyncio
import json
import uuid
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
VOLUMES = "/redfish/v1/Systems/node1.1/Storage/1/Volumes"


class Listener:
    """A client of a stream, over a bare connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    async def origins_until(self, last: str) -> list[str]:
        """Return what the next events are about, up to one that is about `last`."""
        found: list[str] = []
        while last not in found:
            line = await self._reader.readline()
            assert line, f"the stream ended behind {found}"
            found += _origin_in(line)
        return found

    async def origins_until_end(self) -> list[str]:
        """Return what all events are about until the server closes the connection."""
        lines = (await self._reader.read()).splitlines()
        self._writer.close()
        return [origin for line in lines for origin in _origin_in(line)]


def _origin_in(line: bytes) -> list[str]:
    """Return what the event of a line is about; nothing of a line without one."""
    if not line.startswith(b"data: "):
        return []
    (record,) = json.loads(line[6:])["Events"]
    return [record["OriginOfCondition"]["@odata.id"]]


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
        # What the tasks of other tests still tell may come between.
        own = [f"{VOLUMES}/{uuid.uuid4()}" for _ in range(EVENTS)]
        waiting = [asyncio.create_task(each.origins_until(own[-1])) for each in opened]
        for uri in own:
            await append(house, resource_created(uri, at=datetime.now(UTC)))
        got = await asyncio.gather(*waiting)
        async with asyncio.timeout(4):
            await one.stop()
        rest = await asyncio.gather(*(each.origins_until_end() for each in opened))
        for first, further in zip(got, rest, strict=True):
            assert [uri for uri in first + further if uri in own] == own
    assert members(await house.client.get(SUBSCRIPTIONS)) == []
