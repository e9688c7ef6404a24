"""The audit log, as Redfish has logs (bundle 2025.4)."""

from datetime import datetime

from pydantic import Field

from taskfish.redfish.manager_resources import GATEWAY_MANAGER
from taskfish.redfish.resources import Link, RedfishModel, Resource, Status

LOG_SERVICES = f"{GATEWAY_MANAGER}/LogServices"
AUDIT = f"{LOG_SERVICES}/Audit"
AUDIT_ENTRIES = f"{AUDIT}/Entries"
AUDIT_RECORD_FORMAT = "Taskfish.Audit"


class LogService(Resource):
    """LogService v1.9."""

    service_enabled: bool
    status: Status
    log_entry_type: str
    log_purposes: list[str]
    max_number_of_records: int
    over_write_policy: str
    date_time: datetime
    date_time_local_offset: str
    entries: Link


class AuditFacts(RedfishModel):
    """Oem.Taskfish of an entry of the audit log (oem/Taskfish_v1.xml)."""

    odata_type: str = Field(default="#Taskfish.v1_0_0.LogEntry", alias="@odata.type")
    event: str
    method: str
    target_resource: str
    status_code: int
    request_id: str
    task: str | None = None
    repeated: int


class AuditOem(RedfishModel):
    """LogEntry.Oem."""

    taskfish: AuditFacts


class LogEntry(Resource):
    """LogEntry v1.21, as an audit log has it."""

    entry_type: str
    oem_record_format: str
    severity: str
    created: datetime
    message: str
    originator: str
    originator_type: str
    origin_address: str | None = None
    username: str | None = None
    oem: AuditOem


class LogEntryCollection(RedfishModel):
    """A page of entries, whole and not only their links, the newest first."""

    odata_id: str = Field(alias="@odata.id")
    odata_type: str = Field(alias="@odata.type")
    name: str
    members: list[LogEntry]
    count: int = Field(alias="Members@odata.count")
    next_link: str | None = Field(default=None, alias="Members@odata.nextLink")
