"""Create the tables of the reference SIS."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Engine


def create(engine: Engine) -> None:
    """Create the reference SIS in an empty SQLite or PostgreSQL database, all of it or nothing."""
    script = files(__package__).joinpath(f"{engine.dialect.name}.sql").read_text("utf-8")
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
