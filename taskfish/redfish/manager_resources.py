"""The Manager that is the gateway itself, as Redfish has it (bundle 2025.4)."""

from datetime import datetime

from pydantic import Field

from taskfish.redfish.links import ROOT
from taskfish.redfish.resources import Link, Resource, Status

MANAGERS = f"{ROOT}/Managers"
GATEWAY_MANAGER = f"{MANAGERS}/taskfish"
"""Without a dot, which every member of a source has in its name (contracts.md 1)."""
UTC_OFFSET = "+00:00"


class GatewayManager(Resource):
    """Manager v1.24: the gateway's own."""

    manager_type: str
    manufacturer: str
    model: str
    firmware_version: str
    uuid: str = Field(alias="UUID")
    service_entry_point_uuid: str = Field(alias="ServiceEntryPointUUID")
    date_time: datetime
    date_time_local_offset: str
    status: Status
    log_services: Link
