"""Have a subscription's events delivered, by a workflow as long as it is there."""

import logging

from activities import event_deliveries
from api.gateway import Gateway
from api.temporal_faults import TEMPORAL_FAULTS
from taskfish.store.subscriptions import Subscription

logger = logging.getLogger(__name__)


async def start_delivery(gateway: Gateway, subscription: Subscription) -> None:
    """Start the delivery of a subscription, if it does not run.

    While Temporal does not answer the subscription waits: a worker starts its delivery
    later.
    """
    client, queue = gateway.temporal, gateway.settings.task_queue
    try:
        await event_deliveries.start_delivery(client, queue, subscription)
    except TEMPORAL_FAULTS as error:
        logger.warning("%s is not delivered to yet: %s", subscription.id, error)
