"""Keeps the event log whole: an internal workflow (`events:{task queue}`), no task."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.event_reconciler import RECONCILE_EVENTS, EventReconciler
    from taskfish.temporal import waiting_queue
    from workflows import policies

HEARTBEAT_TIMEOUT = timedelta(seconds=5)
"""A lost one goes on soon: a killed task is to be told of within 10 s."""


@workflow.defn(name=RECONCILE_EVENTS)
class ReconcileEvents:
    """Runs once for all workers, for good; one long activity does the work."""

    @workflow.run
    async def run(self) -> None:
        """Tell of the ends that nobody else could tell of."""
        workflow.set_current_details("Tells of the ends of killed tasks.")
        await workflow.execute_activity_method(
            EventReconciler.reconcile_events,
            task_queue=waiting_queue(workflow.info().task_queue),
            start_to_close_timeout=policies.A_WAIT_AT_MOST,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=policies.UNTIL_DONE,
            summary="tell of the ends of killed tasks",
        )
