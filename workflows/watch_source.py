"""One watcher a source: an internal workflow (`watch:{source}`), no task."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sources import WATCH
    from activities.watch import WatchActivities
    from taskfish.temporal import waiting_queue
    from workflows import policies

HEARTBEAT_TIMEOUT = timedelta(seconds=60)
"""Nobody waits for a watcher: a lost one may take a minute to go on."""


@workflow.defn(name=WATCH)
class WatchSource:
    """Stays for as long as its source; one long activity does the work."""

    @workflow.run
    async def run(self, source_id: str) -> None:
        """Watch until the source is removed."""
        workflow.set_current_details(f"Watches {source_id} until it is removed.")
        await workflow.execute_activity_method(
            WatchActivities.watch_source,
            source_id,
            task_queue=waiting_queue(workflow.info().task_queue),
            start_to_close_timeout=policies.A_WAIT_AT_MOST,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=policies.UNTIL_DONE,
            summary=f"watch {source_id}",
        )
