"""Alembic's entry: runs on the connection that `taskfish.store.database` gives it."""

from alembic import context
from sqlalchemy import Connection

from taskfish.store.tables import metadata

_UPGRADE_LOCK = 7_283_001
"""Any constant: two processes that upgrade one PostgreSQL database take turns."""

connection: Connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
