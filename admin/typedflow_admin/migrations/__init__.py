"""What made the tables as they are: one revision after another, run when a server starts.

A new database gets today's tables at once, which a test holds to be what all the revisions make; alembic is loaded only
when there is something to migrate, for it is slow to load.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, insert, inspect, select

from typedflow import errors
from typedflow_admin import tables
from typedflow_admin.database import OWNER

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0004"
"""The newest revision."""

# As alembic makes it.
_versions = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def upgrade(engine: Engine) -> None:
    """Brings the database to the newest revision, or does nothing when it has it.

    Raises:
        UsageError: when the database was made by a newer release.
    """
    with engine.begin() as connection:
        if not {*inspect(connection).get_table_names()} - {OWNER}:
            tables.metadata.create_all(connection)
            _versions.create(connection)
            connection.execute(insert(_versions), {"version_num": HEAD})
        elif connection.execute(select(_versions.c.version_num)).scalar() != HEAD:
            migrate(connection)


def migrate(connection: Connection) -> None:
    """Runs the revisions that the database does not have yet.

    Raises:
        UsageError: when the database was made by a newer release.
    """
    from alembic import command  # noqa: PLC0415 - slow to load, and rarely needed
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(configured(connection), "head")
    except CommandError as error:
        raise errors.UsageError(
            f"the database was made by a newer typedflow: {error}",
            where=connection.engine.url.render_as_string(hide_password=True),
            hint="upgrade typedflow, or start with another home",
            code="NewerDatabase",
        ) from None


def configured(connection: Connection) -> Config:
    """What alembic's commands need to work on a connection."""
    from alembic.config import Config  # noqa: PLC0415 - slow to load, and rarely needed

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
