"""Keeping the directory in step: the SIS is asked first, then our own database is written.

No transaction of ours is open while the SIS is asked, so a slow one holds up nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from engine.database import Database
from engine.errors import BrokenQuery, ConfigError, Unprocessable
from engine.ports import DIRECTORY_ALARM, Clock, Known
from engine.runtime.clock import utc_now
from engine.sources import directory as sis
from engine.sources.definition import Entity
from engine.sources.directory import Reading, Scope
from engine.sources.directory_rows import Arranger
from engine.sources.faults import Fault
from engine.sources.source import SqlSource
from engine.store import alarms, directory, doubts, missing
from engine.telemetry import Event, emit
from rules.change import Change, StudentId

ROWS: Final = "directory rows"
"""The alarm about rows of the directory that cannot be read as they stand."""


_MISSING: Final = "missing"
TRUSTED: Final = timedelta(days=1)
_TRIED_EVERY: Final = timedelta(minutes=5)
_MARKS: Final = 8  # in the time for which a full read is trusted

_UNREAD_RIGHTS: Final = Unprocessable(
    "A change of the rights to this student, or of the people around them, could not be read.",
    "See the alarm about the query of the directory. It is tried again by itself when all of it"
    " was read.",
)


def _too_old(trusted: timedelta) -> Unprocessable:
    hours = trusted / timedelta(hours=1)
    return Unprocessable(
        f"For more than {hours:g} hours the directory could not be read wholly, so nobody knows who"
        " may be told.",
        "See the alarms about the queries of the directory; `schoolbell sync` says what is wrong."
        " It is tried again by itself when all of it was read.",
    )


class Synced(NamedTuple):
    """How many rows of each part the SIS lists, and which of them cannot be read as they stand."""

    listed: Mapping[Entity, int]
    faults: Sequence[Fault]


class SisDirectory:
    """Implements ports.Directory. Any number of processes may do it at once."""

    def __init__(
        self,
        database: Database,
        source: SqlSource,
        clock: Clock = utc_now,
        *,
        trusted: timedelta = TRUSTED,
    ) -> None:
        self._database = database
        self._source = source
        self._clock = clock
        self._trusted = trusted
        self._read_at: datetime | None = None
        self._tried_at: datetime | None = None

    def follow(self, changes: Sequence[Change]) -> None:
        """See ports.Directory.follow. What cannot be read is in doubt from then on."""
        scopes: Sequence[Scope] = sis.scopes_of(self._source.definition, changes)
        while scopes:  # another reading may have come between
            try:
                reading = self._asked(partial(sis.read, scopes=scopes))
            except (BrokenQuery, Unprocessable):
                with self._database.write() as connection:
                    directory.doubt(connection, scopes)
                raise
            scopes = self._applied(reading)

    def known(self, students: Collection[StudentId]) -> Known:
        """See ports.Directory.known."""
        if not students:
            return Known({}, {})
        is_trusted = self._is_trusted()
        with self._database.read() as connection:
            names = directory.names(connection, students, with_accounts=True)
            unread = doubts.about(connection, students) if is_trusted else ()
        if unknown := set(students) - names.keys():
            with suppress(BrokenQuery):  # what evaluate does not hear of in time, a sync reports
                while self._applied(self._asked(partial(sis.read_students, students=unknown))):
                    pass
            with self._database.read() as connection:
                names = directory.names(connection, students)
        if not is_trusted:
            return Known(names, dict.fromkeys(students, _too_old(self._trusted)))
        return Known(names, dict.fromkeys(unread, _UNREAD_RIGHTS))

    def sync(self, *, may_shrink: bool = False) -> Synced:
        """Read the whole directory and write what differs.

        Rows that cannot be read raise an alarm, which the next full read clears where they are
        mended. Raises Unprocessable, before anything is changed, where the source lists less than
        half of what was known: unless it *may_shrink*, a short answer is never a mass deletion.
        """
        source, definition = self._source.database, self._source.definition
        arranger, began = Arranger(self._source.zone), self._clock()
        with self._database.read() as connection:
            base = directory.version(connection)
            with sis.whole(source, definition, arranger) as parts:
                found = [
                    directory.compare(connection, entity, slices, arranger)
                    for entity, slices in parts
                ]
            known = alarms.known(connection, [ROWS]).get(ROWS, set())
            is_news = self._is_news(connection, began)
        asked = definition.directory.entities
        for difference in found if not may_shrink else ():
            if difference.entity in asked:
                directory.refuse_shrinking(difference)
        different = [difference for difference in found if not difference.is_none]
        if different or arranger.faults or known or is_news:
            with self._database.write() as connection:
                directory.was_read(connection, began, base)
                if different:
                    directory.apply_all(connection, base, different, arranger.faults, self._clock())
                self._report(connection, arranger.faults)
                self._report_missing(connection)
                for mended in known - {fault.subject for fault in arranger.faults}:
                    alarms.resolve(connection, ROWS, mended)
        listed = {one.entity: one.listed for one in found if one.entity in asked}
        emit(Event.DIRECTORY_SYNCED, level=logging.DEBUG, count=sum(listed.values()))
        return Synced(listed, list(arranger.faults))

    def _asked(self, read: Callable[..., Reading]) -> Reading:
        with self._database.read() as connection:
            version = directory.version(connection)
        return read(
            self._source.database, self._source.definition, version=version,
            zone=self._source.zone, patience=self._source.patience,
        )  # fmt: skip

    def _applied(self, reading: Reading) -> Sequence[Scope]:
        with self._database.write() as connection:
            again = directory.apply(connection, reading, self._clock())
            if reading.faults:
                self._report_new(connection, reading.faults)
        return again

    def _is_trusted(self) -> bool:
        """Whether the last full read is young enough, or another one goes well now.

        A SIS that did not answer for days is no reason: it is asked first.
        """
        now = self._clock()
        if self._is_young(now):
            return True
        with self._database.read() as connection:
            self._read_at = directory.read_at(connection)
        if self._read_at is None or self._is_young(now):
            return True
        if self._tried_at and now - self._tried_at < _TRIED_EVERY:
            return False
        self._tried_at = now
        with suppress(ConfigError, Unprocessable):
            self.sync()
            return True
        return False

    def _is_news(self, connection: Connection, began: datetime) -> bool:
        """Whether a full read that changes nothing is worth a write all the same."""
        before = directory.read_at(connection)
        is_old = before is None or began - before > self._trusted / _MARKS
        are_many = missing.many(connection) is not None
        return is_old or are_many or doubts.exist(connection)

    def _is_young(self, now: datetime) -> bool:
        return self._read_at is not None and now - self._read_at <= self._trusted

    def _report_missing(self, connection: Connection) -> None:
        """A SIS that is half loaded hides many people, and nobody should wait for their calls."""
        found = missing.many(connection)
        if found is None:
            alarms.resolve(connection, DIRECTORY_ALARM, _MISSING)
            return
        alarms.report(
            connection, DIRECTORY_ALARM, _MISSING,
            f"Of {found[1]:,} people the SIS does not list {found[0]:,} any more. Nothing is sent"
            " to them.",
            "Where the SIS is half loaded, load it wholly before `[schedule] keep_missing` is over:"
            " so long their sign-ins and settings are kept. Where they left, wait.",
            self._clock(),
        )  # fmt: skip

    def _report_new(self, connection: Connection, faults: Iterable[Fault]) -> None:
        """Report what is not known; how many rows there are in all, the next full read says."""
        known = alarms.known(connection, [ROWS]).get(ROWS, set())
        self._report(connection, [fault for fault in faults if fault.subject not in known])

    def _report(self, connection: Connection, faults: Iterable[Fault]) -> None:
        now = self._clock()
        for fault in faults:
            error = fault.error
            alarms.report(connection, ROWS, fault.subject, error.problem, error.remedy, now)
