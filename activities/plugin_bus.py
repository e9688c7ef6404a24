"""Reads the task events of ODIM plugins from Kafka (southbound.md A6 and B2.3).

They say no more than those that are posted to the API: when to ask for a task. An
offset is committed once its news are in the store, so that none is lost with a worker.
"""

import asyncio
import importlib.util
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import JsonValue

from taskfish.errors import ConfigurationError, StoreUnavailableError
from taskfish.redfish.source_events import decoded, named_tasks, opened
from taskfish.redfish.sources import ConnectionMethod, Source
from taskfish.settings import Settings
from taskfish.store.sources import Sources
from taskfish.store.task_news import TaskNews

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two tries to reach a broker."""
MOST_AT_ONCE = 200
WAIT_MS = 1000
OLD_SECONDS = 600.0
"""After which nobody waits for what an event told: a new group begins at the oldest."""

logger = logging.getLogger(__name__)


class PluginBus:
    """The consumer of one worker process, in the group of all of them."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        news: TaskNews,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        """Connect to nothing yet; raise ConfigurationError without the library."""
        if importlib.util.find_spec("aiokafka") is None:
            raise ConfigurationError(
                "TASKFISH_KAFKA_BROKERS is set, and aiokafka is not installed:"
                " install taskfish[kafka]"
            )
        self._settings = settings
        self._sources = sources
        self._news = news
        self._first_pause = first_pause

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read while the block runs."""
        reading = asyncio.create_task(self.run())
        try:
            yield
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def run(self) -> None:
        """Read for ever; after any fault it is tried again, ever more slowly."""
        pause = self._first_pause
        while True:
            try:
                async with self._connected() as consumer:
                    while True:
                        await self._read(consumer)
                        pause = self._first_pause
            except Exception as error:
                logger.warning("the plugins' bus is not read: %s", _words(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator["AIOKafkaConsumer"]:
        """Give a consumer that has joined its group."""
        from aiokafka.errors import KafkaError

        consumer = self._consumer()
        try:
            await consumer.start()
            yield consumer
        finally:
            with suppress(KafkaError):
                await consumer.stop()

    def _consumer(self) -> "AIOKafkaConsumer":
        from aiokafka import AIOKafkaConsumer

        settings = self._settings
        password = settings.kafka_password
        return AIOKafkaConsumer(
            *_listed(settings.kafka_topics),
            bootstrap_servers=_listed(settings.kafka_brokers),
            group_id=settings.kafka_group,
            client_id="taskfish",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            security_protocol=settings.kafka_security_protocol,
            ssl_context=self._tls(),
            sasl_mechanism=settings.kafka_sasl_mechanism,
            sasl_plain_username=settings.kafka_username,
            sasl_plain_password=password.get_secret_value() if password else None,
        )

    def _tls(self) -> ssl.SSLContext | None:
        if "SSL" not in self._settings.kafka_security_protocol.split("_"):
            return None
        return ssl.create_default_context(cafile=self._settings.kafka_ca)

    async def _read(self, consumer: "AIOKafkaConsumer") -> None:
        """Take some messages, keep their news, and only then commit them."""
        found = await consumer.getmany(timeout_ms=WAIT_MS, max_records=MOST_AT_ONCE)
        messages = [message for part in found.values() for message in part]
        if not messages:
            return
        await self._keep(messages)
        await consumer.commit()

    async def _keep(self, messages: Iterable["ConsumerRecord[Any, Any]"]) -> None:
        """Keep the news of all messages, but of those that fail alone too."""
        read = [each for message in messages if (each := _read(message)) is not None]
        if await self._is_kept(read):
            return
        for each in read:
            if not await self._is_kept([each]):
                logger.warning("the news of one message are skipped")

    async def _is_kept(self, read: Iterable[tuple[str, tuple[str, ...]]]) -> bool:
        """Keep news in the store, however long that is away; False if it fails."""
        while True:
            try:
                await self._tell(read)
                return True
            except StoreUnavailableError as error:
                logger.warning("the plugins' news are not kept: %s", error)
                await asyncio.sleep(self._first_pause)
            except Exception as error:
                logger.warning("the plugins' news are not kept: %s", _words(error))
                return False

    async def _tell(self, read: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """Tell what was read, an address and names each, for the plugin it is of."""
        known = [record.source for record in await self._sources.ready()]
        told: dict[str, list[str]] = {}
        for address, names in read:
            for plugin in plugins_at(address, known):
                told.setdefault(plugin, []).extend(names)
        for plugin, its in told.items():
            await self._news.tell(plugin, its)


def plugins_at(address: str, known: Iterable[Source]) -> set[str]:
    """Return the ODIM plugins that an event from an address may be of.

    The address may be the plugin's, one of its instances' or a BMC's behind it; one
    that is nobody's may be any plugin's.
    """
    sources = [each for each in known if each.method is ConnectionMethod.ODIM]
    found = {
        each.options.plugin or each.id for each in sources if _is_at(each, address)
    }
    return found or {each.id for each in sources if each.options.plugin is None}


def _is_at(source: Source, address: str) -> bool:
    host = urlsplit(source.base_url).hostname
    return bool(address) and address in (host, *source.options.instances)


def _read(message: "ConsumerRecord[Any, Any]") -> tuple[str, tuple[str, ...]] | None:
    """Return address and names of a message, None for an old or an unreadable one.

    What is in it is not logged: it may hold a final answer.
    """
    if message.timestamp / 1000 < time.time() - OLD_SECONDS:
        return None
    try:
        payload = decoded(message.value or b"")
        return _address(payload.get("ip")), named_tasks(opened(payload))
    except ValueError as error:
        place = f"{message.topic}/{message.partition}/{message.offset}"
        logger.warning("the message %s is skipped: %s", place, type(error).__name__)
        return None


def _words(error: Exception) -> str:
    """Name a fault; its text only if it is of the connection, not of a message."""
    from aiokafka.errors import KafkaError

    is_of_connection = isinstance(error, KafkaError | OSError)
    return str(error) if is_of_connection else type(error).__name__


def _address(ip: JsonValue) -> str:
    """Return the address in an envelope, without a port."""
    return (urlsplit(f"//{ip}").hostname or "") if isinstance(ip, str) else ""


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
