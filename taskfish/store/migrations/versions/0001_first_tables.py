"""The first tables: sources, inventory, journal, secrets, monitors, namespaces."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table of the first release."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sources",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(128)),
        sa.Column("place", sa.String(512), nullable=False, unique=True),
        sa.Column("host_name", sa.String(512), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("user_name", sa.String(255)),
        sa.Column("password", sa.LargeBinary),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("task_id", sa.String(255), nullable=False),
        sa.Column("uuid", sa.String(64)),
        sa.Column("has_accounts", sa.Boolean, nullable=False),
        sa.Column("refused_at", moment),
        sa.Column("down_since", moment),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_table(
        "members",
        sa.Column(
            "source",
            sa.String(32),
            sa.ForeignKey("sources.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("collection", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("uuid", sa.String(64)),
        sa.Column("power_state", sa.String(32)),
        sa.Column("allowable_values", sa.JSON, nullable=False),
    )
    op.create_table(
        "journal",
        sa.Column("workflow_id", sa.String(255), primary_key=True),
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("step", sa.String(64), primary_key=True),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("sent_at", moment, nullable=False),
        sa.Column("fenced", sa.Boolean, nullable=False),
        sa.Column("before", sa.LargeBinary),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("final", sa.LargeBinary),
        sa.Column("plugin_task", sa.String(1024)),
        sa.Column("plugin_task_started", moment),
        sa.Column("created", sa.String(1024)),
    )
    op.create_index("journal_plugin_task", "journal", ["source", "plugin_task"])
    op.create_index("journal_sent_at", "journal", ["sent_at"])
    op.create_table(
        "secret_bodies",
        sa.Column("reference", sa.String(64), primary_key=True),
        sa.Column("task_id", sa.String(255), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_table(
        "monitor_reads",
        sa.Column("workflow_id", sa.String(255), primary_key=True),
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("first_read_at", moment, nullable=False),
    )
    op.create_table(
        "service",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(255), nullable=False),
    )
    op.create_table(
        "schema_namespaces",
        sa.Column("namespace", sa.String(255), primary_key=True),
    )
