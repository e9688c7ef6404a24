"""Task control: requests, turns and changes that wait for a reset."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what makes a request once, in turn, or at the next reset."""
    moment = sa.DateTime(timezone=True)
    op.add_column(
        "sources",
        sa.Column("has_tasks", sa.Boolean, nullable=False, server_default=sa.true()),
    )
    op.add_column(
        "monitor_reads",
        sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "requests",
        sa.Column("token", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("key", sa.String(255)),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("task_id", sa.String(255), nullable=False),
        sa.Column("run_id", sa.String(64)),
        sa.Column("made_at", moment, nullable=False),
        sa.UniqueConstraint("owner", "key", name="requests_owner_key"),
    )
    op.create_index("requests_task_id", "requests", ["task_id"])
    op.create_index("requests_made_at", "requests", ["made_at"])
    op.create_table(
        "turns",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("task_id", sa.String(255), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("taken_at", moment, nullable=False),
    )
    op.create_index("turns_target", "turns", ["target"])
    op.create_index("turns_token", "turns", ["token"])
    op.create_table(
        "reset_waits",
        sa.Column("token", sa.String(32), primary_key=True),
        sa.Column("system", sa.String(255), primary_key=True),
        sa.Column("task_id", sa.String(255), nullable=False),
        sa.Column("resetting", sa.String(255)),
        sa.Column("since", moment, nullable=False),
    )
