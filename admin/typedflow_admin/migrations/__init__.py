"""What made the tables as they are: one revision after another, run when a server starts."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from typedflow import errors


def upgrade(engine: Engine) -> None:
    """Brings the database to the newest revision, or does nothing when it has it.

    Raises:
        UsageError: when the database was made by a newer release.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == script.get_current_head():
            return
        _check_known(script, current, connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _check_known(script: ScriptDirectory, current: str | None, connection: Connection) -> None:
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        raise errors.UsageError(
            f"the database was made by a newer typedflow (revision {current})",
            where=connection.engine.url.render_as_string(hide_password=True),
            hint="upgrade typedflow, or start with another home",
            code="NewerDatabase",
        )
