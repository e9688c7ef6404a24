"""Have a subscription's events delivered: a workflow that runs as long as it is there.

It sees by itself that the subscription was changed, suspended, resumed or removed.
"""

import logging
from urllib.parse import urlsplit

from temporalio.common import WorkflowIDConflictPolicy

from api.gateway import Gateway
from api.temporal_faults import TEMPORAL_FAULTS
from taskfish.store.subscriptions import Subscription
from taskfish.temporal import RPC_TIMEOUT

EVENT_DELIVERY = "EventDelivery"
"""The workflow type, started by name: the worker knows it."""

logger = logging.getLogger(__name__)


async def start_delivery(gateway: Gateway, subscription: Subscription) -> None:
    """Start `delivery:{Id}`, if it does not run.

    While Temporal does not answer the subscription waits: a worker starts its delivery
    later.
    """
    host = urlsplit(subscription.destination).hostname
    try:
        await gateway.temporal.start_workflow(
            EVENT_DELIVERY,
            subscription.id,
            id=f"delivery:{subscription.id}",
            task_queue=gateway.settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Delivers events to {host}",
            rpc_timeout=RPC_TIMEOUT,
        )
    except TEMPORAL_FAULTS as error:
        logger.warning("%s is not delivered to yet: %s", subscription.id, error)
