"""The event log, who gets events, and what sources say of their tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the log, the subscriptions to it and those at sources."""
    op.create_table(
        "events",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("message", sa.JSON, nullable=False),
        sa.Column("origin", sa.String(1024), nullable=False),
        sa.Column("resource_type", sa.String(64), nullable=False),
        sa.Column("concerns", sa.JSON, nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("task_id", sa.String(255)),
        sa.Column("run_id", sa.String(64)),
        sa.Column("step", sa.String(32)),
        sa.Column("percent", sa.Integer),
        sa.Column("outcome", sa.LargeBinary),
        sa.Column("given", sa.JSON),
        sa.UniqueConstraint("task_id", "run_id", "step", name="events_step"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_at", "events", ["at"])
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("destination", sa.String(2048), nullable=False),
        sa.Column("context", sa.String(1024), nullable=False),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.Column("http_headers", sa.LargeBinary),
        sa.Column("verify_certificate", sa.Boolean, nullable=False),
        sa.Column("retry_policy", sa.String(32), nullable=False),
        sa.Column("heartbeat_minutes", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("cursor", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True)),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "task_news",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "source",
            sa.String(32),
            sa.ForeignKey("sources.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("plugin_task", sa.String(1024), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "source_subscriptions",
        sa.Column(
            "source",
            sa.String(32),
            sa.ForeignKey("sources.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("uri", sa.String(1024)),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
