"""Wake who waits for a source's task when the source has spoken of it (D5)."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from taskfish.redfish.source_events import task_name
from taskfish.redfish.task import PluginTask
from taskfish.store.tail import Tail
from taskfish.store.task_news import TaskNews

LOOK_AT_LEAST = 60.0
"""How long rows are waited for before the loop sees whether anybody still waits."""
AFTER_A_FAULT = 1.0
MOST_AT_ONCE = 1000

logger = logging.getLogger(__name__)


class Listening:
    """One wait for news of a task: of one source, or of the plugin before it too."""

    def __init__(self, task: PluginTask) -> None:
        self.names = {task_name(uri) for uri in (task.monitor, task.task) if uri}
        self.sources: set[str] = set()
        self._heard = asyncio.Event()

    def listen_to(self, *sources: str | None) -> None:
        """Also hear what these say of the task; None is nobody."""
        self.sources.update(source for source in sources if source)

    def begin(self) -> None:
        """Forget what was heard so far: the task is asked for now."""
        self._heard.clear()

    def tell(self) -> None:
        """End the wait."""
        self._heard.set()

    async def heard(self, seconds: float) -> bool:
        """Wait for news for so many seconds at most; say whether there was any."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        return self._heard.is_set()


class Overhearing:
    """What one source says of tasks that nobody waits for here."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._heard = asyncio.Event()

    def tell(self, name: str) -> None:
        """End the wait."""
        self._names.add(name)
        self._heard.set()

    async def heard(self, seconds: float) -> set[str]:
        """Wait for so many seconds at most; return which tasks were named meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        self._heard.clear()
        names, self._names = self._names, set()
        return names


class NewsDesk:
    """One loop a process that reads the news and wakes those whom they are about.

    What is told before anybody listens is not kept here: who begins to listen asks the
    source first.
    """

    def __init__(self, news: TaskNews) -> None:
        self._news = news
        self._tail = Tail(self._read_on)
        self._waiting: defaultdict[str, set[Listening]] = defaultdict(set)
        self._overhearing: defaultdict[str, set[Overhearing]] = defaultdict(set)
        self._position = 0
        self._reading: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, task: PluginTask) -> Iterator[Listening]:
        """Give what waits for news of a task, while the block runs."""
        listening = Listening(task)
        for name in listening.names:
            self._waiting[name].add(listening)
        self._begin_to_read()
        try:
            yield listening
        finally:
            self._forget(listening)

    @contextmanager
    def overhearing(self, source: str) -> Iterator[Overhearing]:
        """Give what hears of a source's tasks that nobody here listens for."""
        overhearing = Overhearing()
        self._overhearing[source].add(overhearing)
        self._begin_to_read()
        try:
            yield overhearing
        finally:
            self._overhearing[source].discard(overhearing)
            if not self._overhearing[source]:
                del self._overhearing[source]

    async def close(self) -> None:
        """End the loop."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        await self._tail.close()

    def _forget(self, listening: Listening) -> None:
        for name in listening.names:
            self._waiting[name].discard(listening)
            if not self._waiting[name]:
                del self._waiting[name]

    def _begin_to_read(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())

    @property
    def _is_needed(self) -> bool:
        """Whether anybody listens."""
        return bool(self._waiting or self._overhearing)

    async def _read(self) -> None:
        while self._is_needed:
            try:
                async with self._news.hints(self._tail.look_now):
                    while self._is_needed:
                        await self._tail.beyond(self._position, LOOK_AT_LEAST)
            except Exception as error:  # whatever it is, the next look may do
                logger.warning("the news of sources are not read: %r", error)
                await asyncio.sleep(AFTER_A_FAULT)

    async def _read_on(self) -> int:
        """Wake those whom the next rows are about; return how far was read."""
        for row in await self._news.after(self._position, MOST_AT_ONCE):
            self._position = row.position
            self._tell(row.source, row.name)
        return self._position

    def _tell(self, source: str, name: str) -> None:
        waiting = self._waiting.get(name, ())
        its = [listening for listening in waiting if source in listening.sources]
        for listening in its:
            listening.tell()
        if not its:
            for overhearing in self._overhearing.get(source, ()):
                overhearing.tell(name)
