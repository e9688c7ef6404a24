"""The tables of the store. A change here needs a migration in `migrations/versions`."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
)

metadata = MetaData()


class Moment(TypeDecorator[datetime]):
    """A time in UTC: SQLite would give it back without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        """Store UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(
        self, value: datetime | None, dialect: Dialect
    ) -> datetime | None:
        """Give back UTC, with its zone."""
        return value.replace(tzinfo=UTC) if value and not value.tzinfo else value


class Sealed(TypeDecorator[bytes]):
    """A value under the encryption keys: `taskfish keys rotate` seals it anew."""

    impl = LargeBinary
    cache_ok = True


# An AggregationSource. `state` is "adding" until its workflow has succeeded; `place`
# is where it is reached, so that no host is added twice; `password` is sealed.
sources = Table(
    "sources",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128)),
    Column("place", String(512), nullable=False, unique=True),
    Column("host_name", String(512), nullable=False),
    Column("method", String(16), nullable=False),
    Column("user_name", String(255)),
    Column("password", Sealed),
    Column("options", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("task_id", String(255), nullable=False),
    Column("uuid", String(64)),
    Column("has_accounts", Boolean, nullable=False, default=False),
    Column("has_tasks", Boolean, nullable=False, default=True),
    Column("refused_at", Moment),
    Column("down_since", Moment),
    Column("created_at", Moment, nullable=False),
)

# The inventory: one row a member of a prefixed collection (contracts.md 1).
members = Table(
    "members",
    metadata,
    Column(
        "source",
        String(32),
        ForeignKey("sources.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("collection", String(64), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("uuid", String(64)),
    Column("power_state", String(32)),
    Column("allowable_values", JSON, nullable=False),
)

# The journal that makes "sent once" (contracts.md 3): the row is there before the
# request leaves. `answer`, `final` and `before` are sealed JSON; a task of a source is
# told from another that had its URI by its StartTime; `created` is a new resource.
journal = Table(
    "journal",
    metadata,
    Column("workflow_id", String(255), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("step", String(64), primary_key=True),
    Column("source", String(32), nullable=False),
    Column("sent_at", Moment, nullable=False),
    Column("fenced", Boolean, nullable=False, default=False),
    Column("before", Sealed),
    Column("answer", Sealed),
    Column("final", Sealed),
    Column("plugin_task", String(1024)),
    Column("plugin_task_started", Moment),
    Column("created", String(1024)),
)
Index("journal_plugin_task", journal.c.source, journal.c.plugin_task)
Index("journal_sent_at", journal.c.sent_at)

# Bodies that hold secrets, sealed, until the end of their task.
secret_bodies = Table(
    "secret_bodies",
    metadata,
    Column("reference", String(64), primary_key=True),
    Column("task_id", String(255), nullable=False),
    Column("body", Sealed, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# When the monitor of an ended task was first read: it expires from then on. A removed
# one is there no more.
monitor_reads = Table(
    "monitor_reads",
    metadata,
    Column("workflow_id", String(255), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("first_read_at", Moment, nullable=False),
    Column("removed", Boolean, nullable=False, default=False),
)

# Named groups of machines: `elements` are their URIs, `revision` tells two versions
# apart.
aggregates = Table(
    "aggregates",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("elements", JSON, nullable=False),
    Column("revision", Integer, nullable=False, default=1),
    Column("created_at", Moment, nullable=False),
)

# Every change that was asked for, before its task starts (contracts.md 6). `token` is
# one start, kept in the task's memo too; `digest`, sealed, tells whether a repeated
# key comes with the same request. With `ends_task` it is one to end a task.
requests = Table(
    "requests",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("owner", String(255), nullable=False),
    Column("key", String(255)),
    Column("digest", Sealed),
    Column("task_id", String(255), nullable=False),
    Column("run_id", String(64)),
    Column("made_at", Moment, nullable=False),
    Column("ends_task", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("owner", "key", name="requests_owner_key"),
)
Index("requests_task_id", requests.c.task_id)
Index("requests_made_at", requests.c.made_at)

# Who is on a machine, and who waits behind (D13): first come, first served. A place
# counts only while the run is open whose memo has the same token.
turns = Table(
    "turns",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("target", String(255), nullable=False),
    Column("task_id", String(255), nullable=False),
    Column("token", String(32), nullable=False),
    Column("taken_at", Moment, nullable=False),
)
Index("turns_target", turns.c.target)
Index("turns_token", turns.c.token)

# Changes that are sent just before the next reset of a system. `resetting` is the task
# that is about to reset it and waits for them.
reset_waits = Table(
    "reset_waits",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("system", String(255), primary_key=True),
    Column("task_id", String(255), nullable=False),
    Column("resetting", String(255)),
    Column("since", Moment, nullable=False),
)

# What there is once for all processes: the service's UUID.
service = Table(
    "service",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(255), nullable=False),
)

# Every @odata.type namespace that a source's answers have shown, for $metadata.
schema_namespaces = Table(
    "schema_namespaces",
    metadata,
    Column("namespace", String(255), primary_key=True),
)

# The accounts of the gateway itself; `password` is an argon2 hash. `failed_logins`
# counts since the last success; `locked_until` is null unless too many have failed;
# `revision` tells two versions of a row apart.
accounts = Table(
    "accounts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(32), nullable=False),
    Column("password", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("password_change_required", Boolean, nullable=False),
    Column("accepted", String(16)),
    Column("failed_logins", Integer, nullable=False, default=0),
    Column("failed_at", Moment),
    Column("locked_until", Moment),
    Column("revision", Integer, nullable=False, default=1),
    Column("created_at", Moment, nullable=False),
)

# The audit log, oldest first: the numbers rise and none is given twice. `user` is null
# where nobody proved to be one; `repeated` counts the same again soon after.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("event", String(16), nullable=False),
    Column("user", String(255)),
    Column("address", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("status", Integer, nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("task_id", String(255)),
    Column("repeated", Integer, nullable=False, default=0),
    sqlite_autoincrement=True,
)
Index("audit_at", audit.c.at)

# Who is logged in by a session. `token` is the hash of what the client has, and
# `credential` tells whether the account's password is still the one of the login.
sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("token", String(64), nullable=False, unique=True),
    Column("user_name", String(255), nullable=False),
    Column("credential", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment, nullable=False),
    Column("address", String(64)),
    Column("context", String(255)),
)
Index("sessions_user_name", sessions.c.user_name)

# The event log (D9): one row a transition of a task, and one a resource that came or
# went. Readers see the positions in their order. `step` tells the rows of a run apart
# (`state-2`, `percent-40`, `end`, `removed`); `origin` is the URI that it is about,
# `concerns` are others, as a task's machines. The row of an end has the outcome,
# sealed: whoever decides it again gets the first decision. `given` is a test event as
# its client submitted it.
events = Table(
    "events",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("message", JSON, nullable=False),
    Column("origin", String(1024), nullable=False),
    Column("resource_type", String(64), nullable=False),
    Column("concerns", JSON, nullable=False),
    Column("owner", String(255)),
    Column("task_id", String(255)),
    Column("run_id", String(64)),
    Column("step", String(32)),
    Column("percent", Integer),
    Column("outcome", Sealed),
    Column("given", JSON(none_as_null=True)),
    UniqueConstraint("task_id", "run_id", "step", name="events_step"),
    sqlite_autoincrement=True,
)
Index("events_at", events.c.at)

# Who gets events: EventDestinations, and open streams while they are open. `filters`
# are what they ask for, `http_headers` sealed JSON. `cursor` is the last position
# delivered, `seen_at` when the process of a stream has last shown that it is open;
# `revision` tells two versions apart.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("name", String(255)),
    Column("destination", String(2048), nullable=False),
    Column("context", String(1024), nullable=False),
    Column("filters", JSON, nullable=False),
    Column("http_headers", Sealed),
    Column("verify_certificate", Boolean, nullable=False),
    Column("retry_policy", String(32), nullable=False),
    Column("heartbeat_minutes", Integer),
    Column("state", String(16), nullable=False),
    Column("cursor", Integer, nullable=False),
    Column("seen_at", Moment),
    Column("revision", Integer, nullable=False, default=1),
    Column("created_at", Moment, nullable=False),
)

# What sources have said of their tasks: it wakes who waits for them, and is forgotten
# after a minute. `plugin_task` is the task's or its monitor's URI there.
task_news = Table(
    "task_news",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column(
        "source",
        String(32),
        ForeignKey("sources.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("plugin_task", String(1024), nullable=False),
    sqlite_autoincrement=True,
)

# The gateway's own subscription at a source: its URI there, and the hash of the token
# that the source sends with its events.
source_subscriptions = Table(
    "source_subscriptions",
    metadata,
    Column(
        "source",
        String(32),
        ForeignKey("sources.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("uri", String(1024)),
    Column("token", String(64), nullable=False),
    Column("made_at", Moment, nullable=False),
)
