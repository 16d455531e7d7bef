"""A rehearsal: changes decided as the engine decides them, in a database that is thrown away.

Everybody concerned is signed in and has switched everything on, so what is left is what the SIS
says: releases, years, rights, restrictions. Nothing is sent, and nothing is written anywhere but
to a temporary file of our own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from engine.database import Database
from engine.errors import Misconfigured, Unprocessable
from engine.ports import Decided
from engine.runtime.clock import utc_now
from engine.runtime.directory import SisDirectory
from engine.secrets.keyring import Keyring, new_key
from engine.sources import directory as sis
from engine.sources.definition import Entity
from engine.sources.directory import Scope
from engine.sources.source import SqlSource
from engine.stages.composing import Composer
from engine.stages.evaluate import Evaluate
from engine.store import app, candidates, directory, district, migrate, parked
from engine.store.ledger import SqlLedger
from engine.store.parked import ParkedChange
from engine.wire.messages import Token
from rules.change import Change, ChangeId, PersonId
from rules.decide import CandidateKey
from rules.wording import Wording

_NAME = "rehearsal"
_FEW: Final[Sequence[Entity]] = ("schools", "calendars", "terms")


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What became of some changes: decisions, what could not be decided, and people's names."""

    decided: Mapping[ChangeId, Sequence[Decided]]
    parked: Mapping[ChangeId, ParkedChange]
    names: Mapping[PersonId, str]


class Rehearsal:
    """An engine beside a SIS, of which nothing is left."""

    def __init__(
        self, database: Database, source: SqlSource, wording: Wording, timezone: str
    ) -> None:
        keys = (new_key(utc_now()),)
        self._database = database
        self._source = source
        self._directory = SisDirectory(database, source)
        self._keyring = Keyring(lambda: keys)
        self._ledger = SqlLedger(database, timezone)
        composer = Composer(_NAME, wording, self._keyring)
        self._evaluate = Evaluate(source, self._directory, self._ledger, composer, utc_now)
        self._begin()

    def __call__(self, changes: Sequence[Change]) -> Rehearsed:
        """Decide *changes*, and say what became of each."""
        now = utc_now()
        self._sign_in_all_concerned(changes, now)
        self._evaluate(changes)
        ids = {one.id for one in changes}
        with self._ledger.deciding() as deciding:
            told = deciding.told(ids)
        with self._database.read() as connection:
            set_aside = {name: one for name in ids if (one := parked.of_change(connection, name))}
            who = {person.person for row in told for person in row.people}
            return Rehearsed(
                {name: [row for row in told if row.change == name] for name in ids},
                set_aside,
                directory.full_names(connection, who),
            )

    def _begin(self) -> None:
        """The tables, the district, and the parts of the directory that are few."""
        migrate.upgrade(self._database)
        with self._database.write() as connection:
            district.create(connection, enabled=True)
        with self._database.read() as connection:
            version = directory.version(connection)
        source = self._source
        few = [Scope(one) for one in _FEW if one in source.definition.directory.entities]
        reading = sis.read(source.database, source.definition, few, version, source.zone)
        with self._database.write() as connection:
            directory.apply(connection, reading, utc_now())

    def _sign_in_all_concerned(self, changes: Sequence[Change], now: datetime) -> None:
        try:
            found = self._source.find(changes)
            self._directory.known({one.student for one in found})
        except (Unprocessable, Misconfigured):
            return  # evaluate meets the same, and says of which change
        wanted = {(one.student, one.kind) for one in found}
        with self._database.write() as connection:
            audiences = candidates.fetch(connection, wanted, now)
            for key, people in audiences.candidates.items():
                self._sign_in(key, {one.person for one in people}, now)

    def _sign_in(self, about: CandidateKey, people: Collection[PersonId], now: datetime) -> None:
        student, kind = about
        with self._database.write() as connection:
            for person in people:
                phone = Token("fcm_token", f"phone of {person}")
                whose = directory.identity_of(connection, person)
                app.sign_in(connection, self._keyring, whose, phone, now)
                about_whom = directory.identity_of_student(connection, student)
                app.subscribe(connection, whose, about_whom, kind)


@contextmanager
def rehearsal(source: SqlSource, wording: Wording, timezone: str) -> Iterator[Rehearsal]:
    """A rehearsal in a temporary database, which is gone at the end."""
    with TemporaryDirectory(prefix="schoolbell-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'rehearsal.db'}")
        try:
            yield Rehearsal(database, source, wording, timezone)
        finally:
            database.close()
