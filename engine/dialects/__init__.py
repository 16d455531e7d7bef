"""What differs from one database to the next: one adapter for each, chosen where one is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Final

from sqlalchemy import Connection

from engine.dialects.dialect import Dialect

_ADAPTERS: Final = {
    "postgresql": ("engine.dialects.postgresql.adapter", "Postgresql"),
    "sqlite": ("engine.dialects.sqlite.adapter", "Sqlite"),
}


class _Dialects(Mapping[str, Dialect]):
    """An adapter is imported, and its driver with it, when it is first asked for."""

    def __getitem__(self, name: str) -> Dialect:
        return _made(*_ADAPTERS[name])

    def __iter__(self) -> Iterator[str]:
        return iter(_ADAPTERS)

    def __len__(self) -> int:
        return len(_ADAPTERS)


# By the name that SQLAlchemy has for them.
DIALECTS: Final[Mapping[str, Dialect]] = _Dialects()


def dialect_of(connection: Connection) -> Dialect:
    """The adapter of the database that *connection* leads to."""
    return DIALECTS[connection.dialect.name]


@cache
def _made(module: str, adapter: str) -> Dialect:
    made: Dialect = getattr(import_module(module), adapter)()
    return made
