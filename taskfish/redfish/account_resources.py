"""AccountService, its accounts and roles, as Redfish has them (bundle 2025.4)."""

from pydantic import Field, JsonValue

from taskfish.redfish.links import ROOT
from taskfish.redfish.resources import Link, RedfishModel, Resource, Status

ACCOUNT_SERVICE = f"{ROOT}/AccountService"
ACCOUNTS = f"{ACCOUNT_SERVICE}/Accounts"
ROLE_COLLECTION = f"{ACCOUNT_SERVICE}/Roles"
MAX_PASSWORD_LENGTH = 128


class AccountService(Resource):
    """AccountService v1.18."""

    odata_etag: str = Field(alias="@odata.etag")
    service_enabled: bool
    status: Status
    min_password_length: int
    max_password_length: int
    account_lockout_threshold: int
    account_lockout_duration: int
    account_lockout_counter_reset_after: int
    local_account_auth: str
    http_basic_auth: str = Field(alias="HTTPBasicAuth")
    supported_account_types: list[str]
    accounts: Link
    roles: Link


class ManagerAccountLinks(RedfishModel):
    """ManagerAccount.Links."""

    role: Link


class ManagerAccountOptions(RedfishModel):
    """Oem.Taskfish of an account (oem/Taskfish_v1.xml)."""

    odata_type: str = Field(
        default="#Taskfish.v1_0_0.ManagerAccount", alias="@odata.type"
    )
    accepted: str | None


class ManagerAccountOem(RedfishModel):
    """ManagerAccount.Oem."""

    taskfish: ManagerAccountOptions


class ManagerAccount(Resource):
    """ManagerAccount v1.14. Its Password is always null in answers."""

    user_name: str
    role_id: str
    enabled: bool
    locked: bool
    password_change_required: bool
    account_types: list[str]
    links: ManagerAccountLinks
    oem: ManagerAccountOem

    def to_json(self) -> dict[str, JsonValue]:
        """Return the Redfish form, with a null Password."""
        return {**super().to_json(), "Password": None}


class Role(Resource):
    """Role v1.3: one of the predefined ones."""

    role_id: str
    is_predefined: bool
    assigned_privileges: list[str]
    oem_privileges: list[str]
