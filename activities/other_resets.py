"""Other resets of a system by this gateway: what it shows may be theirs (D4).

A reset whose answer was lost is known by what its system shows. That tells nothing
where another task has reset the same system in the meantime.
"""

from datetime import UTC, datetime, timedelta

from activities.evidence import RESETS, SEEN_AT, Snapshot
from taskfish.store.journal import Journal, JournalEntry, JournalKey

A_RESET_AT_MOST = timedelta(minutes=30)
"""After which one whose end nobody has seen is not taken to be under way."""


async def is_reset_under_way(
    journal: Journal, key: JournalKey, source: str, system: str
) -> bool:
    """Say whether a reset of the system was sent, and its end is not known."""
    since = datetime.now(UTC) - A_RESET_AT_MOST
    others = await journal.others_since(key, source, since)
    return any(_resets(each, system) and not _has_ended(each) for each in others)


async def was_reset_since(
    journal: Journal, key: JournalKey, source: str, before: Snapshot
) -> bool:
    """Say whether another reset was sent after the snapshot; never if it is of none."""
    system, seen_at = before.get(RESETS), before.get(SEEN_AT)
    if not isinstance(system, str) or not isinstance(seen_at, str):
        return False
    since = datetime.fromisoformat(seen_at)
    others = await journal.others_since(key, source, since)
    return any(_resets(each, system) for each in others)


def _resets(entry: JournalEntry, system: str) -> bool:
    return isinstance(entry.before, dict) and entry.before.get(RESETS) == system


def _has_ended(entry: JournalEntry) -> bool:
    """Say whether its end was seen, or its source answered within the request."""
    answer = entry.answer if isinstance(entry.answer, dict) else {}
    return entry.final is not None or answer.get("kind") == "answered"
