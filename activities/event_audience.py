"""Who may have which events: only who is there, in owner-only mode only the own."""

import asyncio
import time
from collections.abc import Sequence

from taskfish.redfish.events import Event, LoggedEvent
from taskfish.redfish.privileges import CONFIGURE_MANAGER, ROLES
from taskfish.settings import Settings
from taskfish.store.accounts import Accounts

FRESH_SECONDS = 1.0
"""How old what is told of owners may be."""


class Owners:
    """Which accounts are there and enabled, as one process has last read them."""

    def __init__(self, accounts: Accounts, settings: Settings) -> None:
        self._accounts = accounts
        self._administrator = settings.admin_username
        self._enabled: frozenset[str] = frozenset()
        self._read_at = -FRESH_SECONDS
        self._reading = asyncio.Lock()

    async def has(self, name: str) -> bool:
        """Say whether an account is there and enabled; that of the settings always is.

        Raises StoreUnavailableError.
        """
        if name == self._administrator:
            return True
        async with self._reading:
            now = time.monotonic()
            if now - self._read_at >= FRESH_SECONDS:
                self._enabled = await self._accounts.enabled()
                self._read_at = now
        return name in self._enabled


async def readable(
    events: Sequence[LoggedEvent],
    reader: str,
    accounts: Accounts,
    settings: Settings,
) -> list[LoggedEvent]:
    """Return those of some events that an account may have (contracts.md 7).

    What it may is asked now, not remembered: roles change. Raises
    StoreUnavailableError.
    """
    if not settings.owner_only:
        return list(events)
    own = [each for each in events if not _is_of_another(each.event, reader)]
    if len(own) < len(events) and await _may_have_all(reader, accounts, settings):
        return list(events)
    return own


def _is_of_another(event: Event, reader: str) -> bool:
    """Say whether an event tells of somebody else's task, or of nobody's."""
    is_of_a_task = event.task is not None or event.owner is not None
    return is_of_a_task and event.owner != reader


async def _may_have_all(reader: str, accounts: Accounts, settings: Settings) -> bool:
    if reader == settings.admin_username:
        return True
    account = await accounts.get(reader)
    if account is None or not account.enabled:
        return False
    return CONFIGURE_MANAGER in ROLES[account.role]
