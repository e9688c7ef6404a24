"""Requests that end tasks, for lists that visibility has not told of them yet."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Tell the requests that end a task from those that start one."""
    op.add_column(
        "requests",
        sa.Column("ends_task", sa.Boolean, nullable=False, server_default=sa.false()),
    )
