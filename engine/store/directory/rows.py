"""Rows of the directory as they stand here, and what would make them others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, select, tuple_

from engine.sources.definition import ENTITY_KEYS, Entity
from engine.sources.directory import key_of
from engine.sources.directory_rows import ROW_COLUMNS, DirectoryRow, Key
from engine.store.bulk import one_of
from engine.store.tables import calendars, people, rights, schools, students, terms

TABLES: Final[Mapping[Entity, Table]] = {
    "schools": schools,
    "calendars": calendars,
    "terms": terms,
    "people": people,
    "students": students,
    "rights": rights,
}
SLICE: Final = 5_000  # rows or keys at once
Rows = dict[Key, DirectoryRow]


class Edit(NamedTuple):
    """A row as it stands here and as it is listed; None where it is not."""

    old: DirectoryRow | None
    new: DirectoryRow | None


def ours_of(connection: Connection, entity: Entity, keys: Collection[Key]) -> Rows:
    """Our rows with these keys, and others that begin with the same column."""
    return by_key(entity, beginning_with(connection, entity, {key[0] for key in keys}))


def beginning_with(
    connection: Connection, entity: Entity, firsts: Set[str]
) -> Iterator[DirectoryRow]:
    first = TABLES[entity].c[ENTITY_KEYS[entity][0]]
    return select_rows(connection, entity, one_of(connection, first, firsts))


def select_rows(
    connection: Connection, entity: Entity, *where: ColumnElement[bool]
) -> Iterator[DirectoryRow]:
    return map(tuple, connection.execute(select(TABLES[entity]).where(*where)).all())


def by_key(entity: Entity, rows: Iterable[DirectoryRow]) -> Rows:
    return {key_of(entity, row): row for row in rows}


def keys_of(connection: Connection, entity: Entity) -> Iterator[Key]:
    """All keys of a part, in their order."""
    columns = [TABLES[entity].c[name] for name in ENTITY_KEYS[entity]]
    page = select(*columns).order_by(*columns).limit(SLICE)
    found = connection.execute(page).all()
    while found:
        yield from map(tuple, found)
        found = connection.execute(page.where(tuple_(*columns) > tuple(found[-1]))).all()


def sliced(found: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(found)
    for start in range(0, len(ordered), SLICE):
        yield ordered[start : start + SLICE]


def name_in(entity: Entity, row: DirectoryRow) -> tuple[str, str]:
    """The first and the last name in a row of a person or a student."""
    first = ROW_COLUMNS[entity].index("first_name")
    return row[first], row[first + 1]
