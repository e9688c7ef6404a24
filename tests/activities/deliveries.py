"""A log, subscriptions and deliveries without Temporal, over a test's own store."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.event_delivery import Delivery, DeliveryActivities
from taskfish.encryption import generate_key
from taskfish.redfish.events import Event
from taskfish.redfish.messages import task_message
from taskfish.redfish.task_events import TaskSubject
from taskfish.store.accounts import Accounts, AccountSettings
from taskfish.store.database import Store
from taskfish.store.event_log import EventLog
from taskfish.store.log_end import LogEnd
from taskfish.store.subscriptions import Subscription, Subscriptions
from tests.house import fast_settings
from tests.subscriber import Listener

RETRY_SECONDS = 0.05
HEARTBEAT_SECONDS = 0.2


class Office:
    """What delivers; `is_enabled` is whether the EventService is."""

    def __init__(self, store: Store, folder: Path, **settings: Any) -> None:
        defaults = {
            "admin_username": "ada",
            "delivery_retry_interval": RETRY_SECONDS,
            "delivery_timeout": 1,
        }
        self.settings = fast_settings(
            folder, SecretStr(generate_key()), **(defaults | settings)
        )
        self.store = store
        self.log = EventLog(store)
        self.log_end = LogEnd(self.log)
        self.subscriptions = Subscriptions(store)
        self.accounts = Accounts(store, AccountSettings(store, self.settings))
        self.is_enabled = True
        self.activities = DeliveryActivities(
            self.subscriptions,
            self.log,
            self.log_end,
            self.accounts,
            self.settings,
            self._is_enabled,
            minute=0.2,
        )

    async def subscribe(self, listener: Listener, **changes: Any) -> Subscription:
        """Add the subscription of a listener to all that comes from now on."""
        values = {
            "id": uuid.uuid4().hex,
            "kind": "RedfishEvent",
            "owner": "ada",
            "destination": listener.url,
            "context": "mine",
            "cursor": await self.log.newest(),
            "created_at": datetime.now(UTC),
        }
        new = Subscription.model_validate(values | changes)
        await self.subscriptions.add(new)
        return new

    async def tell(self, *percents: int, task: str = "task-1", owner: str = "") -> None:
        """Append the events of a task's progress."""
        await self.log.append(*(progress(task, each, owner) for each in percents))

    @asynccontextmanager
    async def delivering(
        self, subscription: Subscription, seen: Delivery | None = None
    ) -> AsyncIterator["Under"]:
        """Run a delivery, which goes on from what the one before has seen."""
        under = Under(self, subscription, seen)
        under.start()
        try:
            yield under
        finally:
            await under.stop()

    async def cursor(self, subscription: Subscription) -> int:
        """Return the cursor in the subscription's row."""
        found = await self.subscriptions.get(subscription.id)
        assert found is not None, "it was removed"
        return found.cursor

    async def _is_enabled(self) -> bool:
        return self.is_enabled


class Under:
    """A delivery under way, and what it has last told Temporal."""

    def __init__(
        self, office: Office, subscription: Subscription, seen: Delivery | None
    ) -> None:
        self.seen = seen or Delivery()
        self._office = office
        self._subscription = subscription
        self._environment = ActivityEnvironment()
        details = [seen.model_dump(mode="json")] if seen is not None else []
        self._environment.info = replace(
            self._environment.info,
            heartbeat_timeout=timedelta(seconds=HEARTBEAT_SECONDS),
            heartbeat_details=details,
        )
        self._environment.on_heartbeat = self._note
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._running = asyncio.create_task(
            self._environment.run(
                self._office.activities.deliver_events, self._subscription.id
            )
        )

    async def stop(self) -> None:
        """Cancel it, if it has not ended."""
        if self._running is not None:
            self._environment.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def ended(self) -> None:
        """Wait until it has ended by itself."""
        assert self._running is not None, "it was started"
        async with asyncio.timeout(10):
            await asyncio.shield(self._running)

    def _note(self, *details: Any) -> None:
        (self.seen,) = details


@asynccontextmanager
async def open_office(
    store: Store, folder: Path, **settings: Any
) -> AsyncIterator[Office]:
    """Give an office; nobody reads its log when the block has ended."""
    office = Office(store, folder, **settings)
    try:
        yield office
    finally:
        await office.log_end.close()


def progress(task: str, percent: int, owner: str = "") -> Event:
    """Return the event of a task that is so far."""
    subject = TaskSubject(
        task_id=task,
        run_id=f"run of {task}",
        owner=owner,
        method="POST",
        uri="/redfish/v1/Systems/bmc1.1/Actions/ComputerSystem.Reset",
        machines=("/redfish/v1/Systems/bmc1.1",),
    )
    step, now = f"step-{percent}", datetime.now(UTC)
    message = task_message("TaskProgressChanged", task, str(percent))
    return subject.changed(step, message, now)
