"""What is done every minute for all: an internal workflow, no task."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.housekeeping import HOUSEKEEPING, HousekeepingActivities
    from activities.retention import RetentionActivities
    from workflows import policies

REMOVES_EXPIRED = "removes-expired"
"""The patch since which a sweep removes ended tasks too."""


@workflow.defn(name=HOUSEKEEPING)
class Housekeeping:
    """Forgets what nothing needs any more; started by its schedule."""

    @workflow.run
    async def run(self) -> int:
        """Sweep once; return how many secrets were left behind and are gone now."""
        swept = await workflow.execute_activity_method(
            HousekeepingActivities.sweep,
            start_to_close_timeout=policies.A_CALL_AT_MOST,
            retry_policy=policies.UNTIL_DONE,
            summary="forget what nothing needs any more",
        )
        if workflow.patched(REMOVES_EXPIRED):
            await workflow.execute_activity_method(
                RetentionActivities.remove_expired,
                start_to_close_timeout=policies.A_REMOVAL_AT_MOST,
                heartbeat_timeout=policies.A_REMOVAL_BEATS,
                retry_policy=policies.UNTIL_DONE,
                summary="remove tasks whose time has passed",
            )
        return swept
