"""What is done every few minutes for all: an internal workflow, no task."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.housekeeping import HOUSEKEEPING, HousekeepingActivities
    from workflows import policies


@workflow.defn(name=HOUSEKEEPING)
class Housekeeping:
    """Forgets what nothing needs any more; started by its schedule."""

    @workflow.run
    async def run(self) -> int:
        """Sweep once; return how many secrets were left behind and are gone now."""
        return await workflow.execute_activity_method(
            HousekeepingActivities.sweep,
            start_to_close_timeout=policies.A_CALL_AT_MOST,
            retry_policy=policies.UNTIL_DONE,
            summary="forget what nothing needs any more",
        )
