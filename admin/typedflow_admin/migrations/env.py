"""Alembic's entry: runs the migrations on the connection that it is given.

The server upgrades when it starts (`migrations.upgrade`); there is no alembic.ini and no offline mode.
"""

from alembic import context

from typedflow_admin import tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=tables.metadata,
    # SQLite can't alter a table: alembic makes a new one and copies.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
