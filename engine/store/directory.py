"""The directory: schools, calendars, people, students and rights, kept in step with the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, delete, func, select

from engine.database import Database
from engine.errors import Unprocessable
from engine.sources.definition import ENTITY_COLUMNS, Definition, Entity
from engine.sources.queries import select_all, select_by
from engine.store.bulk import append, one_of
from engine.store.tables import calendars, people, rights, schools, students
from rules.change import StudentId

TABLES: Final[Mapping[Entity, Table]] = {
    "schools": schools,
    "calendars": calendars,
    "people": people,
    "students": students,
    "rights": rights,
}
# A source that suddenly lists almost nobody is broken or half loaded, not deserted.
_LEAST_SHARE: Final = 0.5
_LEAST_ROWS: Final = 20


def sync(
    source: Database, definition: Definition, store: Connection, *, may_shrink: bool = False
) -> dict[Entity, int]:
    """Read the whole directory again and make ours equal; return the rows of each part.

    Raises Unprocessable, before anything is changed, where the source lists less than half of
    what was known: unless it *may_shrink*, a short answer is never a mass deletion.
    """
    with source.read() as connection:
        found = {
            entity: _rows(entity, select_all(connection, definition.directory.query(entity)))
            for entity in TABLES
        }
    for entity, rows in found.items() if not may_shrink else ():
        _refuse_shrinking(store, entity, len(rows))
    for entity, rows in found.items():
        store.execute(delete(TABLES[entity]))
        append(store, TABLES[entity], rows)
    return {entity: len(rows) for entity, rows in found.items()}


def refresh(
    source: Database,
    definition: Definition,
    store: Connection,
    entity: Entity,
    by: str,
    keys: Collection[str],
) -> None:
    """Read again the rows whose column *by* is one of *keys*, or all of them without *by*."""
    query, table = definition.directory.query(entity), TABLES[entity]
    with source.read() as connection:
        found = select_by(connection, query, by, keys) if by else select_all(connection, query)
    store.execute(
        delete(table).where(one_of(store, table.columns[by], keys)) if by else delete(table)
    )
    append(store, table, _rows(entity, found))


def names(store: Connection, wanted: Collection[StudentId]) -> dict[StudentId, str]:
    """The first names of those *wanted* students whom the directory knows."""
    found = store.execute(
        select(students.c.id, people.c.first_name)
        .join(people, people.c.id == students.c.person_id)
        .where(one_of(store, students.c.id, wanted))
    )
    return {StudentId(row.id): row.first_name for row in found}


def _refuse_shrinking(store: Connection, entity: Entity, found: int) -> None:
    known = store.execute(select(func.count()).select_from(TABLES[entity])).scalar_one()
    if known >= _LEAST_ROWS and found < known * _LEAST_SHARE:
        raise Unprocessable(
            f"The source lists {found} {entity}, where {known} are known; nothing was changed.",
            "Check the directory query and the SIS; `schoolbell sync --shrink` accepts it.",
        )


def _rows(entity: Entity, found: Sequence[Row[Any]]) -> list[tuple[Any, ...]]:
    columns = ENTITY_COLUMNS[entity]
    rows = [tuple(_stored(column, row._mapping[column]) for column in columns) for row in found]
    _refuse_doubles(entity, rows)
    return rows


def _refuse_doubles(entity: Entity, rows: Sequence[tuple[Any, ...]]) -> None:
    """Which of two rows is right, a query must say: a restriction may stand in only one."""
    key = [column.name for column in TABLES[entity].primary_key.columns]
    met = Counter(row[: len(key)] for row in rows)
    (double, times) = met.most_common(1)[0] if met else ((), 0)
    if times > 1:
        named = ", ".join(f"{name} {value}" for name, value in zip(key, double, strict=True))
        raise Unprocessable(
            f"The source lists {times} {entity} with {named}.",
            f"Mend the query [directory.{entity}], so that it gives one row for each.",
        )


def _stored(column: str, value: Any) -> Any:
    if column in ("active", "enrolled", "portal", "restricted"):
        return bool(value)
    if column in ("starts", "ends"):
        return date.fromisoformat(value) if isinstance(value, str) else value
    return "" if value is None else str(value)
