"""Create the tables of the reference SIS."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Engine

from engine.errors import ConfigError


def create(engine: Engine) -> None:
    """Create the reference SIS in an empty database, all of it or nothing."""
    with engine.begin() as connection:
        for statement in _script(engine.dialect.name).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def _script(dialect: str) -> str:
    script = files(__package__).joinpath(f"{dialect}.sql")
    if not script.is_file():
        raise ConfigError(
            f"The reference SIS does not exist for {dialect}.", "Use SQLite or PostgreSQL."
        )
    return script.read_text("utf-8")
