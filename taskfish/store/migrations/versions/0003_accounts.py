"""Accounts of the gateway itself."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the accounts; the administrator of the settings has no row."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("password", sa.String(255), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("password_change_required", sa.Boolean, nullable=False),
        sa.Column("accepted", sa.String(16)),
        sa.Column("failed_logins", sa.Integer, nullable=False),
        sa.Column("failed_at", moment),
        sa.Column("locked_until", moment),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
