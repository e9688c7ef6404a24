"""How long the monitor of an ended task is there (TaskMonitorAutoExpirySeconds)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from api.gateway import Gateway
from api.task_view import TaskView
from taskfish.redfish.task import TaskState
from taskfish.store.monitor_reads import Run


async def monitor_is_there(gateway: Gateway, view: TaskView) -> bool:
    """Say whether a task still has a monitor: not once cancelled, removed, expired."""
    return view.run in await monitors_there(gateway, [view])


async def monitors_there(gateway: Gateway, views: Sequence[TaskView]) -> set[Run]:
    """Return the runs that still have a monitor, of many in one query."""
    ended = [view.run for view in views if view.state.ended]
    reads = await gateway.monitor_reads.reads_of(ended) if ended else {}
    options = await gateway.service_settings.read()
    expiry = timedelta(seconds=options.task_monitor_auto_expiry_seconds)
    now = datetime.now(UTC)
    gone = {
        run
        for run, read in reads.items()
        if read.removed or now >= read.first_at + expiry
    }
    cancelled = {view.run for view in views if view.state is TaskState.CANCELLED}
    return {view.run for view in views} - gone - cancelled
