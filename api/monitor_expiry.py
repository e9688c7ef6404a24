"""How long the monitor of an ended task is there (TaskMonitorAutoExpirySeconds)."""

from datetime import UTC, datetime, timedelta

from api.gateway import Gateway
from api.task_view import TaskView
from taskfish.redfish.task import TaskState


async def monitor_is_there(gateway: Gateway, view: TaskView) -> bool:
    """Say whether a task still has a monitor: not once cancelled, removed, expired."""
    if not view.state.ended:
        return True
    if view.state is TaskState.CANCELLED:
        return False
    read = await gateway.monitor_reads.read_of(view.run)
    if read is None:
        return True
    options = await gateway.service_settings.read()
    expiry = timedelta(seconds=options.task_monitor_auto_expiry_seconds)
    return not read.removed and datetime.now(UTC) < read.first_at + expiry
