"""A maintenance window (`@Redfish.MaintenanceWindow`, Settings v1.4.0)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from taskfish.redfish.apply_time import MAINTENANCE_WINDOW
from taskfish.redfish.messages import Message, base_message
from taskfish.redfish.requests import RequestBody
from taskfish.redfish.schema import SCHEMA

LONGEST_AHEAD = timedelta(days=366)
"""How far ahead a window may end: longer than anything is waited for."""
_YEAR = 366 * 24 * 3600
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII
)
"""A date and time with its offset (DSP0266 9.6)."""
_START = "MaintenanceWindowStartTime"


class MaintenanceWindow(BaseModel):
    """From when on, and for how many seconds, changes may be made."""

    model_config = ConfigDict(frozen=True)

    start: datetime
    seconds: int

    @property
    def end(self) -> datetime:
        """The moment after which nothing is begun any more."""
        return self.start + timedelta(seconds=self.seconds)

    def properties(self) -> dict[str, JsonValue]:
        """Return the two properties that Settings has for it."""
        start = self.start.isoformat().replace("+00:00", "Z")
        return {_START: start, "MaintenanceWindowDurationInSeconds": self.seconds}

    def to_json(self) -> dict[str, JsonValue]:
        """Return the annotation's value."""
        settings = SCHEMA.odata_type("Settings").rpartition(".")[0]
        odata_type = f"{settings}.MaintenanceWindow"
        return {"@odata.type": odata_type, **self.properties()}


def read_window(
    given: JsonValue, current: MaintenanceWindow | None = None
) -> MaintenanceWindow:
    """Return the window that a request gives; what it leaves out is the current's.

    Raises ValidationError.
    """
    if isinstance(given, dict):
        known = current.properties() if current else {}
        plain = {name: value for name, value in given.items() if "@odata." not in name}
        given = known | plain
    body = _WindowHolder.model_validate({MAINTENANCE_WINDOW: given}).window
    return MaintenanceWindow(
        start=_utc(body.maintenance_window_start_time),
        seconds=body.maintenance_window_duration_in_seconds,
    )


def range_problem(window: MaintenanceWindow, now: datetime) -> Message | None:
    """Return what is wrong with a window that is over, or too far ahead."""
    if window.end <= now:
        text = f"The maintenance window was over at {window.end:%FT%TZ}."
        how = "Give a window that is not over yet."
    elif window.end - now > LONGEST_AHEAD:
        text = "The maintenance window is too far ahead."
        how = f"Give a window that ends within {LONGEST_AHEAD.days} days."
    else:
        return None
    name = f"{MAINTENANCE_WINDOW}/{_START}"
    return base_message(
        "PropertyValueOutOfRange",
        str(window.properties()[_START]),
        name,
        text=text,
        resolution=how,
        related=(f"#/{name}",),
    )


def _moment(text: str) -> str:
    """Check that a text is a date and time with its offset."""
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError
        # What is so near the ends of the calendar cannot be reckoned with.
        _utc(text) + timedelta(seconds=2 * _YEAR)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("string_date", "no date and time") from error
    return text


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


class _WindowBody(RequestBody):
    model_config = ConfigDict(extra="forbid")

    maintenance_window_start_time: Annotated[str, AfterValidator(_moment)]
    maintenance_window_duration_in_seconds: int = Field(ge=1, le=_YEAR)


class _WindowHolder(RequestBody):
    window: _WindowBody = Field(alias=MAINTENANCE_WINDOW)
