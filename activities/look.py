"""Find out what became of a change whose answer was lost (D4, contracts.md 3)."""

import asyncio
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.errors import as_application_errors
from activities.evidence import can_tell, find_result, is_unchanged
from activities.heartbeat import heartbeating
from activities.other_resets import was_reset_since
from activities.submission import (
    NotSent,
    Submission,
    Unchanged,
    Unknown,
    keep_answer,
)
from activities.submission import recorded as recorded_submission
from taskfish.errors import PermanentError, TransientError
from taskfish.plugins.connection import Connection
from taskfish.plugins.connections import Connections
from taskfish.plugins.protocol import Accepted, Answered, Change
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import PluginTask
from taskfish.redfish.verdicts import failed_answer
from taskfish.store.journal import Journal, JournalEntry, JournalKey

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
_RESET_BY_ANOTHER = "another task has reset the machine since"
CLOCK_SKEW = timedelta(seconds=2)
"""How much earlier than our sending a source's task may seem to have started."""


class LookRequest(BaseModel):
    """A change that was sent, or may have been; `reason` is why nobody knows.

    `seconds` is how long after its sending the look goes on: until then the request
    may still be on its way; `at_least` how long from now, but neither longer than
    `deadline`. `task_is_lost` says that the
    source had accepted it and has forgotten its task since: then only the resource can
    tell.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    change: Change
    key: JournalKey
    reason: str
    seconds: float
    at_least: float = 0
    task_is_lost: bool = False
    deadline: datetime | None = None


class LookActivities:
    """The activity that looks, given what it needs by the composition root."""

    def __init__(self, connections: Connections, journal: Journal) -> None:
        self._connections = connections
        self._journal = journal

    @activity.defn
    async def look(self, request: LookRequest) -> Submission:
        """Say what became of the change; never sends it.

        A sending that had not begun is fenced off: it never will, so it is `NotSent`.
        """
        with as_application_errors(request.change.uri):
            async with heartbeating():
                return await self._find_out(request)

    async def _find_out(self, request: LookRequest) -> Submission:
        if await self._journal.fence(request.key, request.source):
            return _never_sent(request)
        entry = await self._journal.entry(request.key)
        assert entry is not None, "a row that could not be inserted is there"
        if entry.fenced:
            return _never_sent(request)
        if entry.answer is not None and not _must_look(request, entry):
            return recorded_submission(entry)
        return await self._look(request, entry)

    async def _look(self, request: LookRequest, entry: JournalEntry) -> Submission:
        """Look again and again until the request can no longer be on its way."""
        now = datetime.now(UTC)
        since = now if request.task_is_lost else entry.sent_at
        until = max(
            since + timedelta(seconds=request.seconds),
            now + timedelta(seconds=request.at_least),
        )
        until = min(until, request.deadline or until)
        pause = FIRST_PAUSE
        while True:
            found = await self._look_once(request, entry)
            last = datetime.now(UTC) >= until or isinstance(found, Unknown)
            if found is not None and not (isinstance(found, Unchanged) and not last):
                return found
            if last:
                return Unknown(reason=request.reason)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _look_once(
        self, request: LookRequest, entry: JournalEntry
    ) -> Submission | None:
        """Return what is seen now, None if it tells nothing (yet)."""
        change = request.change
        try:
            async with self._connections.open(request.source) as connection:
                can_list = connection.plugin.can_list_tasks and not request.task_is_lost
                if not can_list and not can_tell(change):
                    return Unknown(reason=request.reason)
                if can_list:
                    task = await self._find_task(connection, request, entry)
                    if task is not None:
                        return task
                result = await find_result(connection, change, entry.before)
                if result is not None and await self._may_be_anothers(request, entry):
                    return Unknown(reason=f"{request.reason}; and {_RESET_BY_ANOTHER}")
                if result is not None:
                    return await self._keep(request, entry, result)
                if not request.task_is_lost and await is_unchanged(
                    connection, change, entry.before
                ):
                    return Unchanged(before=entry.before)
        except TransientError:
            return None
        except PermanentError as error:
            return Unknown(reason=f"{request.reason}; and {error}")
        return None

    async def _find_task(
        self, connection: Connection, request: LookRequest, entry: JournalEntry
    ) -> Accepted | None:
        """Find the one task that the source made for this change, by its Payload."""
        found: list[Accepted] = []
        async for listed in connection.list_tasks():
            started = listed.report.started
            if (listed.method, listed.target) != (
                request.change.method,
                request.change.uri,
            ):
                continue
            if not _began_with(entry, started):
                continue
            if not await self._is_another_ones(request.source, listed.task, started):
                found.append(Accepted(task=listed.task, report=listed.report))
        if len(found) != 1 or await self._may_be_claimed(request, entry):
            return None
        await keep_answer(self._journal, request.key, found[0])
        return found[0]

    async def _may_be_claimed(self, request: LookRequest, entry: JournalEntry) -> bool:
        """Say whether the answer to another sending is still to come: a task that
        nobody follows may be that one's, and is looked at again.
        """
        since = entry.sent_at - CLOCK_SKEW
        others = await self._journal.others_since(request.key, request.source, since)
        return any(each.answer is None for each in others)

    async def _is_another_ones(
        self, source: str, task: PluginTask, started: datetime | None
    ) -> bool:
        for uri in (task.monitor, task.task):
            if uri and await self._journal.follows(source, uri, started):
                return True
        return False

    async def _may_be_anothers(self, request: LookRequest, entry: JournalEntry) -> bool:
        """Say whether what is seen may come from another task's reset of the system."""
        before = entry.before if isinstance(entry.before, dict) else {}
        return await was_reset_since(self._journal, request.key, request.source, before)

    async def _keep(
        self, request: LookRequest, entry: JournalEntry, answered: Answered
    ) -> Submission | None:
        """Journal what was found, unless another sending has found the same."""
        created = answered.answer.header("Location")
        since = entry.sent_at - CLOCK_SKEW
        if created and await self._journal.created(request.source, created, since):
            return None
        await keep_answer(self._journal, request.key, answered, is_found=True)
        return answered


def _began_with(entry: JournalEntry, started: datetime | None) -> bool:
    """Say whether a task may have been made by this sending: neither older nor newer
    than a source whose clock is right could say.
    """
    if started is None:
        return False
    return entry.sent_at - CLOCK_SKEW <= started <= datetime.now(UTC) + CLOCK_SKEW


def _must_look(request: LookRequest, entry: JournalEntry) -> bool:
    """Say whether the source accepted the change and its task cannot be followed."""
    submission = recorded_submission(entry)
    if not isinstance(submission, Accepted):
        return False
    return request.task_is_lost or not submission.task.uri


def _never_sent(request: LookRequest) -> NotSent:
    reason = f"it was not sent: {request.reason}"
    message = base_message("OperationFailed", text=f"The change was not made; {reason}")
    return NotSent(reason=reason, answer=failed_answer(message))
