"""What goes into the audit log: each change, a flood of the rest only as a number."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from urllib.parse import unquote

from api.audit_windows import Place, Window, Windows
from api.client_networks import network_of
from taskfish.errors import StoreUnavailableError
from taskfish.redfish.account_resources import ACCOUNTS
from taskfish.store.audit import AuditLog, AuditRecord

WINDOW = 600.0
"""How long a repeated refusal counts as the same, in seconds."""
MOST_PATHS, MOST_PEERS = 100, 200
"""How many windows are open at once before refusals are told apart by who asks only,
and before they are not told apart any more: nobody fills the log from outside."""
APART = 20
"""How many sessions an account begins or ends from one network within a window, each
with a record of its own."""
HOUR = 3600.0
"""How often Basic authentication, which comes with each request, is a login, and how
long one who reads decoded payloads is noted once."""
MOST_LOGINS = 1_000
"""How many accounts and networks are told apart: beyond, only accounts are."""
COUNT_AFTER = 1.0

logger = logging.getLogger(__name__)


class AuditTrail:
    """Writes the audit log. One object a process.

    A store that does not answer fails no request: what is missed goes to the log of
    the process, and the next like record is written anew.
    """

    def __init__(
        self, log: AuditLog, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._refusals = Windows(WINDOW, clock=clock)
        self._own = Windows(WINDOW, APART, clock)
        self._decodes = Windows(HOUR, clock=clock)
        self._logins = Windows(HOUR, clock=clock)
        self._uncounted: list[Window] = []
        self._counting: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def note(self, record: AuditRecord, *, started: bool = False) -> None:
        """Write a record, or only count it where the like came before.

        `started` says that the answer names a task that the request has started: such
        a record is always written, whatever came of it, and so is a change that was
        not refused. Only of one's own account they are counted when they are many.
        """
        if started:
            await self._write(record)
        elif record.status >= 400:
            await self._note_like(self._refusals, record, _refusal(record))
        elif record.event == "Decode":
            await self._note_like(self._decodes, record, _who(record))
        elif record.event != "Change" or _is_own_account(record):
            await self._note_like(self._own, record, _who(record))
        else:
            await self._write(record)

    async def note_login(self, record: AuditRecord) -> None:
        """Write a login by Basic authentication: once an hour by user and network."""
        window = self._logins.of(record, _who(record))
        if window.left > 0:
            await self._write_first(self._logins, window, record)

    async def close(self) -> None:
        """Write what is only counted yet."""
        self._closing.set()
        if self._counting is not None:
            await self._counting

    async def _note_like(
        self, windows: Windows, record: AuditRecord, places: list[Place]
    ) -> None:
        window = windows.of(record, places)
        if window.left > 0:
            await self._write_first(windows, window, record)
        else:
            self._count_soon(window)

    async def _write_first(
        self, windows: Windows, window: Window, record: AuditRecord
    ) -> None:
        """Write one of a window's own records; without it the window is of no use."""
        window.left -= 1
        number = None
        try:
            number = await self._write(record)
        finally:
            if number is None:
                windows.close(window)
            else:
                window.number = number
            window.tried.set()

    async def _write(self, record: AuditRecord) -> int | None:
        try:
            return await self._log.add(record)
        except StoreUnavailableError as error:
            logger.error("the audit log misses %s: %s", _facts(record), error)
            return None

    def _count_soon(self, window: Window) -> None:
        if window.uncounted == 0:
            self._uncounted.append(window)
        window.uncounted += 1
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count_later())

    async def _count_later(self) -> None:
        """Count until nothing is left: what comes meanwhile finds this task busy."""
        while self._uncounted:
            with suppress(TimeoutError):
                async with asyncio.timeout(COUNT_AFTER):
                    await self._closing.wait()
            await self._count()

    async def _count(self) -> None:
        for _ in range(len(self._uncounted)):
            window = self._uncounted[0]
            await window.tried.wait()
            self._uncounted.pop(0)
            times, window.uncounted = window.uncounted, 0
            try:
                await self._repeat(window, times)
            except StoreUnavailableError as error:
                facts = _facts(window.record)
                logger.error("the audit log misses %d like %s: %s", times, facts, error)

    async def _repeat(self, window: Window, times: int) -> None:
        """Count in the window's record; raise `StoreUnavailableError` without one."""
        if window.number is None:
            raise StoreUnavailableError("the first of them was not written")
        await self._log.repeat(window.number, times)


def _refusal(record: AuditRecord) -> list[Place]:
    """Return what tells refusals apart, as finely as there is room."""
    who = (record.event, _network(record), record.user or "")
    what = (record.method, unquote(record.path), str(record.status))
    return [((*who, *what), MOST_PATHS), (who, MOST_PEERS), ((record.event,), inf)]


def _who(record: AuditRecord) -> list[Place]:
    """Return what tells logins and the like apart: accounts, and networks if room."""
    who = (record.event, record.user or "")
    return [((*who, _network(record)), MOST_LOGINS), (who, inf)]


def _is_own_account(record: AuditRecord) -> bool:
    """Say whether a change is what every account may do: choose its own password."""
    own = f"{ACCOUNTS}/{record.user}"
    return record.method == "PATCH" and unquote(record.path) == own


def _network(record: AuditRecord) -> str:
    return network_of(record.address.partition("://")[2].strip("[]"))


def _facts(record: AuditRecord) -> str:
    return record.model_dump_json(exclude_none=True)
