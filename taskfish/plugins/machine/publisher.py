"""Tells subscribers of a machine's tasks, in whatever way the modes have it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count, product

from taskfish.plugins.machine.answers import Body, no_such, refused
from taskfish.plugins.machine.deliveries import Deliveries
from taskfish.plugins.machine.jobs import Job, Timeline
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.machine.resources import timestamp
from taskfish.plugins.machine.services import TASKS
from taskfish.plugins.machine.subscriptions import (
    MOST,
    Subscription,
    parse_subscription,
)
from taskfish.plugins.machine.task_events import TaskEvent, TaskWatch
from taskfish.redfish.messages import base_message, task_message
from taskfish.redfish.schema import SCHEMA

LONGEST_NAP = 0.1
Record = Callable[[TaskEvent], Body | None]
"""Writes an event as a protocol has it, None for one that it cannot name."""


class Publisher:
    """The subscriptions of one machine. It looks at the tasks while there are any."""

    def __init__(
        self,
        timeline: Timeline,
        modes: Callable[[], Modes],
        clock: Callable[[], float],
    ) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self._timeline = timeline
        self._modes = modes
        self._clock = clock
        self._watch = TaskWatch(clock)
        self._lines: dict[str, tuple[Record, Deliveries]] = {}
        self._held: defaultdict[Job, list[TaskEvent]] = defaultdict(list)
        self._numbers, self._event_ids = count(1), count(1)
        self._looking: asyncio.Task[None] | None = None

    def subscribe(self, body: Body, record: Record) -> Subscription:
        """Keep a subscription, whose events are written so; a refusal if it is none."""
        if len(self.subscriptions) >= MOST:
            raise refused(base_message("EventSubscriptionLimitExceeded"))
        subscription = parse_subscription(str(next(self._numbers)), body)
        if not self.subscriptions:
            self._watch.skip(self._timeline.jobs.values())
        self.subscriptions[subscription.id] = subscription
        line = Deliveries(subscription.destination, subscription.headers)
        self._lines[subscription.id] = (record, line)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on())
        return subscription

    def unsubscribe(self, uri: str) -> None:
        """Drop a subscription; a refusal if there is none."""
        number = uri.rpartition("/")[2]
        if self.subscriptions.pop(number, None) is None:
            raise no_such(uri)
        self._lines.pop(number)[1].cancel()

    def forget(self) -> None:
        """Drop all subscriptions, as a reset to the factory's settings does."""
        for _, line in self._lines.values():
            line.cancel()
        self._lines.clear()
        self.subscriptions.clear()

    def look(self) -> None:
        """Tell what has happened since the last look."""
        self._timeline.advance()
        for event in self._watch.news(self._timeline.jobs.values()):
            self._tell(event)

    async def tell_early(self) -> None:
        """In the mode `early`: tell before the change is answered."""
        if self.subscriptions and self._modes().events == "early":
            self.look()
            for _, line in self._lines.values():
                await line.sent()

    async def aclose(self) -> None:
        """Send nothing any more."""
        lines = [line for _, line in self._lines.values()]
        self.forget()
        for line in lines:
            await line.aclose()
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking

    async def _look_on(self) -> None:
        while self.subscriptions:
            self.look()
            until = self._timeline.next_event() - self._clock()
            await asyncio.sleep(max(0.001, min(LONGEST_NAP, until)))
        self._looking = None

    def _tell(self, event: TaskEvent) -> None:
        """Send an event once, twice, not at all, or later with those before it."""
        match self._modes().events:
            case "lost":
                return
            case "duplicated":
                self._send(event, event)
            case "unordered":
                self._held[event.job].append(event)
                if event.is_end:
                    self._send(*reversed(self._held.pop(event.job)))
            case _:
                self._send(event)

    def _send(self, *events: TaskEvent) -> None:
        delay = self._modes().event_delay
        for event, (number, (record, line)) in product(events, self._lines.items()):
            written = record(event)
            if written is not None:
                context = self.subscriptions[number].context
                line.put(self._payload(written, context), delay)

    def _payload(self, record: Body, context: str) -> Body:
        number = str(next(self._event_ids))
        moment = timestamp(datetime.now(UTC))
        return {
            "@odata.type": SCHEMA.odata_type("Event"),
            "Id": number,
            "Name": "Task Event",
            "Context": context,
            "Events": [{"EventId": number, "EventTimestamp": moment, **record}],
        }


def redfish_record(event: TaskEvent) -> Body:
    """Return Event.EventRecord (v1.13) as a Redfish BMC writes it."""
    percent = [str(event.percent)] if event.key == "TaskProgressChanged" else []
    message = task_message(event.key, event.job.id, *percent)
    return {
        "EventType": "StatusChange",
        "MemberId": "0",
        "MessageId": message.message_id,
        "Message": message.message,
        "MessageArgs": list(message.message_args),
        "MessageSeverity": message.severity,
        "OriginOfCondition": {"@odata.id": f"{TASKS}/{event.job.id}"},
    }
