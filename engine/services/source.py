"""A source definition before it is used: drafted from a database, and tried on real rows."""

from __future__ import annotations

from contextlib import closing

from engine.database import Database
from engine.sources.draft.looking import look
from engine.sources.draft.writing import Drafted as Drafted  # the answer of draft
from engine.sources.draft.writing import write


def draft(url: str, schema: str | None) -> Drafted:
    """The beginnings of a definition for the database at *url*, which is only read.

    Raises ConfigError where there is nothing to look at, and what the database raises.
    """
    with closing(Database(url, read_only=True)) as database:
        return write(database.name, look(database, schema), database.engine.dialect)
