"""Removes ended tasks that somebody wants gone: an internal workflow, no task."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.retention import (
        REMOVE_ENDED_TASKS,
        EndedTasks,
        RetentionActivities,
    )
    from workflows import policies


@workflow.defn(name=REMOVE_ENDED_TASKS)
class RemoveEndedTasks:
    """Removes them all, across crashes of any process; started by the API."""

    @workflow.run
    async def run(self, wanted: EndedTasks) -> int:
        """Return how many the last, unbroken attempt has removed."""
        return await workflow.execute_activity_method(
            RetentionActivities.remove_ended,
            wanted,
            start_to_close_timeout=policies.A_REMOVAL_AT_MOST,
            heartbeat_timeout=policies.A_REMOVAL_BEATS,
            retry_policy=policies.UNTIL_DONE,
            summary="remove ended tasks",
        )
