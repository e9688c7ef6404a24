"""One delivery a subscription: an internal workflow (`delivery:{id}`), no task."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.event_deliveries import EVENT_DELIVERY
    from activities.event_delivery import DeliveryActivities
    from taskfish.temporal import waiting_queue
    from workflows import policies

HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""After how long a killed worker's subscribers get their events from another."""
A_LOOK_AT_MOST = timedelta(seconds=5)


@workflow.defn(name=EVENT_DELIVERY)
class EventDelivery:
    """Runs for as long as its subscription; one long activity does the work."""

    @workflow.run
    async def run(self, subscription_id: str) -> None:
        """Deliver until the subscription is removed."""
        destination = await workflow.execute_local_activity_method(
            DeliveryActivities.destination_of,
            subscription_id,
            start_to_close_timeout=A_LOOK_AT_MOST,
            retry_policy=policies.UNTIL_DONE,
            summary="where to",
        )
        if destination is None:
            return
        workflow.set_current_details(
            f"Delivers events to {destination} until the subscription is removed. "
            "The heartbeat of its activity tells how far it is (`cursor` is a position "
            "in the event log), and when and how it last failed."
        )
        await workflow.execute_activity_method(
            DeliveryActivities.deliver_events,
            subscription_id,
            task_queue=waiting_queue(workflow.info().task_queue),
            start_to_close_timeout=policies.A_WAIT_AT_MOST,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=policies.UNTIL_DONE,
            summary=f"deliver events to {destination}",
        )
