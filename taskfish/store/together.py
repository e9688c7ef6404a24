"""Make one transaction of what many ask for at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from taskfish.store.database import steady

Asked = TypeVar("Asked")


class Together(Generic[Asked]):
    """Does what is asked for while it is busy in one go, as soon as it is free.

    `do` gets it in the order in which it was asked for.
    """

    def __init__(self, do: Callable[[Sequence[Asked]], Awaitable[None]]) -> None:
        self._do = do
        self._waiting: list[tuple[Asked, asyncio.Future[None]]] = []
        self._doing = asyncio.Lock()

    async def ask(self, asked: Asked) -> None:
        """Have it done, and wait for that; raise what doing it raises.

        The cancel of one who asks does not break off what others have asked for; what
        is not begun by then is not done.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, done))
        try:
            async with self._doing:
                batch, self._waiting = self._waiting, []
                if batch:
                    await steady(self._do_all(batch))
        except asyncio.CancelledError:
            self._waiting = [each for each in self._waiting if each[1] is not done]
            raise
        await done

    async def _do_all(
        self, batch: Sequence[tuple[Asked, asyncio.Future[None]]]
    ) -> None:
        """Do what several ask for, and tell each of them what came of it."""
        failure: Exception | None = None
        try:
            await self._do([asked for asked, _ in batch])
        except Exception as error:  # whatever it is, nobody may wait for good
            failure = error
        for _, done in batch:
            if done.cancelled():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)
