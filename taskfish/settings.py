"""Everything about Taskfish that an operator may set, read from TASKFISH_* variables.

Each field is one row of docs/configuration.md. Temporal's own connection settings
(TEMPORAL_*) are read by temporalio's envconfig, not here.
"""

from ipaddress import ip_network
from pathlib import Path
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
from taskfish.rates import parse_rate

SHORTEST_PASSWORD = 8
"""The least that an account's password may be asked to have, in characters."""
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Settings of one process. Durations are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="TASKFISH_", frozen=True, hide_input_in_errors=True
    )

    admin_username: Annotated[str, Field(min_length=1)] = "admin"
    admin_password: SecretStr | None = None
    database_url: str = "sqlite+aiosqlite:///taskfish.db"
    encryption_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Base64 keys of 32 bytes, comma-separated: the first encrypts, all decrypt."""
    baremetal_auth: Literal["basic", "none"] = "basic"
    """Whether /baremetal needs a login; without one it is for this machine only."""
    baremetal_error_seconds: Seconds = 60
    """How long a node's power state is `error` after an abort, if nothing follows."""
    temporal_ui_origin: Annotated[str, Field(pattern=r"^https?://[^/\s*]+$")] | None = (
        None
    )
    """Where browsers have Temporal's Web UI from: it may use the codec at /codec."""
    hide_payload: Literal["never", "secrets", "always"] = "never"
    """Which tasks do not show their request: those with a secret in it, all or none."""
    task_queue: str = "taskfish"
    owner_only: bool = False
    """Whether tasks are seen by their owner and by ConfigureManager only."""
    min_password_length: Annotated[int, Field(ge=SHORTEST_PASSWORD, le=128)] = 8
    account_lockout_threshold: Annotated[int, Field(ge=0)] = 5
    """How many failed logins lock an account; 0 for never."""
    account_lockout_duration: Annotated[int, Field(ge=0)] = 60
    account_lockout_counter_reset_after: Annotated[int, Field(ge=0)] = 60
    session_timeout: Annotated[int, Field(ge=30, le=86400)] = 1800
    """After how long without a request a session ends."""
    max_sessions: Annotated[int, Field(ge=1)] = 1000
    login_rate: str = "30/minute"
    """How many logins from one address may fail before it has to wait."""
    login_rate_per_name: str = "300/minute"
    """As login_rate, for one user name from all addresses together."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 20)] = 1 << 20
    max_json_depth: Annotated[int, Field(ge=8, le=256)] = 64
    tls_cert: Path | None = None
    """PEM file: the API's certificate and what leads to its authority, leaf first."""
    tls_key: Path | None = None
    """PEM file: the private key of tls_cert, not encrypted."""
    plain_http: Literal["yes-without-encryption"] | None = None
    """Whether the API serves plain HTTP to other machines."""
    request_timeout: Seconds = 30
    """How long a client may take to send one request, and to read what it is sent."""
    max_connections: Annotated[int, Field(ge=1)] = 2000
    """How many connections to clients an API process has at once."""
    trusted_proxies: str = ""
    """Addresses of proxies whose X-Forwarded-For is believed, comma-separated."""
    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")] = "http://127.0.0.1:8000"
    """Where the command has the API, as a client; this and the next three."""
    username: str = "admin"
    password: SecretStr | None = None
    ca: Path | None = None
    """PEM file: whom the command trusts as the API's certificate authority."""
    allow_local_addresses: bool = False
    """Whether sources and subscribers may be at loopback, link-local and such."""

    audit_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How long a record of the audit log is kept, in days."""
    audit_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """How many records of the audit log are kept of each event, the newest."""

    public_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")] | None = None
    """Where BMCs and plugins reach this gateway to send it their events."""
    kafka_brokers: str = ""
    """Brokers of the bus of ODIM plugins, as host:port, comma-separated."""
    kafka_topics: Annotated[str, Field(min_length=1)] = "TASK-EVENTS-TOPIC"
    """Topics with the plugins' task events, comma-separated."""
    kafka_group: Annotated[str, Field(min_length=1)] = "taskfish"
    kafka_security_protocol: Literal[
        "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca: Path | None = None
    """PEM file: whom the worker trusts as the brokers' certificate authority."""
    event_days: Annotated[int, Field(ge=1, le=3650)] = 7
    """How long an event is kept in the log, in days."""
    event_entries: Annotated[int, Field(ge=100, le=10_000_000)] = 200_000
    """How many events are kept in the log, the newest."""
    max_subscriptions: Annotated[int, Field(ge=1)] = 100
    """How many subscriptions there may be, open streams not counted."""
    max_streams: Annotated[int, Field(ge=1)] = 1500
    """How many streams of events an API process has open at once."""
    stream_keepalive: Seconds = 15
    """How often a stream on which nothing happens shows that it is open."""
    delivery_retry_attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    """How often an event is sent again before its subscription ends or is suspended."""
    delivery_retry_interval: Seconds = 30
    """How long after a failed delivery the next one is tried."""
    delivery_timeout: Seconds = 10
    """How long a subscriber may take to accept events."""

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
    adoption_interval: Seconds = 30
    """How often a source is asked for tasks that others have started there."""
    task_monitor_auto_expiry: Seconds = 3600
    task_auto_delete_minutes: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1440
    """How long an ended task is kept, in minutes."""
    completed_task_overwrite_policy: Literal["Oldest", "Manual"] = "Oldest"
    """Whether ended tasks go by themselves, the oldest first, or stay."""
    remove_tasks_with_source: bool = False
    """Whether removing a source removes its ended tasks too."""
    max_waiting_tasks: Annotated[int, Field(ge=1)] = 2000
    """Tasks that one worker process follows at once."""
    max_tasks_per_source: Annotated[int, Field(ge=0)] = 1000
    """How many tasks of one source may be open before no more start; 0 for any."""
    max_tasks_per_account: Annotated[int, Field(ge=0)] = 10_000
    """As max_tasks_per_source, for the tasks that one account has started."""
    bulk_at_once: Annotated[int, Field(ge=1, le=200)] = 50
    """How many steps of one bulk operation are in flight at once."""
    bulk_steps_a_run: Annotated[int, Field(ge=0)] = 0
    """After how many steps a bulk operation goes on as a new run; 0: when Temporal
    suggests it."""
    max_concurrent_submits: Annotated[int, Field(ge=1)] = 500

    @field_validator("admin_password")
    @classmethod
    def check_admin_password(cls, value: SecretStr | None) -> SecretStr | None:
        """The administrator is never locked: its password may not be a short one."""
        if value is not None and len(value.get_secret_value()) < SHORTEST_PASSWORD:
            raise ValueError(f"must have at least {SHORTEST_PASSWORD} characters")
        return value

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

    @field_validator("login_rate", "login_rate_per_name")
    @classmethod
    def check_rate(cls, value: str) -> str:
        """A rate has a form of its own."""
        parse_rate(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def check_proxies(cls, value: str) -> str:
        """Believing everybody would let any client choose its address."""
        try:
            given = [ip_network(each.strip()) for each in value.split(",") if value]
        except ValueError:
            raise ValueError("must be addresses or networks, comma-separated") from None
        if not all(network.prefixlen for network in given):
            raise ValueError("must not be addresses or networks of everybody (/0)")
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
