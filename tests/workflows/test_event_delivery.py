"""The delivery as a service: seen in Temporal, handed over, started again."""

import time
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.event_deliveries import DELIVERY, EVENT_DELIVERY, Deliveries
from activities.event_delivery import Delivery
from taskfish.redfish.event_filters import EventFilter
from taskfish.store.event_log import EventLog
from taskfish.store.subscriptions import Subscription, Subscriptions
from tests.house import TASKS, House
from tests.subscriber import listening, subscribe
from tests.workflows.houses import BMC, event_names, until

HANDED_OVER_AT_MOST = 8.0
"""Seconds from a worker's stop to the next one's delivery, on a busy machine; a lost
one would be waited for longer.
"""


def delivery_of(house: House, subscription: Subscription) -> WorkflowHandle[Any, Any]:
    """Return Temporal's handle of a subscription's delivery."""
    return house.temporal.get_workflow_handle(f"{DELIVERY}{subscription.id}")


async def heartbeat_of(house: House, subscription: Subscription) -> Delivery | None:
    """Return what the Web UI shows of a delivery's activity, None before it begins."""
    run = await delivery_of(house, subscription).describe()
    for each in run.raw_description.pending_activities:
        payloads = list(each.heartbeat_details.payloads)
        found = await house.temporal.data_converter.decode(payloads, [Delivery])
        return found[0] if found else None
    return None


async def logged_keys(house: House) -> list[str]:
    """Return the last parts of all MessageIds in the log."""
    logged = await EventLog(house.store).after(0, 10_000)
    return [each.event.message.message_id.rpartition(".")[2] for each in logged]


async def test_every_event_of_every_task_arrives(bmc: House) -> None:
    async with listening() as listener:
        await subscribe(bmc, listener)
        begun = len(await logged_keys(bmc))
        await bmc.ended(await bmc.create_volume("bmc1.1"))
        await bmc.ended(await bmc.reset("bmc1.1"))
        expected = (await logged_keys(bmc))[begun:]
        await listener.until(len(expected))
        assert listener.keys == expected


async def test_system_and_task_can_be_subscribed_to(bmc: House) -> None:
    async with listening() as of_system, listening() as of_task:
        await subscribe(bmc, of_system, filters=EventFilter(origins=(BMC,)))
        bmc.emulator.set_modes("bmc1", hang=True)
        accepted = await bmc.reset("bmc1.1")
        await bmc.until(accepted, "Running")
        uri = f"{TASKS}/{accepted.json()['Id']}"
        await subscribe(bmc, of_task, filters=EventFilter(origins=(uri,)))
        bmc.emulator.set_modes("bmc1", hang=False, seconds=0)
        await bmc.ended(await bmc.reset("bmc1.1"))
        await bmc.ended(accepted)
        await until(lambda: of_system.keys.count("TaskCompletedOK") == 2)
        await until(lambda: of_task.keys.count("TaskCompletedOK") == 1)


async def test_delivery_is_seen_in_temporal(bmc: House) -> None:
    async with listening() as listener:
        listener.status = 500
        subscription = await subscribe(bmc, listener, retry_policy="RetryForever")
        handle = delivery_of(bmc, subscription)
        await bmc.ended(await bmc.reset("bmc1.1"))

        async def has_failed() -> bool:
            seen = await heartbeat_of(bmc, subscription)
            return seen is not None and seen.error == "The subscriber answered 500."

        await until(has_failed)
        run = await handle.describe()
        assert run.workflow_type == EVENT_DELIVERY
        assert run.status is WorkflowExecutionStatus.RUNNING
        host = listener.url.removesuffix("/events")
        summary = f"Delivers events to {host} (subscription {subscription.id})"
        assert await run.static_summary() == summary
        details = await handle.query("__temporal_workflow_metadata")
        assert f"Delivers events to {host} until" in details.current_details
        history = await handle.fetch_history()
        names = event_names(list(history.events))
        assert len(names) <= 12, names
        assert listener.url.encode() not in run.raw_description.SerializeToString()


async def test_delivery_is_no_task(bmc: House) -> None:
    async with listening() as listener:
        subscription = await subscribe(bmc, listener)
        uri = f"{TASKS}/{DELIVERY}{subscription.id}"
        assert (await bmc.client.get(uri)).status_code == 404
        assert DELIVERY not in (await bmc.client.get(TASKS)).text


async def test_stopped_worker_hands_its_deliveries_on(bmc: House) -> None:
    async with listening() as listener:
        await subscribe(bmc, listener)
        await bmc.ended(await bmc.reset("bmc1.1"))
        await until(lambda: listener.keys[-1:] == ["TaskCompletedOK"])
        began = time.monotonic()
        await bmc.stop_worker()
        await bmc.start_worker()
        await bmc.ended(await bmc.reset("bmc1.1"))
        await until(lambda: listener.keys.count("TaskCompletedOK") == 2)
        assert time.monotonic() - began < HANDED_OVER_AT_MOST
        ids = [event["EventId"] for event in listener.events]
        assert ids == sorted(set(ids), key=int)


async def test_delivery_that_an_operator_has_ended_is_started_again(
    bmc: House,
) -> None:
    async with listening() as listener:
        subscription = await subscribe(bmc, listener)
        await delivery_of(bmc, subscription).terminate()
        await bmc.ended(await bmc.reset("bmc1.1"))
        await deliver_all(bmc, subscription)
        await until(lambda: listener.keys[-1:] == ["TaskCompletedOK"])
        assert listener.keys[0] == "TaskStarted"


async def test_subscription_without_a_delivery_gets_one(bmc: House) -> None:
    """The API has died between the row and the start."""
    async with listening() as listener:
        subscription = await subscribe(bmc, listener)
        handle = delivery_of(bmc, subscription)
        await Subscriptions(bmc.store).remove(subscription.id)
        await handle.result()
        again = subscription.model_copy(update={"id": f"{subscription.id[:-1]}x"})
        await Subscriptions(bmc.store).add(again)
        await deliver_all(bmc, again)
        await bmc.ended(await bmc.reset("bmc1.1"))
        await until(lambda: listener.keys[-1:] == ["TaskCompletedOK"])


async def deliver_all(house: House, subscription: Subscription) -> None:
    """Do what a worker does when it starts, and every minute, until it has worked."""
    deliveries = Deliveries(
        house.temporal, Subscriptions(house.store), house.settings.task_queue
    )

    async def runs() -> bool:
        await deliveries.deliver_all()
        try:
            run = await delivery_of(house, subscription).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return run.status is WorkflowExecutionStatus.RUNNING

    await until(runs)
