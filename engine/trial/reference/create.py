"""Create the tables of the reference SIS, and fill them."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from sqlalchemy import Engine, inspect

from engine.database import Database
from engine.errors import ConfigError
from engine.trial.reference.populate import populate
from engine.trial.reference.sample import SampleSchool


class NewSis(NamedTuple):
    """A reference SIS that was just made: the database's name, and whom one meets in it."""

    database: str
    sample: SampleSchool


def create_sis(url: str, students: int) -> NewSis:
    """Make a reference SIS with so many students.

    Raises ConfigError unless the database is empty.
    """
    database = Database(url)
    try:
        require_empty(database, "Name an empty one: this fills it.")
        create(database.engine)
        with database.write() as connection:
            return NewSis(database.name, populate(connection, students))
    finally:
        database.close()


def create(engine: Engine) -> None:
    """Create the reference SIS in an empty SQLite or PostgreSQL database, all of it or nothing."""
    script = files(__package__).joinpath(f"{engine.dialect.name}.sql").read_text("utf-8")
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def require_empty(database: Database, remedy: str) -> None:
    """Raise ConfigError with *remedy* unless there is no table at all in *database*."""
    with database.read() as connection:
        if inspect(connection).get_table_names():
            raise ConfigError(f"The database {database.name} is not empty.", remedy)
