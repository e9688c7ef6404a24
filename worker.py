"""Composition root of the worker: settings → store, plugins, client → two Workers.

Two task queues, so that waiting never keeps an abort from running (contracts.md 3).
"""

import asyncio
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.abort import AbortActivities
from activities.adoption import Adoption
from activities.apply_time import ApplyTimeActivities
from activities.completion import CompletionActivities
from activities.event_deliveries import Deliveries
from activities.event_delivery import DeliveryActivities
from activities.event_log import EventLogActivities
from activities.event_reconciler import EventReconciler
from activities.former_steps import FormerSteps
from activities.held import HeldActivities
from activities.housekeeping import HOUSEKEEPING, HousekeepingActivities
from activities.look import LookActivities
from activities.machine_state import MachineState
from activities.news import NewsDesk
from activities.open_places import OpenPlaces
from activities.pausing import PauseActivities
from activities.plugin_bus import PluginBus
from activities.removal import TaskRemoval
from activities.reset_gate import ResetGate
from activities.retention import RetentionActivities
from activities.source_events import SourceEvents
from activities.sources import SourceActivities
from activities.state_waiting import StateActivities
from activities.submission import SubmitActivities
from activities.superseding import SupersedingActivities
from activities.turns import TurnActivities
from activities.watch import WatchActivities
from taskfish.encryption import Keyring
from taskfish.errors import TaskfishError
from taskfish.plugins.connections import Connections
from taskfish.plugins.odim import client as odim
from taskfish.plugins.redfish import client as redfish
from taskfish.redfish.sources import ConnectionMethod
from taskfish.settings import Settings, load_settings
from taskfish.store.accounts import Accounts, AccountSettings
from taskfish.store.adopted_tasks import AdoptedTasks
from taskfish.store.audit import AuditLog
from taskfish.store.database import Store
from taskfish.store.event_log import EventLog
from taskfish.store.event_service import EventServiceSettings
from taskfish.store.inventory import Inventory
from taskfish.store.journal import Journal
from taskfish.store.log_end import LogEnd
from taskfish.store.monitor_reads import MonitorReads
from taskfish.store.requests import Requests
from taskfish.store.reset_waits import ResetWaits
from taskfish.store.secret_bodies import SecretBodies
from taskfish.store.service_settings import ServiceSettings
from taskfish.store.source_subscriptions import SourceSubscriptions
from taskfish.store.sources import Sources
from taskfish.store.subscriptions import Subscriptions
from taskfish.store.task_news import TaskNews
from taskfish.store.turns import Turns
from taskfish.temporal import RPC_TIMEOUT, connect, waiting_queue
from workflows.add_aggregation_source import AddAggregationSource
from workflows.adopted_task import AdoptedTask
from workflows.event_delivery import EventDelivery
from workflows.housekeeping import Housekeeping
from workflows.operations import step_workflows
from workflows.plugin_operation import PluginOperation
from workflows.reconcile_events import ReconcileEvents
from workflows.remove_ended_tasks import RemoveEndedTasks
from workflows.watch_source import WatchSource

CALLS_SHARE = 0.5
"""The worker's part of a source's concurrent calls; the API has the other."""
STICKY_TIMEOUT = timedelta(seconds=1)
"""How soon a killed worker's workflows are taken over (design, facts that bite)."""
HEARTBEAT_THROTTLE = timedelta(seconds=1)
HOUSEKEEPING_EVERY = timedelta(minutes=1)
GRACE = timedelta(seconds=5)

Activity = Callable[..., Any]

logger = logging.getLogger(__name__)


class WorkerProcess:
    """The two Workers of one process and what their activities need."""

    def __init__(self, settings: Settings, client: Client, store: Store) -> None:
        self._settings = settings
        self._client = client
        self._store = store
        self._event_log = EventLog(store)
        self._log_end = LogEnd(self._event_log)
        self._news = NewsDesk(TaskNews(store))
        self._bus = self._plugin_bus()
        self._connections = Connections(
            Sources(store),
            {
                ConnectionMethod.ODIM: odim.connect,
                ConnectionMethod.REDFISH: redfish.connect,
            },
            settings,
            CALLS_SHARE,
        )
        self._reset_gate = ResetGate(client, ResetWaits(store))
        self._sources = SourceActivities(
            client,
            self._connections,
            Sources(store),
            Inventory(store),
            settings.task_queue,
        )
        self._deliveries = Deliveries(client, Subscriptions(store), settings.task_queue)
        self._reconciling = EventReconciler(
            client, self._event_log, settings.task_queue, self._deliveries.deliver_all
        )
        self._acting: list[Activity] = []
        self._waiting: list[Activity] = []
        self._add_changes()
        self._add_sources()
        self._add_events()
        self._add_housekeeping()

    def _plugin_bus(self) -> PluginBus | None:
        """Return the reader of the plugins' bus, None if there is none."""
        if not self._settings.kafka_brokers:
            return None
        return PluginBus(self._settings, Sources(self._store), TaskNews(self._store))

    def _add_changes(self) -> None:
        """Add what carries a change, from its turn to its source's last word."""
        client, connections, store = self._client, self._connections, self._store
        journal, secret_bodies = Journal(store), SecretBodies(store)
        machine_state = MachineState(connections, Inventory(store))
        submitting = SubmitActivities(
            client, connections, journal, secret_bodies, machine_state, self._reset_gate
        )
        completing = CompletionActivities(
            client,
            connections,
            journal,
            secret_bodies,
            machine_state,
            self._event_log,
            self._news,
        )
        apply_times = ApplyTimeActivities(client, connections, ResetWaits(store))
        turns = TurnActivities(client, Turns(store))
        self._acting += [
            submitting.submit,
            submitting.forget_secrets,
            apply_times.apply_times,
            LookActivities(connections, journal).look,
            AbortActivities(connections).abort,
            PauseActivities(connections).pause_task,
            turns.leave_turn,
            SupersedingActivities(client, Turns(store)).superseded,
            FormerSteps(client).end_former_step,
        ]
        self._waiting += [
            completing.await_completion,
            apply_times.await_reset,
            turns.await_turn,
            HeldActivities(client, ResetWaits(store)).await_held,
            StateActivities(connections).await_state,
        ]

    def _add_sources(self) -> None:
        """Add what takes sources in and watches them."""
        settings, store = self._settings, self._store
        watching = WatchActivities(
            self._connections,
            self._sources,
            SourceEvents(
                self._connections, SourceSubscriptions(store), settings.public_url
            ),
            Adoption(
                self._client,
                self._connections,
                AdoptedTasks(store),
                Inventory(store),
                ServiceSettings(store, settings),
                self._news if settings.public_url else None,
                settings,
            ),
            health_check=settings.health_check,
            inventory_refresh=settings.inventory_refresh,
        )
        self._acting += [
            self._sources.admit_source,
            self._sources.discard_source,
            self._sources.start_watch,
        ]
        self._waiting.append(watching.watch_source)

    def _add_events(self) -> None:
        """Add what tells of tasks, and what delivers that."""
        settings, store = self._settings, self._store
        telling = EventLogActivities(self._event_log)
        delivering = DeliveryActivities(
            Subscriptions(store),
            self._event_log,
            self._log_end,
            Accounts(store, AccountSettings(store, settings)),
            settings,
            EventServiceSettings(store).is_enabled,
        )
        self._acting += [
            telling.append_event,
            telling.append_end,
            delivering.destination_of,
        ]
        self._waiting += [
            self._reconciling.reconcile_events,
            delivering.deliver_events,
        ]

    def _add_housekeeping(self) -> None:
        """Add what forgets: rows that nothing needs, and ended tasks."""
        client, settings, store = self._client, self._settings, self._store
        journal, turns = Journal(store), Turns(store)
        monitor_reads, requests = MonitorReads(store), Requests(store)
        sweeping = HousekeepingActivities(
            client,
            journal,
            monitor_reads,
            requests,
            SecretBodies(store),
            OpenPlaces(client, turns),
            self._reset_gate,
            AuditLog(store),
            self._event_log,
            settings,
        )
        removal = TaskRemoval(
            client, journal, monitor_reads, requests, turns, self._event_log
        )
        removing = RetentionActivities(
            client, ServiceSettings(store, settings), removal
        )
        self._acting += [
            sweeping.sweep,
            removing.remove_expired,
            removing.remove_ended,
        ]

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until told to stop; then let short activities end, hand on the rest."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._connections.aclose)
            stack.push_async_callback(self._log_end.close)
            stack.push_async_callback(self._news.close)
            if self._bus is not None:
                await stack.enter_async_context(self._bus.reading())
            for worker in (self._acting_worker(), self._waiting_worker()):
                await stack.enter_async_context(worker)
            await self._sources.watch_all()
            await self._deliveries.deliver_all()
            await self._reconciling.start()
            await self._schedule_housekeeping()
            logger.info("the worker is ready")
            await stopped.wait()

    async def _schedule_housekeeping(self) -> None:
        """Have Temporal start the housekeeping every minute, once for all workers."""
        action = ScheduleActionStartWorkflow(
            HOUSEKEEPING,
            id="housekeeping:sweep",
            task_queue=self._settings.task_queue,
            static_summary="Forgets what nothing needs any more",
        )
        spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(HOUSEKEEPING_EVERY)])
        name = f"housekeeping:{self._settings.task_queue}"
        try:
            await self._client.create_schedule(
                name, Schedule(action=action, spec=spec), rpc_timeout=RPC_TIMEOUT
            )
        except ScheduleAlreadyRunningError:
            await self._reschedule(name, spec)
        except RPCError as error:
            logger.warning("no housekeeping is scheduled: %s", error)

    async def _reschedule(self, name: str, spec: ScheduleSpec) -> None:
        """Give the schedule of an earlier version today's interval; leave a pause."""

        def change(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
            schedule = found.description.schedule
            if schedule.spec.intervals == spec.intervals:
                return None
            return ScheduleUpdate(dataclasses.replace(schedule, spec=spec))

        try:
            handle = self._client.get_schedule_handle(name)
            await handle.update(change, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            logger.warning("the housekeeping keeps its old interval: %s", error)

    def _acting_worker(self) -> Worker:
        return Worker(
            self._client,
            task_queue=self._settings.task_queue,
            workflows=[
                PluginOperation,
                AddAggregationSource,
                AdoptedTask,
                WatchSource,
                Housekeeping,
                RemoveEndedTasks,
                ReconcileEvents,
                EventDelivery,
                *step_workflows(),
            ],
            activities=self._acting,
            max_concurrent_activities=self._settings.max_concurrent_submits,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            graceful_shutdown_timeout=GRACE,
        )

    def _waiting_worker(self) -> Worker:
        return Worker(
            self._client,
            task_queue=waiting_queue(self._settings.task_queue),
            activities=self._waiting,
            max_concurrent_activities=self._settings.max_waiting_tasks,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        )


async def main(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    # It would log every request, with all of its URL.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    keyring = Keyring(settings.encryption_keys)
    store = Store(settings.database_url, keyring)
    try:
        client = await connect(keyring)
        await WorkerProcess(settings, client, store).run(stopped)
    finally:
        await store.close()


def run() -> None:
    """Entry point: ends by os._exit, since a Worker's process may die at its exit."""
    code = 0
    try:
        asyncio.run(main(load_settings()))
    except (TaskfishError, RPCError) as error:
        sys.stderr.write(f"taskfish worker: {error}\n")
        code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
