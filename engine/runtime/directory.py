"""Keeping the directory in step: the SIS is asked first, then our own database is written.

No transaction of ours is open while the SIS is asked, so a slow one holds up nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import BrokenQuery
from engine.ports import Clock
from engine.runtime.clock import utc_now
from engine.sources import directory as sis
from engine.sources.definition import Entity
from engine.sources.directory import Reading, Scope
from engine.sources.directory_rows import Arranger
from engine.sources.faults import Fault
from engine.sources.source import SqlSource
from engine.store import alarms, directory
from engine.telemetry import Event, emit
from rules.change import Change, StudentId

ROWS: Final = "directory rows"
"""The alarm about rows of the directory that cannot be read as they stand."""


class Synced(NamedTuple):
    """How many rows of each part the SIS lists, and which of them cannot be read as they stand."""

    listed: Mapping[Entity, int]
    faults: Sequence[Fault]


class SisDirectory:
    """Implements ports.Directory. Any number of processes may do it at once."""

    def __init__(self, database: Database, source: SqlSource, clock: Clock = utc_now) -> None:
        self._database = database
        self._source = source
        self._clock = clock

    def follow(self, changes: Sequence[Change]) -> None:
        """See ports.Directory.follow."""
        self._refresh(sis.scopes_of(self._source.definition, changes))

    def names(self, students: Collection[StudentId]) -> Mapping[StudentId, str]:
        """See ports.Directory.names."""
        if not students:
            return {}
        with self._database.read() as connection:
            known = directory.names(connection, students, with_accounts=True)
        unknown = set(students) - known.keys()
        if not unknown:
            return known
        with suppress(BrokenQuery):  # what evaluate does not hear of in time, a sync reports
            while self._apply(partial(sis.read_students, students=unknown)):
                pass
        with self._database.read() as connection:
            return directory.names(connection, students)

    def sync(self, *, may_shrink: bool = False) -> Synced:
        """Read the whole directory and write what differs.

        Rows that cannot be read raise an alarm, which the next full read clears where they are
        mended. Raises Unprocessable, before anything is changed, where the source lists less than
        half of what was known: unless it *may_shrink*, a short answer is never a mass deletion.
        """
        source, definition = self._source.database, self._source.definition
        arranger = Arranger(self._source.zone)
        with self._database.read() as connection:
            base = directory.version(connection)
            with sis.whole(source, definition, arranger) as parts:
                found = [
                    directory.compare(connection, entity, slices, arranger)
                    for entity, slices in parts
                ]
            known = alarms.known(connection, [ROWS]).get(ROWS, set())
        for difference in found if not may_shrink else ():
            directory.refuse_shrinking(difference)
        different = [difference for difference in found if not difference.is_none]
        if different or arranger.faults or known:
            with self._database.write() as connection:
                if different:
                    directory.apply_all(connection, base, different, arranger.faults)
                self._report(connection, arranger.faults)
                for mended in known - {fault.subject for fault in arranger.faults}:
                    alarms.resolve(connection, ROWS, mended)
        listed = {difference.entity: difference.listed for difference in found}
        emit(Event.DIRECTORY_SYNCED, level=logging.DEBUG, count=sum(listed.values()))
        return Synced(listed, list(arranger.faults))

    def _refresh(self, scopes: Sequence[Scope]) -> None:
        """Read until what was read is applied: another reading may have come between."""
        while scopes:
            scopes = self._apply(partial(sis.read, scopes=scopes))

    def _apply(self, read: Callable[..., Reading]) -> Sequence[Scope]:
        with self._database.read() as connection:
            version = directory.version(connection)
        reading = read(
            self._source.database, self._source.definition, version=version,
            zone=self._source.zone, patience=self._source.patience,
        )  # fmt: skip
        with self._database.write() as connection:
            again = directory.apply(connection, reading)
            if reading.faults:
                self._report_new(connection, reading.faults)
        return again

    def _report_new(self, connection: Connection, faults: Iterable[Fault]) -> None:
        """Report what is not known; how many rows there are in all, the next full read says."""
        known = alarms.known(connection, [ROWS]).get(ROWS, set())
        self._report(connection, [fault for fault in faults if fault.subject not in known])

    def _report(self, connection: Connection, faults: Iterable[Fault]) -> None:
        now = self._clock()
        for fault in faults:
            error = fault.error
            alarms.report(connection, ROWS, fault.subject, error.problem, error.remedy, now)
