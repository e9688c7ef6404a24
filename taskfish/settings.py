"""Everything about Taskfish that an operator may set, read from TASKFISH_* variables.

Each field is one row of docs/configuration.md. Temporal's own connection settings
(TEMPORAL_*) are read by temporalio's envconfig, not here.
"""

from typing import Annotated, Literal

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
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
    owner_only: bool = False
    """Whether tasks are seen by their owner and by ConfigureManager only."""
    min_password_length: Annotated[int, Field(ge=8, le=128)] = 8
    account_lockout_threshold: Annotated[int, Field(ge=0)] = 5
    """How many failed logins lock an account; 0 for never."""
    account_lockout_duration: Annotated[int, Field(ge=0)] = 60
    account_lockout_counter_reset_after: Annotated[int, Field(ge=0)] = 60
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
    deadline_reset: Seconds = 1800
    """How long a reset may take in all; then it is aborted."""
    deadline_update: Seconds = 14400
    """As deadline_reset, for the actions of UpdateService."""
    deadline_volume: Seconds = 86400
    """As deadline_reset, for volumes and drives: they may be initialized or erased."""
    deadline_other: Seconds = 3600
    """As deadline_reset, for every other change."""
    abort_grace: Seconds = 30
    """How long a source may take to abort what has passed its deadline."""
    conflict: Literal["allow", "reject", "queue"] = "allow"
    """What becomes of a change of a machine that another one is changing."""
    queue_timeout: Seconds = 3600
    """How long a queued change waits for its turn."""
    wait_settings: Annotated[float, Field(ge=0, le=60)] = 5
    """How long PATCH, PUT, SetDefaultBootOrder and changes of a BMC's accounts and
    certificates wait for their final answer."""
    wait_media: Annotated[float, Field(ge=0, le=60)] = 30
    """As wait_settings, for InsertMedia and EjectMedia."""
    wait_other: Annotated[float, Field(ge=0, le=60)] = 0
    """As wait_settings, for every other change."""
    accepted: Literal["conformant", "sushy", "location"] = "conformant"
    """In which form an accepted change is answered (docs/clients.md)."""
    cancelled: Literal["keep", "remove"] = "keep"
    """Whether a cancelled task stays readable or goes when it has ended."""
    inventory_refresh: Seconds = 300
    health_check: Seconds = 30
    task_monitor_auto_expiry: Seconds = 3600
    task_auto_delete_minutes: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1440
    """How long an ended task is kept, in minutes."""
    completed_task_overwrite_policy: Literal["Oldest", "Manual"] = "Oldest"
    """Whether ended tasks go by themselves, the oldest first, or stay."""
    remove_tasks_with_source: bool = False
    """Whether removing a source removes its ended tasks too."""
    max_waiting_tasks: Annotated[int, Field(ge=1)] = 2000
    """Tasks that one worker process follows at once."""
    max_concurrent_submits: Annotated[int, Field(ge=1)] = 500

    @field_validator("account_lockout_counter_reset_after")
    @classmethod
    def check_reset(cls, value: int, info: ValidationInfo) -> int:
        """Failed logins are not remembered for longer than they lock (AccountService).

        With a duration of 0 nothing is locked, whatever it is.
        """
        duration = info.data.get("account_lockout_duration", 0)
        if duration and value > duration:
            raise ValueError("must not be more than TASKFISH_ACCOUNT_LOCKOUT_DURATION")
        return value

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
