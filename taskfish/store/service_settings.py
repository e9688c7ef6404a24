"""What clients may change of the TaskService, the same for every process."""

from datetime import datetime, timedelta
from typing import Literal

from taskfish.redfish.maintenance_window import MaintenanceWindow
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.store.kept_options import KeptOptions, Options


class TaskServiceOptions(Options):
    """The TaskService as it is set.

    `overwrite_policy` is the operator's: with "Manual" no task goes by itself.
    """

    task_auto_delete_timeout_minutes: int
    task_monitor_auto_expiry_seconds: int
    service_enabled: bool = True
    overwrite_policy: Literal["Oldest", "Manual"]
    maintenance_window: MaintenanceWindow | None = None

    @property
    def kept_for(self) -> timedelta | None:
        """How long an ended task is kept, None if until somebody removes it."""
        if self.overwrite_policy == "Manual":
            return None
        return timedelta(minutes=self.task_auto_delete_timeout_minutes)

    def expires_at(self, ended: datetime | None) -> datetime | None:
        """Return when a task goes that has ended then; None if it does not."""
        if ended is None or self.kept_for is None:
            return None
        return ended + self.kept_for


class ServiceSettings(KeptOptions[TaskServiceOptions]):
    """The TaskService's row; what was never set is a setting's."""

    def __init__(self, store: Store, settings: Settings) -> None:
        defaults = TaskServiceOptions(
            task_auto_delete_timeout_minutes=settings.task_auto_delete_minutes,
            task_monitor_auto_expiry_seconds=round(settings.task_monitor_auto_expiry),
            overwrite_policy=settings.completed_task_overwrite_policy,
        )
        super().__init__(store, "task_service", defaults)
