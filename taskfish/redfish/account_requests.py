"""What clients may send to the AccountService."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr

from taskfish.redfish.account_resources import MAX_PASSWORD_LENGTH
from taskfish.redfish.requests import RequestBody

USER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$"
"""What a URI and Basic authentication take as it is."""
Seconds = Annotated[int, Field(ge=0, le=2_000_000_000)]
RoleId = Literal["Administrator", "Operator", "ReadOnly"]


class AccountOem(RequestBody):
    """Oem.Taskfish of an account."""

    model_config = ConfigDict(extra="forbid")

    odata_type: str | None = Field(default=None, alias="@odata.type")
    accepted: Literal["conformant", "sushy", "location"] | None = None


class AccountOemHolder(RequestBody):
    """Oem of an account; other vendors' parts are ignored."""

    taskfish: AccountOem | None = None


class AccountChange(RequestBody):
    """PATCH of an account. Only what was given counts (`model_fields_set`)."""

    model_config = ConfigDict(extra="forbid")

    user_name: str = ""
    password: SecretStr = SecretStr("")
    role_id: RoleId = "ReadOnly"
    enabled: bool = True
    locked: Literal[False] = False
    password_change_required: bool = False
    account_types: Annotated[list[Literal["Redfish"]], Field(min_length=1)] = []
    oem: AccountOemHolder | None = None


class NewAccountBody(AccountChange):
    """POST to Accounts: what RequiredOnCreate says has to be there."""

    user_name: Annotated[str, Field(pattern=USER_NAME)]
    password: SecretStr
    role_id: RoleId


class AccountServiceChange(RequestBody):
    """PATCH of the AccountService. Only what was given counts."""

    model_config = ConfigDict(extra="forbid")

    min_password_length: Annotated[int, Field(ge=8, le=MAX_PASSWORD_LENGTH)] = 8
    account_lockout_threshold: Annotated[int, Field(ge=0, le=1000)] = 0
    account_lockout_duration: Seconds = 0
    account_lockout_counter_reset_after: Seconds = 0
