"""What clients may change of the TaskService, the same for every process."""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from taskfish.redfish.maintenance_window import MaintenanceWindow
from taskfish.settings import Settings
from taskfish.store.database import Store
from taskfish.store.tables import service

CACHED_SECONDS = 2.0
"""How long another process may go on with what it has read before a change."""
_NAME = "task_service"


class TaskServiceOptions(BaseModel):
    """The TaskService as it is set; names and units are its properties' own.

    `overwrite_policy` is the operator's: with "Manual" no task goes by itself.
    """

    model_config = ConfigDict(frozen=True)

    task_auto_delete_timeout_minutes: int
    task_monitor_auto_expiry_seconds: int
    service_enabled: bool = True
    overwrite_policy: Literal["Oldest", "Manual"]
    maintenance_window: MaintenanceWindow | None = None

    @property
    def etag(self) -> str:
        """The ETag of the TaskService: the same for the same options."""
        return f'"{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]}"'

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


class ServiceSettings:
    """Reads and writes of the TaskService's row; what was never set is a setting's."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._defaults = TaskServiceOptions(
            task_auto_delete_timeout_minutes=settings.task_auto_delete_minutes,
            task_monitor_auto_expiry_seconds=round(settings.task_monitor_auto_expiry),
            overwrite_policy=settings.completed_task_overwrite_policy,
        )
        self._read: TaskServiceOptions | None = None
        self._read_at = 0.0

    async def read(self) -> TaskServiceOptions:
        """Return the options, at most 2 seconds old."""
        if self._read is None or monotonic() - self._read_at > CACHED_SECONDS:
            statement = select(service.c.value).where(service.c.name == _NAME)
            async with self._store.read() as connection:
                stored = (await connection.execute(statement)).scalar()
            self._remember(self._options(stored))
        assert self._read is not None, "it has just been read"
        return self._read

    async def change(
        self,
        values: Mapping[str, JsonValue],
        only_if: Collection[str] | None = None,
    ) -> TaskServiceOptions | None:
        """Keep new values, by the options' names, and return all options.

        Returns None, and changes nothing, if `only_if` is given without the ETag.
        """
        await self._ensure_row()
        async with self._store.write() as connection:
            row = select(service.c.value).where(service.c.name == _NAME)
            stored = (await connection.execute(row.with_for_update())).scalar_one()
            if only_if is not None and self._options(stored).etag not in only_if:
                return None
            changed = json.dumps(json.loads(stored) | dict(values))
            await connection.execute(
                update(service).where(service.c.name == _NAME).values(value=changed)
            )
        self._remember(self._options(changed))
        return self._read

    async def _ensure_row(self) -> None:
        """Make the row, so that two first changes wait for each other at it."""
        with suppress(IntegrityError):
            async with self._store.write() as connection:
                await connection.execute(insert(service).values(name=_NAME, value="{}"))

    def _options(self, stored: str | None) -> TaskServiceOptions:
        values = json.loads(stored) if stored else {}
        return TaskServiceOptions.model_validate(self._defaults.model_dump() | values)

    def _remember(self, options: TaskServiceOptions) -> None:
        self._read, self._read_at = options, monotonic()
