"""Patience: how long a query may take, and which are left alone because they took longer.

A query that becomes slow would hold up whatever waits behind it, again with each batch. So one
that had to be ended is not asked for a while: it fails at once, for the changes that need it
alone. Then it is asked again, and left alone for longer where it is still slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import SlowQuery
from engine.sources.definition import Query
from engine.sources.queries import asking

_FIRST_PAUSE: Final = 60.0  # seconds
_LONGEST_PAUSE: Final = 300.0


class _Pause(NamedTuple):
    """Until when a query is left alone, and for how long that is."""

    until: float
    length: float
    error: SlowQuery


class Patience:
    """What one process knows of slow queries. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}

    @contextmanager
    def asking(
        self, database: Database, connection: Connection, name: str, query: Query
    ) -> Iterator[None]:
        """Ask the query of this *name* by a connection of `Database.limited`.

        Raises SlowQuery where it takes longer than it may, or did lately; else as
        `queries.asking` does.
        """
        pause = self._pauses.get(name)
        if pause and self._clock() < pause.until:
            raise pause.error
        try:
            with asking(database, name):
                database.dialect.limit(connection, query.timeout)
                yield
        except SlowQuery as error:
            length = min(pause.length * 2, _LONGEST_PAUSE) if pause else _FIRST_PAUSE
            self._pauses[name] = _Pause(self._clock() + length, length, error)
            raise
        if pause:
            self._pauses.pop(name, None)

    def again(self) -> None:
        """Leave nothing alone any more: somebody wants to know."""
        self._pauses = {
            name: pause._replace(until=self._clock()) for name, pause in self._pauses.items()
        }
