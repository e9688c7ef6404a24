"""SessionService and its sessions, as Redfish has them (bundle 2025.4)."""

from datetime import datetime

from pydantic import Field, JsonValue

from taskfish.redfish.links import ROOT
from taskfish.redfish.resources import Link, Resource, Status

SESSION_SERVICE = f"{ROOT}/SessionService"
SESSIONS = f"{SESSION_SERVICE}/Sessions"


class SessionService(Resource):
    """SessionService v1.2. The timeout is seconds without a request."""

    odata_etag: str = Field(alias="@odata.etag")
    service_enabled: bool
    session_timeout: int
    status: Status
    sessions: Link


class SessionResource(Resource):
    """Session v1.8. Its Password is always null in answers."""

    user_name: str
    session_type: str
    created_time: datetime
    client_origin_ip_address: str | None = Field(alias="ClientOriginIPAddress")
    context: str | None

    def to_json(self) -> dict[str, JsonValue]:
        """Return the Redfish form, with a null Password."""
        return {**super().to_json(), "Password": None}
