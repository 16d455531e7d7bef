"""Keeping the directory in step: the SIS is asked first, then our own database is written.

No transaction of ours is open while the SIS is asked, so a slow one holds up nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

from engine.database import Database
from engine.errors import BrokenQuery
from engine.sources import directory as sis
from engine.sources.definition import Entity
from engine.sources.directory import Reading, Scope
from engine.sources.source import SqlSource
from engine.store import directory
from engine.telemetry import Event, emit
from rules.change import Change, StudentId


class SisDirectory:
    """Implements ports.Directory. Any number of processes may do it at once."""

    def __init__(self, database: Database, source: SqlSource) -> None:
        self._database = database
        self._source = source

    def follow(self, changes: Sequence[Change]) -> None:
        """See ports.Directory.follow."""
        self._refresh(sis.scopes_of(self._source.definition, changes))

    def names(self, students: Collection[StudentId]) -> Mapping[StudentId, str]:
        """See ports.Directory.names."""
        if not students:
            return {}
        known = self._known(students)
        unknown = set(students) - known.keys()
        if not unknown:
            return known
        with suppress(BrokenQuery):  # what evaluate does not hear of in time, a sync reports
            while self._apply(partial(sis.read_students, students=unknown)):
                pass
        return self._known(students)

    def sync(self, *, may_shrink: bool = False) -> Mapping[Entity, int]:
        """Read the whole directory and write what differs; return the rows of each part.

        Raises Unprocessable, before anything is changed, where the source lists a row twice, or
        less than half of what was known: unless it *may_shrink*, a short answer is never a mass
        deletion.
        """
        source, definition = self._source.database, self._source.definition
        with self._database.read() as connection:
            base = directory.version(connection)
            with sis.whole(source, definition) as parts:
                found = [directory.compare(connection, entity, slices) for entity, slices in parts]
        for difference in found if not may_shrink else ():
            directory.refuse_shrinking(difference)
        different = [difference for difference in found if not difference.is_none]
        if different:
            with self._database.write() as connection:
                directory.apply_all(connection, base, different)
        listed = {difference.entity: difference.listed for difference in found}
        emit(Event.DIRECTORY_SYNCED, level=logging.DEBUG, count=sum(listed.values()))
        return listed

    def _known(self, students: Collection[StudentId]) -> Mapping[StudentId, str]:
        with self._database.read() as connection:
            return directory.names(connection, students)

    def _refresh(self, scopes: Sequence[Scope]) -> None:
        """Read until what was read is applied: another reading may have come between."""
        while scopes:
            scopes = self._apply(partial(sis.read, scopes=scopes))

    def _apply(self, read: Callable[..., Reading]) -> Sequence[Scope]:
        with self._database.read() as connection:
            version = directory.version(connection)
        reading = read(self._source.database, self._source.definition, version=version)
        with self._database.write() as connection:
            return directory.apply(connection, reading)
