"""What clients may send to the SessionService."""

from typing import Annotated

from pydantic import ConfigDict, Field, SecretStr

from taskfish.redfish.requests import RequestBody


class LoginBody(RequestBody):
    """POST to Sessions: a login. `context` stays with the session."""

    model_config = ConfigDict(extra="forbid")

    user_name: str
    password: SecretStr
    context: Annotated[str, Field(pattern=r"^\P{Cc}{0,255}$")] | None = None


class SessionServiceChange(RequestBody):
    """PATCH of the SessionService. Only what was given counts; seconds."""

    model_config = ConfigDict(extra="forbid")

    service_enabled: bool = True
    session_timeout: Annotated[int, Field(ge=30, le=86400)] = 30
