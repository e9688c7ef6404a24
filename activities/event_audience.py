"""Whose events a reader may have: in owner-only mode not those of others' tasks."""

from collections.abc import Sequence

from taskfish.redfish.events import Event, LoggedEvent
from taskfish.redfish.privileges import CONFIGURE_MANAGER, ROLES
from taskfish.settings import Settings
from taskfish.store.accounts import Accounts


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
