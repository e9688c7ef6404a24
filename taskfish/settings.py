"""Everything about Taskfish that an operator may set, read from TASKFISH_* variables.

Each field is one row of docs/configuration.md. Temporal's own connection settings
(TEMPORAL_*) are read by temporalio's envconfig, not here.
"""

from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from taskfish.errors import ConfigurationError

Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Settings of one process. Durations are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="TASKFISH_", frozen=True)

    admin_username: Annotated[str, Field(min_length=1)] = "admin"
    admin_password: Annotated[SecretStr, Field(min_length=1)] | None = None
    database_url: str = "sqlite+aiosqlite:///taskfish.db"
    encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Base64 keys of 32 bytes, comma-separated: the first encrypts, all decrypt."""
    task_queue: str = "taskfish"
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 1 << 20
    max_json_depth: Annotated[int, Field(ge=8, le=256)] = 64

    heartbeat_timeout: Seconds = 10
    submit_deadline: Seconds = 120
    """How long a change is tried to be sent, and a lost one is looked for."""
    submit_answer_timeout: Seconds = 300
    """How long a source may take to answer a change."""
    read_timeout: Seconds = 30
    connect_timeout: Seconds = 5
    interrupted_after: Seconds = 60
    interrupted_after_update: Seconds = 900
    """As interrupted_after, for UpdateService actions and Manager.Reset."""
    inventory_refresh: Seconds = 300
    health_check: Seconds = 30
    task_monitor_auto_expiry: Seconds = 3600
    max_waiting_tasks: Annotated[int, Field(ge=1)] = 2000
    """Tasks that one worker process follows at once."""
    max_concurrent_submits: Annotated[int, Field(ge=1)] = 500

    @field_validator("encryption_keys", mode="before")
    @classmethod
    def split_keys(cls, value: object) -> object:
        """One variable holds several keys, separated by commas."""
        if not isinstance(value, str):
            return value
        return tuple(key.strip() for key in value.split(",") if key.strip())


def load_settings() -> Settings:
    """Read TASKFISH_*; raise ConfigurationError naming every variable at fault."""
    try:
        return Settings()
    except ValidationError as error:
        problems = (
            f"TASKFISH_{'_'.join(map(str, detail['loc'])).upper()}: {detail['msg']}"
            for detail in error.errors(include_input=False)
        )
        raise ConfigurationError("; ".join(problems)) from error
