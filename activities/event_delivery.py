"""Deliver the log to one subscriber (D9): in order, at least once, as its policy says.

One activity a subscription, which shares nothing with another but the reading of the
log: a subscriber that is down delays none.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from activities.delivery_retries import pause_after, verdict_on
from activities.errors import as_application_errors
from activities.event_audience import Owners, readable
from activities.event_posting import DeliveryFailedError, Subscriber, shown
from activities.finishing import finish
from activities.heartbeat import heartbeating
from taskfish.errors import TaskfishError
from taskfish.redfish.event_batches import batch_of
from taskfish.redfish.events import (
    LoggedEvent,
    events_were_lost,
    heartbeat,
    resource_removed,
    subscription_terminated,
    subscription_uri,
    written,
)
from taskfish.settings import Settings
from taskfish.store.accounts import Accounts
from taskfish.store.event_log import EventLog
from taskfish.store.log_end import LogEnd
from taskfish.store.subscription_revisions import SubscriptionRevisions
from taskfish.store.subscriptions import Subscription, Subscriptions

A_LOOK = 1.0
"""After how many seconds at most a waiting delivery looks whether it has changed."""
READ_AT_ONCE = 500
SKIPPED_KEPT_EVERY = 5.0
"""Seconds between two writes of a cursor that only passes what nobody asked for."""
LAST_POST_AT_MOST = 2.0
"""How long the stop of a worker waits for an answer: without it events go twice."""
MINUTE = 60.0


class Delivery(BaseModel):
    """What a delivery has come to: its heartbeat, which the Web UI shows.

    Everything up to `cursor` has been delivered, or was not asked for; `delivered`
    counts events. `failures` are those in a row, `error` the last of them and
    `failed_at` its time; before `retry_at` the subscriber is left alone. `revision` is
    the subscription's, `heartbeat_due` when the next heartbeat is to be sent.
    """

    model_config = ConfigDict(frozen=True)

    destination: str = ""
    status: str = "begins"
    cursor: int = 0
    delivered: int = 0
    failures: int = 0
    error: str | None = None
    failed_at: datetime | None = None
    retry_at: datetime | None = None
    heartbeat_due: datetime | None = None
    revision: int = 0


class DeliveryActivities:
    """The activity of each subscription, given what it needs by the composition root.

    `is_enabled` says whether the EventService is; `minute` is how many seconds the
    minutes of heartbeats have.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        event_log: EventLog,
        log_end: LogEnd,
        accounts: Accounts,
        settings: Settings,
        is_enabled: Callable[[], Awaitable[bool]],
        *,
        minute: float = MINUTE,
    ) -> None:
        self.subscriptions = subscriptions
        self.event_log = event_log
        self.log_end = log_end
        self.revisions = SubscriptionRevisions(subscriptions)
        self.accounts = accounts
        self.owners = Owners(accounts, settings)
        self.settings = settings
        self.is_enabled = is_enabled
        self.minute = minute

    @activity.defn
    async def destination_of(self, subscription_id: str) -> str | None:
        """Return where a subscription's events go, None if it is not there."""
        with as_application_errors(subscription_uri(subscription_id)):
            found = await self.subscriptions.get(subscription_id)
        return shown(found.destination) if found is not None else None

    @activity.defn
    async def deliver_events(self, subscription_id: str) -> None:
        """Deliver until the subscription is removed; no fault ends this.

        The cursor is the subscription's own, in its row; the rest goes on from the
        heartbeat of the attempt before.
        """
        delivering = _Delivering(self, subscription_id)
        try:
            async with heartbeating(lambda: delivering.seen):
                await delivering.until_removed()
        finally:
            await delivering.aclose()


class _Delivering:
    """One delivery: the subscription as it was last read, and what has come of it."""

    def __init__(self, activities: DeliveryActivities, subscription_id: str) -> None:
        self._activities = activities
        self._id = subscription_id
        self._subscription: Subscription | None = None
        self._subscriber: Subscriber | None = None
        self._ahead: list[LoggedEvent] = []
        self._kept_cursor = 0
        self._kept_at = time.monotonic()
        details = activity.info().heartbeat_details
        self.seen = Delivery.model_validate(details[0]) if details else Delivery()

    async def aclose(self) -> None:
        """Close the connections to the subscriber."""
        if self._subscriber is not None:
            await self._subscriber.aclose()

    async def until_removed(self) -> None:
        """Deliver what comes; a store that is out of reach is waited for."""
        while True:
            if activity.is_cancelled() or activity.is_worker_shutdown():
                raise asyncio.CancelledError
            told = self.seen
            try:
                subscription = await self._current()
                if subscription is None:
                    return
                await self._go_on(subscription)
            except TaskfishError as error:
                self._note(status="waits for the store", error=str(error))
                await asyncio.sleep(A_LOOK)
            if (self.seen.status, self.seen.failures) != (told.status, told.failures):
                activity.heartbeat(self.seen)

    async def _current(self) -> Subscription | None:
        """Return the subscription as it is now, None if it has been removed."""
        known = self._subscription
        if known is not None:
            newest = await self._activities.revisions.of(self._id)
            if newest == known.revision:
                return known
        found = await self._activities.subscriptions.get(self._id)
        if found is not None:
            await self._take(found)
        return found

    async def _take(self, found: Subscription) -> None:
        """Go on with a changed subscription: what had failed may be mended."""
        self._subscription = found
        self._ahead, self._kept_cursor = [], found.cursor
        await self.aclose()
        self._subscriber = Subscriber(
            self._activities.settings, found.verify_certificate
        )
        if found.revision != self.seen.revision:
            self._note(failures=0, retry_at=None, heartbeat_due=None)
        self._note(
            cursor=found.cursor,
            revision=found.revision,
            destination=shown(found.destination),
        )

    async def _go_on(self, subscription: Subscription) -> None:
        """Deliver the next events, or wait a moment for what is to be waited for."""
        if subscription.state == "Disabled":
            await self._wait("is suspended", A_LOOK)
        elif not subscription.is_readable:
            await self._wait("cannot read its subscription", A_LOOK)
        elif not await self._activities.is_enabled():
            await self._wait("waits until the EventService is enabled", A_LOOK)
        elif not await self._activities.owners.has(subscription.owner):
            await self._wait("waits for its owner's account", A_LOOK)
        elif (left := _seconds_until(self.seen.retry_at)) > 0:
            await self._wait("tries again", left)
        elif self._is_heartbeat_due(subscription):
            await self._post(subscription, [self._heartbeat()], self.seen.cursor)
        else:
            await self._deliver_next(subscription)

    async def _wait(self, status: str, seconds: float) -> None:
        self._note(status=status)
        await asyncio.sleep(min(seconds, A_LOOK))

    async def _deliver_next(self, subscription: Subscription) -> None:
        """Wait for events and deliver those that were asked for."""
        if not self.seen.failures:
            self._note(status="delivers")
        read = await self._read()
        lost = await self._gap_before(read)
        if lost is not None:
            await self._post(subscription, [lost], lost.position)
            return
        wanted = [each for each in read if subscription.filters.matches(each.event)]
        wanted = await readable(
            wanted,
            subscription.owner,
            self._activities.accounts,
            self._activities.settings,
        )
        if wanted:
            await self._post(subscription, wanted, read[-1].position)
        elif read:
            self._note(cursor=read[-1].position)
        await self._keep_skipped()

    async def _read(self) -> list[LoggedEvent]:
        """Return what is behind the cursor: what was read and did not fit, or more."""
        cursor = self.seen.cursor
        self._ahead = [each for each in self._ahead if each.position > cursor]
        if not self._ahead:
            self._ahead = await self._activities.log_end.after(
                cursor, READ_AT_ONCE, A_LOOK
            )
        return self._ahead

    async def _gap_before(self, read: list[LoggedEvent]) -> LoggedEvent | None:
        """Return what takes the place of events that were pruned before their time."""
        cursor = self.seen.cursor
        if not read or read[0].position == cursor + 1:
            return None
        last_lost = await self._activities.event_log.oldest() - 1
        if cursor >= last_lost:
            return None
        return LoggedEvent(
            position=last_lost, event=events_were_lost(), id=f"lost-{cursor}"
        )

    async def _post(
        self, subscription: Subscription, events: list[LoggedEvent], until: int
    ) -> None:
        """Send as many of these events as one payload holds, and note what came of it.

        `until` is how far the log is delivered with the last of them.
        """
        content, number = batch_of(events, subscription.context)
        try:
            await finish(self._send(subscription, content), LAST_POST_AT_MOST)
        except DeliveryFailedError as error:
            await self._failed(subscription, str(error))
            return
        cursor = until if number == len(events) else events[number - 1].position
        delivered = self.seen.delivered + number
        self._note(cursor=cursor, delivered=delivered, failures=0, retry_at=None)
        await self._keep_cursor()

    async def _send(self, subscription: Subscription, content: bytes) -> None:
        assert self._subscriber is not None, "it was made with the subscription's row"
        await self._subscriber.post(
            subscription.destination, content, subscription.http_headers
        )

    async def _failed(self, subscription: Subscription, error: str) -> None:
        """Note a failure, and do what the policy says."""
        now = datetime.now(UTC)
        settings, policy = self._activities.settings, subscription.retry_policy
        failures = self.seen.failures + 1
        pause = timedelta(seconds=pause_after(policy, failures, settings))
        self._note(
            status="tries again",
            failures=failures,
            error=f"The subscriber {error}.",
            failed_at=now,
            retry_at=now + pause,
        )
        verdict = verdict_on(policy, failures, settings)
        if verdict == "suspend":
            await self._suspend(subscription)
        elif verdict == "terminate":
            await self._terminate(subscription)

    async def _suspend(self, subscription: Subscription) -> None:
        """Disable the subscription, unless somebody has just changed it."""
        suspended = await self._activities.subscriptions.change(
            self._id, only_if=subscription.revision, state="Disabled"
        )
        if suspended is not None:
            await self._take(suspended)

    async def _terminate(self, subscription: Subscription) -> None:
        """Remove the subscription, and try once to tell its subscriber; go on with it
        if somebody has just changed it.
        """
        event = subscription_terminated(self._id)
        self._subscription = None
        removed = await self._activities.subscriptions.remove(
            self._id,
            resource_removed(event.origin, owner=subscription.owner),
            only_if=subscription.revision,
        )
        if not removed:
            return
        last = LoggedEvent(
            position=self.seen.cursor, event=event, id=f"terminated-{self._id}"
        )
        content, _ = batch_of([last], subscription.context)
        try:
            await self._send(subscription, content)
        except DeliveryFailedError as error:
            activity.logger.info("the last event was not delivered: it %s", error)

    def _is_heartbeat_due(self, subscription: Subscription) -> bool:
        """Say whether it is time for a heartbeat; the first is due after a time."""
        if subscription.heartbeat_minutes is None:
            return False
        if self.seen.heartbeat_due is None:
            minutes = subscription.heartbeat_minutes
            period = timedelta(seconds=minutes * self._activities.minute)
            self._note(heartbeat_due=datetime.now(UTC) + period)
        return _seconds_until(self.seen.heartbeat_due) <= 0

    def _heartbeat(self) -> LoggedEvent:
        """Return a heartbeat, and forget when it was due."""
        event = heartbeat()
        self._note(heartbeat_due=None)
        return LoggedEvent(
            position=self.seen.cursor, event=event, id=f"heartbeat-{written(event.at)}"
        )

    async def _keep_cursor(self) -> None:
        """Write down how far the subscriber has got its events."""
        if self.seen.cursor > self._kept_cursor:
            await self._activities.subscriptions.advance(self._id, self.seen.cursor)
            self._kept_cursor = self.seen.cursor
        self._kept_at = time.monotonic()

    async def _keep_skipped(self) -> None:
        """Write down from time to time that nothing was asked for since."""
        if time.monotonic() - self._kept_at >= SKIPPED_KEPT_EVERY:
            await self._keep_cursor()

    def _note(self, **changes: object) -> None:
        self.seen = self.seen.model_copy(update=changes)


def _seconds_until(moment: datetime | None) -> float:
    if moment is None:
        return 0.0
    return (moment - datetime.now(UTC)).total_seconds()
