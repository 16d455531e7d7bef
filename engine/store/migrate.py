"""Bring the engine's own tables to the newest revision, or take them away."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import migrations
from engine.database import Database
from engine.errors import Misconfigured
from engine.store.schema import EVERY_TABLE
from engine.store.tables import PREFIX

VERSION_TABLE: Final = f"{PREFIX}version"


def upgrade(database: Database, revision: str = "head") -> None:
    """Create or alter the engine's tables up to *revision*; nothing of the SIS is touched."""
    with database.write() as connection:
        command.upgrade(_alembic(connection), revision)


def downgrade(database: Database, revision: str = "base") -> None:
    """Take the engine's tables back to *revision*, with what they hold."""
    with database.write() as connection:
        command.downgrade(_alembic(connection), revision)


def current(database: Database) -> str | None:
    """The revision that the database is at; None when the engine was never installed there."""
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


@cache
def newest() -> str | None:
    """The revision that this release needs."""
    return ScriptDirectory.from_config(_alembic(None)).get_current_head()


def analyze(database: Database) -> None:
    """Let the planner know how much is in the tables that were just filled."""
    with database.read() as connection:
        database.dialect.analyze(connection, list(EVERY_TABLE.tables))


def require_newest(database: Database) -> None:
    """Raise Misconfigured, with the remedy, unless the database is at this release's revision."""
    found, needed = current(database), newest()
    if found is None:
        raise Misconfigured(
            f"The database {database.name} has no tables of Schoolbell.",
            "Run `schoolbell install`.",
        )
    if found != needed:
        raise Misconfigured(
            f"The database {database.name} is at revision {found}; this release needs {needed}.",
            "Run `schoolbell install` with this release.",
        )


def _alembic(connection: object) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config
