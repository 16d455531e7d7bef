"""What differs from one database to the next: one adapter for each, chosen where one is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from engine.dialects.dialect import Dialect
from engine.dialects.postgresql import Postgresql
from engine.dialects.sqlite import Sqlite

# By the name that SQLAlchemy has for them.
DIALECTS: Final[Mapping[str, Dialect]] = {one.name: one for one in (Postgresql(), Sqlite())}


def dialect_of(connection: Connection) -> Dialect:
    """The adapter of the database that *connection* leads to."""
    return DIALECTS[connection.dialect.name]
