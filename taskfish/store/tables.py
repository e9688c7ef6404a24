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
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
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
    Column("password", LargeBinary),
    Column("options", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("task_id", String(255), nullable=False),
    Column("uuid", String(64)),
    Column("has_accounts", Boolean, nullable=False, default=False),
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
    Column("before", LargeBinary),
    Column("answer", LargeBinary),
    Column("final", LargeBinary),
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
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)

# When the monitor of an ended task was first read: it expires from then on.
monitor_reads = Table(
    "monitor_reads",
    metadata,
    Column("workflow_id", String(255), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("first_read_at", Moment, nullable=False),
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
