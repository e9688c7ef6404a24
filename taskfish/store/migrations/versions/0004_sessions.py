"""Sessions of the gateway's accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the sessions."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("token", sa.String(64), nullable=False, unique=True),
        sa.Column("user_name", sa.String(255), nullable=False),
        sa.Column("credential", sa.String(64), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=False),
        sa.Column("address", sa.String(64)),
        sa.Column("context", sa.String(255)),
    )
    op.create_index("sessions_user_name", "sessions", ["user_name"])
