"""What waits for a client ends with it, and with the wait."""

import asyncio

import pytest
from fastapi import Request
from starlette.types import Message

from api.disconnection import unless_gone

BODY: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


def a_request(*messages: Message) -> Request:
    """Return a request that gets these messages, and then none any more."""
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return Request({"type": "http", "method": "GET", "headers": []}, receive)


class Work:
    """Something that takes for ever, and knows whether it was ended."""

    ended = False

    async def do(self) -> str:
        """Wait until somebody ends it."""
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True
        return "done"


async def test_result_comes_back_while_the_client_is_there() -> None:
    assert await unless_gone(a_request(BODY), asyncio.sleep(0, "done")) == "done"


async def test_work_ends_with_the_client() -> None:
    work = Work()
    assert await unless_gone(a_request(BODY, GONE), work.do()) is None
    assert work.ended


async def test_work_ends_with_the_wait() -> None:
    work = Work()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await unless_gone(a_request(BODY), work.do())
    assert work.ended


async def test_error_of_the_work_comes_through() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await unless_gone(a_request(BODY), fail())
