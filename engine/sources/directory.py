"""Reading the directory of a SIS: its schools, calendars, terms, people, students and rights.

A reading says how new it is: it carries the version of our own directory that was current before
the SIS was asked. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from engine.database import Database
from engine.sources.definition import (
    ENTITY_COLUMNS,
    ENTITY_KEYS,
    Definition,
    DirectoryWatch,
    Entity,
)
from engine.sources.directory_rows import ROW_COLUMNS, Arranger, DirectoryRow, Key
from engine.sources.faults import Fault, Faults
from engine.sources.keys import parts
from engine.sources.patience import Patience
from engine.sources.queries import asking, converting, select_all, select_by, stream_all
from rules.change import Change, StudentId

_SLICE: Final = 5_000  # rows that are held at once when everything is read


class Scope(NamedTuple):
    """Rows of one part of the directory.

    Those whose column *by* is one of *keys*; all of them where *by* is empty.
    """

    entity: Entity
    by: str = ""
    keys: frozenset[str] = frozenset()


class Listing(NamedTuple):
    """Every row that the SIS has in a scope; values in the order of ROW_COLUMNS."""

    scope: Scope
    rows: Sequence[DirectoryRow]


class Reading(NamedTuple):
    """What the SIS listed after *version* was the current version of our directory.

    *faults* say which rows could not be read as they stood.
    """

    version: int
    listings: Sequence[Listing]
    faults: Faults


class Sample(NamedTuple):
    """Some rows of one part: how many can be kept, and what is wrong with which."""

    entity: Entity
    rows: int
    faults: Sequence[Fault]


def key_of(entity: Entity, row: DirectoryRow) -> Key:
    """The columns that identify a row."""
    return row[: len(ENTITY_KEYS[entity])]


def scopes_of(definition: Definition, changes: Iterable[Change]) -> list[Scope]:
    """The rows that may differ after *changes*: those that each names now, or named before."""
    keys: dict[tuple[Entity, str], set[str]] = {}
    for change in changes:
        watch = definition.watch_named(change.watch)
        if isinstance(watch, DirectoryWatch):
            by, column = _narrowest(watch)
            found = _values(watch, column, change) if by else set()
            keys.setdefault((watch.refreshes, by), set()).update(found)
    return [
        Scope(entity, by, frozenset(found))
        for (entity, by), found in keys.items()
        if found or not by
    ]


def read(
    source: Database,
    definition: Definition,
    scopes: Iterable[Scope],
    version: int,
    zone: ZoneInfo,
    patience: Patience | None = None,
) -> Reading:
    """Read some rows. *zone* is the district's, by which moments are days.

    Raises BrokenQuery where the SIS refuses to, and SlowQuery where it takes too long or did
    lately, which *patience* knows.
    """
    ask = _Asking(source, definition, Arranger(zone), patience or Patience())
    with source.limited() as connection:
        listings = [ask.listing(connection, scope) for scope in scopes]
    return Reading(version, listings, ask.arranger.faults)


def read_students(
    source: Database,
    definition: Definition,
    students: Collection[StudentId],
    version: int,
    zone: ZoneInfo,
    patience: Patience | None = None,
) -> Reading:
    """Read some students, everybody's rights to them, and the people whom those rows name."""
    ids = frozenset(map(str, students))
    ask = _Asking(source, definition, Arranger(zone), patience or Patience())
    with source.limited() as connection:
        found = ask.listing(connection, Scope("students", "id", ids))
        rights = ask.listing(connection, Scope("rights", "student_id", ids))
        involved = Scope("people", "id", _column(found, "person_id") | _column(rights, "person_id"))
        people = ask.listing(connection, involved)
    return Reading(version, [people, found, rights], ask.arranger.faults)


@contextmanager
def whole(
    source: Database, definition: Definition, arranger: Arranger
) -> Iterator[Iterator[tuple[Entity, Iterator[list[DirectoryRow]]]]]:
    """Each part of the directory with all of its rows, in slices, as of one moment.

    Of a part that the definition leaves out there are none.
    The slices of a part must be taken before the next part is. A row may come again in a later
    slice: who takes the slices knows what came before.
    """
    ask = _Asking(source, definition, arranger, Patience())
    with source.snapshot() as connection, ExitStack() as reading:

        def parts() -> Iterator[tuple[Entity, Iterator[list[DirectoryRow]]]]:
            for entity in ENTITY_COLUMNS:
                if entity not in definition.directory.entities:
                    yield entity, iter(())
                    continue
                slices = closing(ask.slices(connection, entity, _SLICE))
                yield entity, reading.enter_context(slices)

        yield parts()


def samples(
    source: Database, definition: Definition, most: int, zone: ZoneInfo
) -> Iterator[Sample]:
    """At most *most* rows of each part, and what is wrong with them; nothing is kept of them.

    Raises BrokenQuery where the SIS refuses to.
    """
    for entity in definition.directory.entities:
        ask = _Asking(source, definition, Arranger(zone), Patience())
        with (
            source.snapshot() as connection,
            closing(ask.slices(connection, entity, most)) as slices,
        ):
            rows = next(slices, [])
        yield Sample(entity, len(rows), list(ask.arranger.faults))


def _narrowest(watch: DirectoryWatch) -> tuple[str, str]:
    """The directory column by which rows are read again, and the record's that holds its value.

    Of several, one that begins a key narrows enough: it is all rights to a student, at most.
    """
    first = ENTITY_KEYS[watch.refreshes][0]
    pairs = dict(watch.pairs)
    by = first if first in pairs else next(iter(pairs), "")
    return by, pairs.get(by, "")


def _values(watch: DirectoryWatch, column: str, change: Change) -> set[str]:
    """What a column of the record holds, and what it held before.

    A char(n) is filled with blanks where the record was captured, and without them in our rows.
    """
    if column in watch.columns:
        rows = (change.before or {}, change.after or {})
        found = {str(row[column]) for row in rows if row.get(column) is not None}
    else:
        key = parts(change.key, watch.key_columns)
        found = {key[watch.key_columns.index(column)]} if key else set()
    return found | {one.rstrip(" ") for one in found}


class _Asking(NamedTuple):
    """Asks a SIS, and arranges what it gives."""

    source: Database
    definition: Definition
    arranger: Arranger
    patience: Patience

    def listing(self, connection: Connection, scope: Scope) -> Listing:
        """Every row of a scope, by a connection of `Database.limited`."""
        entity, by, keys = scope
        query = self.definition.directory.query(entity)
        asked = self.definition.directory.asked(entity)
        with self.patience.asking(self.source, connection, f"[directory.{entity}]", asked):
            if not by:
                found = select_all(connection, query)
            else:
                found = select_by(connection, query, by, keys)
                if by not in ENTITY_KEYS[entity]:
                    found = _with_all_of_their_keys(connection, query, entity, found)
        return Listing(scope, self.arranger.arranged(entity, found))

    def slices(
        self, connection: Connection, entity: Entity, size: int
    ) -> Generator[list[DirectoryRow]]:
        """Every row of a part, at most *size* of them held at once."""
        query, name = self.definition.directory.query(entity), f"[directory.{entity}]"
        with (
            asking(self.source, name),
            converting(self.source, name),
            closing(stream_all(connection, query, size)) as slices,
        ):
            for found in slices:
                yield self.arranger.arranged(entity, found)


def _with_all_of_their_keys(
    connection: Connection, query: str, entity: Entity, found: Sequence[Row[Any]]
) -> Sequence[Row[Any]]:
    """The rows *found*, and others of the same keys: what they say may be stricter."""
    first = ENTITY_KEYS[entity][0]
    keys = {str(row._mapping[first]) for row in found if row._mapping[first] is not None}
    return select_by(connection, query, first, keys)


def _column(listing: Listing, name: str) -> frozenset[str]:
    index = ROW_COLUMNS[listing.scope.entity].index(name)
    return frozenset(row[index] for row in listing.rows if row[index])
