"""Values as PostgreSQL gives them, also those that the driver cannot turn into Python's.

The driver raises for a whole result where one row holds a day beyond 9999, infinity, or JSON that
is nested too deeply. Such a value is taken as its text, and whoever reads the row judges it.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.types.string import TextLoader

_MAY_BE_REFUSED: Final = (
    "date", "timestamp", "timestamptz", "time", "timetz", "interval", "json", "jsonb",
)  # fmt: skip


def load_whatever_comes(connection: psycopg.Connection[Any]) -> None:
    """Let no value of a row stop a result.

    Blanks at the end of a char(n) are none to PostgreSQL, whose casts to text leave them out.
    """
    known = connection.adapters
    for name in _MAY_BE_REFUSED:
        known.register_loader(name, _or_its_text(_usual(connection, name)))
    known.register_loader("bpchar", _without_blanks(_usual(connection, "bpchar")))


def _usual(connection: psycopg.Connection[Any], name: str) -> type[Any]:
    known = connection.adapters
    found = known.get_loader(known.types[name].oid, psycopg.pq.Format.TEXT)
    return found or TextLoader


def _or_its_text(usual: type[Any]) -> type[Loader]:
    class OrItsText(Loader):
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = usual(oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._load(data)
            except (psycopg.DataError, ValueError, RecursionError, NotImplementedError):
                return bytes(data).decode(errors="replace")

    return OrItsText


def _without_blanks(usual: type[Any]) -> type[Loader]:
    class WithoutBlanks(Loader):
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = usual(oid, context).load

        def load(self, data: Buffer) -> Any:
            return self._load(data).rstrip(" ")

    return WithoutBlanks
