"""See that each subscription has its delivery, whoever has died in between."""

import logging

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities.event_posting import shown
from taskfish.errors import StoreUnavailableError
from taskfish.store.subscriptions import Subscription, Subscriptions
from taskfish.temporal import RPC_TIMEOUT

EVENT_DELIVERY = "EventDelivery"
"""The workflow type of the deliveries, started by name: workflows lie above."""
DELIVERY = "delivery:"
"""What the id of a delivery begins with; its subscription's Id follows."""
_PAGE_SIZE = 1000

logger = logging.getLogger(__name__)


async def start_delivery(
    client: Client, task_queue: str, subscription: Subscription
) -> None:
    """Start `delivery:{subscription}`, if it does not run; raise RPCError."""
    await client.start_workflow(
        EVENT_DELIVERY,
        subscription.id,
        id=f"{DELIVERY}{subscription.id}",
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=_summary(subscription),
        rpc_timeout=RPC_TIMEOUT,
    )


def _summary(subscription: Subscription) -> str:
    """Say which delivery it is in clear text: a path may be as good as a password."""
    host = shown(subscription.destination)
    return f"Delivers events to {host} (subscription {subscription.id})"


class Deliveries:
    """The deliveries of all subscriptions."""

    def __init__(
        self, client: Client, subscriptions: Subscriptions, task_queue: str
    ) -> None:
        self._client = client
        self._subscriptions = subscriptions
        self._task_queue = task_queue

    async def deliver_all(self) -> None:
        """Start the deliveries that do not run; what fails is tried the next time."""
        try:
            subscriptions = await self._subscriptions.all("RedfishEvent")
            running = await self._running() if subscriptions else set()
            for each in subscriptions:
                if f"{DELIVERY}{each.id}" not in running:
                    await start_delivery(self._client, self._task_queue, each)
        except (RPCError, StoreUnavailableError) as error:
            logger.warning("a subscription may have no delivery: %s", error)

    async def _running(self) -> set[str]:
        """Return the workflow ids of the deliveries that Temporal lists as running."""
        query = (
            f"WorkflowType = '{EVENT_DELIVERY}' AND ExecutionStatus = 'Running' "
            f"AND TaskQueue = '{self._task_queue}'"
        )
        listed = self._client.list_workflows(
            query, page_size=_PAGE_SIZE, rpc_timeout=RPC_TIMEOUT
        )
        return {run.id async for run in listed}
