"""Append to the event log: local activities, which cost a task hardly a thing (D9)."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.errors import as_application_errors
from taskfish.redfish.events import Event
from taskfish.redfish.limits import MAX_JOURNAL_BODY, cut
from taskfish.redfish.task import Outcome
from taskfish.redfish.task_events import TaskSubject
from taskfish.store.event_log import EventLog


class TaskEnd(BaseModel):
    """How a task has ended, and when."""

    model_config = ConfigDict(frozen=True)

    subject: TaskSubject
    outcome: Outcome
    at: datetime


class EventLogActivities:
    """The activities that append, given the log by the composition root."""

    def __init__(self, event_log: EventLog) -> None:
        self._event_log = event_log

    @activity.defn
    async def append_event(self, event: Event) -> None:
        """Append the event of a task's new state; harmless to repeat."""
        with as_application_errors(event.origin):
            await self._event_log.append(event)

    @activity.defn
    async def append_end(self, end: TaskEnd) -> Outcome | None:
        """Append the events of a task's end.

        Returns None, or the outcome that was appended before: a workflow task that
        could not be committed is run again, maybe with another one, and the log does
        not take back what subscribers were told. Its answer may be cut.
        """
        outcome = end.outcome
        short = cut(outcome.answer, MAX_JOURNAL_BODY)
        kept = outcome.model_copy(update={"answer": short})
        with as_application_errors(end.subject.uri):
            decided = await self._event_log.end(
                list(end.subject.ended(outcome, end.at)),
                kept.model_dump(mode="json", by_alias=True),
            )
        before = None if decided is None else Outcome.model_validate(decided)
        return None if before == kept else before
