"""Reading the directory of a SIS: its schools, calendars, people, students and rights.

A reading says how new it is: it carries the version of our own directory that was current before
the SIS was asked. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from contextlib import ExitStack, closing, contextmanager
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row

from engine.database import Database
from engine.errors import Unprocessable
from engine.sources.definition import (
    ENTITY_COLUMNS,
    ENTITY_KEYS,
    Definition,
    DirectoryWatch,
    Entity,
)
from engine.sources.flags import allows, forbids
from engine.sources.keys import parts
from engine.sources.queries import asking, select_all, select_by, stream_all
from rules.change import Change, StudentId

DirectoryRow = tuple[Any, ...]
Key = tuple[Any, ...]

Column = Sequence[Any]

_SLICE: Final = 5_000  # rows that are held at once when everything is read


class Scope(NamedTuple):
    """Rows of one part of the directory.

    Those whose column *by* is one of *keys*; all of them where *by* is empty.
    """

    entity: Entity
    by: str = ""
    keys: frozenset[str] = frozenset()


class Listing(NamedTuple):
    """Every row that the SIS has in a scope; values in the order of ENTITY_COLUMNS."""

    scope: Scope
    rows: Sequence[DirectoryRow]


class Reading(NamedTuple):
    """What the SIS listed after *version* was the current version of our directory."""

    version: int
    listings: Sequence[Listing]


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
    source: Database, definition: Definition, scopes: Iterable[Scope], version: int
) -> Reading:
    """Read some rows.

    Raises Unprocessable where the SIS lists a row twice, and BrokenQuery where it refuses to.
    """
    with source.read() as connection:
        return Reading(
            version, [_listing(source, connection, definition, scope) for scope in scopes]
        )


def read_students(
    source: Database, definition: Definition, students: Collection[StudentId], version: int
) -> Reading:
    """Read some students, everybody's rights to them, and the people whom those rows name."""
    ids = frozenset(map(str, students))
    with source.read() as connection:
        found = _listing(source, connection, definition, Scope("students", "id", ids))
        rights = _listing(source, connection, definition, Scope("rights", "student_id", ids))
        involved = _column(found, "person_id") | _column(rights, "person_id")
        people = _listing(source, connection, definition, Scope("people", "id", involved))
    return Reading(version, [people, found, rights])


@contextmanager
def whole(
    source: Database, definition: Definition
) -> Iterator[Iterator[tuple[Entity, Iterator[list[DirectoryRow]]]]]:
    """Each part of the directory with all of its rows, in slices, as of one moment.

    The slices of a part must be taken before the next part is. A row that is listed twice is not
    refused here: who takes the slices knows what came before.
    """
    with source.snapshot() as connection, ExitStack() as reading:

        def parts() -> Iterator[tuple[Entity, Iterator[list[DirectoryRow]]]]:
            for entity in ENTITY_COLUMNS:
                found = closing(_slices(source, connection, definition, entity))
                yield entity, reading.enter_context(found)

        yield parts()


def new_keys(entity: Entity, rows: Sequence[DirectoryRow], met: Set[Key]) -> Set[Key]:
    """The keys of *rows*. Raises Unprocessable where two have one key, or one that was *met*.

    Which of two rows is right, the query must say: a restriction may stand in only one.
    """
    columns = len(ENTITY_KEYS[entity])
    keys = {row[:columns] for row in rows}
    if len(keys) == len(rows) and met.isdisjoint(keys):
        return keys
    times = Counter(key_of(entity, row) for row in rows)
    key = next(key for key, count in times.items() if count > 1 or key in met)
    named = ", ".join(
        f"{name} {value}" for name, value in zip(ENTITY_KEYS[entity], key, strict=True)
    )
    raise Unprocessable(
        f"The source lists {entity} with {named} more than once.",
        f"Mend the query [directory.{entity}], so that it gives one row for each.",
    )


def _narrowest(watch: DirectoryWatch) -> tuple[str, str]:
    """The directory column by which rows are read again, and the record's that holds its value.

    Of several, one that begins a key narrows enough: it is all rights to a student, at most.
    """
    first = ENTITY_KEYS[watch.refreshes][0]
    pairs = dict(watch.pairs)
    by = first if first in pairs else next(iter(pairs), "")
    return by, pairs.get(by, "")


def _values(watch: DirectoryWatch, column: str, change: Change) -> set[str]:
    """What a column of the record holds, and what it held before."""
    if column in watch.columns:
        rows = (change.before or {}, change.after or {})
        return {str(row[column]) for row in rows if row.get(column) is not None}
    key = parts(change.key, watch.key_columns)
    return {key[watch.key_columns.index(column)]} if key else set()


def _listing(
    source: Database, connection: Connection, definition: Definition, scope: Scope
) -> Listing:
    query = definition.directory.query(scope.entity)
    with asking(source, f"[directory.{scope.entity}]"):
        if scope.by:
            found = select_by(connection, query, scope.by, scope.keys)
        else:
            found = select_all(connection, query)
    rows = _arranged(scope.entity, found)
    new_keys(scope.entity, rows, met=frozenset())
    return Listing(scope, rows)


def _slices(
    source: Database, connection: Connection, definition: Definition, entity: Entity
) -> Generator[list[DirectoryRow]]:
    query = definition.directory.query(entity)
    with (
        asking(source, f"[directory.{entity}]"),
        closing(stream_all(connection, query, _SLICE)) as slices,
    ):
        for found in slices:
            yield _arranged(entity, found)


def _column(listing: Listing, name: str) -> frozenset[str]:
    index = ENTITY_COLUMNS[listing.scope.entity].index(name)
    return frozenset(row[index] for row in listing.rows if row[index])


def _arranged(entity: Entity, found: Sequence[Row[Any]]) -> list[DirectoryRow]:
    """Values in our order and of our types, whatever else the query gives.

    A row without a key is nobody's: it gives no right, and takes nobody else's.
    """
    if not found:
        return []
    names, values = found[0]._fields, list(zip(*found, strict=True))
    columns = (
        _CONVERTERS.get(column, _texts)(values[names.index(column)])
        for column in ENTITY_COLUMNS[entity]
    )
    keys = len(ENTITY_KEYS[entity])
    return [row for row in zip(*columns, strict=True) if "" not in row[:keys]]


def _texts(values: Column) -> Column:
    return [value if type(value) is str else _text(value) for value in values]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _allowances(values: Column) -> Column:
    return list(map(allows, values))


def _prohibitions(values: Column) -> Column:
    return list(map(forbids, values))


def _days(values: Column) -> Column:
    return [date.fromisoformat(value) if isinstance(value, str) else value for value in values]


# A whole column at once: a full read converts millions of values.
_CONVERTERS: Final[Mapping[str, Callable[[Column], Column]]] = {
    "active": _allowances,
    "enrolled": _allowances,
    "portal": _allowances,
    "restricted": _prohibitions,
    "starts": _days,
    "ends": _days,
}
