"""Looking at a database: its tables, columns, keys and how much is in them. Nothing is written.

What rows hold stays there, but for values that name nobody: flags, codes that repeat, and numbers
below zero, which often stand for a word.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy
from sqlalchemy import (
    ColumnClause,
    Connection,
    FromClause,
    Inspector,
    column,
    func,
    literal_column,
    select,
    table,
    types,
)
from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedForeignKeyConstraint
from sqlalchemy.exc import DBAPIError, NoSuchTableError, SAWarning

from engine.database import Database
from engine.errors import ConfigError
from engine.sources.draft.roles import column_of
from engine.sources.draft.schema import Column, ForeignKey, Schema, Sort, Table
from engine.sources.draft.words import words_of

_MOST_ROWS: Final = 100_000  # that are counted
_SAMPLE: Final = 5_000  # rows in which values are looked for
_FEW: Final = 12
_FEW_NUMBERS: Final = 3
_LONGEST_VALUE: Final = 24
_REPEATS: Final = 2
# Columns of these meanings hold a state or a code: what they say names nobody.
_STATES: Final = (
    "portal",
    "restricted",
    "active",
    "enrolled",
    "takes_part",
    "released",
    "deleted",
    "code",
    "excuse",
)
_OF_CODES: Final = frozenset({"code", "type", "status"})  # a table of which is about nobody
_NUMBERS: Final = ("score", "percent")
_SYSTEM: Final = frozenset(
    {"information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys"}
)

_SORTS: Final[Sequence[tuple[type[Any], Sort]]] = (
    (types.Boolean, Sort.FLAG),
    (types.DateTime, Sort.MOMENT),
    (types.Date, Sort.DAY),
    (types.Time, Sort.TIME),
    (types.Numeric, Sort.NUMBER),
    (types.Float, Sort.NUMBER),
    (types.Integer, Sort.NUMBER),
    (types.String, Sort.WORDS),
)
_BY_NAME: Final = {"MONEY": Sort.NUMBER, "BIT": Sort.FLAG}


def look(database: Database, schema: str | None) -> Schema:
    """The structure of a database, or of one *schema* of it, as far as this user may read it.

    Raises ConfigError where there is no such schema, or no table that this user may read.
    """
    with database.read() as connection:
        inspector = sqlalchemy.inspect(connection)
        if schema and schema not in inspector.get_schema_names():
            raise ConfigError(
                f"The database {database.name} has no schema {schema}.",
                f"Name one of: {', '.join(sorted(_schemas(inspector)))}.",
            )
        found = [one for name in _tables(inspector, schema) if (one := _seen(inspector, *name))]
        tables = [_filled(connection, one) for one in found if _readable(connection, one)]
    if not tables:
        raise ConfigError(
            f"There is no table in {database.name} that this user may read.",
            "Check the address, and ask the owner of the database for the right to read its "
            "tables; `--schema` names the schema that they are in.",
        )
    return Schema(tables, _MOST_ROWS)


def structure(inspector: Inspector, table: str) -> Table:
    """The structure of one table; without a column where it is not there."""
    schema, _, name = table.rpartition(".")
    found = _seen(inspector, schema or None, name, is_view=False)
    return found or Table(table, ())


def _tables(inspector: Inspector, schema: str | None) -> Iterator[tuple[str | None, str, bool]]:
    """Schema (None for the default one), name, and whether it is a view; ours are left out."""
    for where in [schema] if schema else sorted(_schemas(inspector)):
        asked = None if where == inspector.default_schema_name else where
        views = set(inspector.get_view_names(schema=asked))
        for name in sorted({*inspector.get_table_names(schema=asked), *views}):
            if not name.startswith("schoolbell"):
                yield asked, name, name in views


def _schemas(inspector: Inspector) -> Collection[str]:
    found = set(inspector.get_schema_names()) - _SYSTEM
    return {name for name in found if not name.startswith(("pg_", "schoolbell"))}


def _seen(inspector: Inspector, schema: str | None, name: str, is_view: bool) -> Table | None:
    """The structure of one table; None where it is gone meanwhile, or has no column."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # of columns whose types are the SIS's own
        return _structure(inspector, schema, name, is_view)


def _structure(inspector: Inspector, schema: str | None, name: str, is_view: bool) -> Table | None:
    try:
        columns = tuple(map(_column, inspector.get_columns(name, schema=schema)))
        primary = inspector.get_pk_constraint(name, schema=schema)["constrained_columns"]
        uniques = [
            one["column_names"] for one in inspector.get_unique_constraints(name, schema=schema)
        ]
        indexes = [] if is_view else inspector.get_indexes(name, schema=schema)
        foreign = inspector.get_foreign_keys(name, schema=schema)
    except NoSuchTableError:
        return None
    if not columns:
        return None
    whole = [one for one in indexes if _is_whole(one["column_names"], one.get("dialect_options"))]
    unique = [one["column_names"] for one in whole if one["unique"]]
    keys = _each_once([primary, *uniques, *unique])
    first = {name for one in indexes for name in one["column_names"][:1] if name}
    return Table(
        name=f"{schema}.{name}" if schema else name,
        columns=columns,
        primary_key=tuple(primary),
        keys=keys,
        foreign_keys=tuple(map(_foreign_key, foreign)),
        indexed=frozenset({*first, *(key[0] for key in keys)}),
        is_view=is_view,
    )


def _each_once(keys: Sequence[Sequence[str | None]]) -> tuple[tuple[str, ...], ...]:
    """Sets of columns, the first of them first, then those of few columns."""
    plain = [tuple(name for name in key if name) for key in keys if key]
    first, *others = list(dict.fromkeys(plain)) or [()]
    return tuple(key for key in (first, *sorted(others, key=len)) if key)


def _is_whole(columns: Sequence[str | None], options: Any) -> bool:
    """Whether an index is about plain columns of all rows."""
    conditional = any(
        name.endswith("_where") and value is not None for name, value in (options or {}).items()
    )
    return None not in columns and not conditional


def _column(found: ReflectedColumn) -> Column:
    kind = found["type"]
    name = str(kind).split("(")[0].upper()
    sort = next((sort for one, sort in _SORTS if isinstance(kind, one)), Sort.OTHER)
    return Column(found["name"], str(kind).lower(), _BY_NAME.get(name, sort), found["nullable"])


def _foreign_key(found: ReflectedForeignKeyConstraint) -> ForeignKey:
    where = found["referred_schema"]
    name = f"{where}.{found['referred_table']}" if where else found["referred_table"]
    return ForeignKey(tuple(found["constrained_columns"]), name, tuple(found["referred_columns"]))


def _readable(connection: Connection, seen: Table) -> bool:
    """Whether this user may read it, tried: what may be read differs from what may be seen."""
    try:
        with connection.begin_nested():
            connection.execute(select(literal_column("1")).select_from(_from(seen)).limit(1))
    except DBAPIError:
        return False
    return True


def _filled(connection: Connection, seen: Table) -> Table:
    """The same table, with the number of its rows and the values that were looked at."""
    some = select(literal_column("1")).select_from(_from(seen)).limit(_MOST_ROWS + 1).subquery()
    counted = connection.execute(select(func.count()).select_from(some)).scalar_one()
    telling = {one.name for meaning in _STATES if (one := column_of(seen, meaning))}
    if _OF_CODES & set(words_of(seen.base)):
        telling |= {one.name for one in seen.columns if "status" in words_of(one.name)}
    below = {one.name for meaning in _NUMBERS if (one := column_of(seen, meaning))}
    columns = []
    for one in seen.columns:
        if one.name in below and one.sort is Sort.NUMBER:
            columns.append(replace(one, values=_below_zero(connection, seen, one)))
        elif one.name in telling and not _points_elsewhere(seen, one):
            columns.append(replace(one, values=_few(connection, seen, one)))
        else:
            columns.append(one)
    rows = None if counted > _MOST_ROWS else counted
    return replace(seen, columns=tuple(columns), rows=rows)


def _points_elsewhere(seen: Table, one: Column) -> bool:
    return any(one.name in key.columns for key in seen.foreign_keys)


def _few(connection: Connection, seen: Table, one: Column) -> tuple[str, ...]:
    """The values of a column where they are few and short, without those that stand alone.

    Values that differ in the database may be written alike: 1 and '1' on SQLite.
    """
    where: ColumnClause[Any] = column(one.name)
    some = select(where).select_from(_from(seen)).limit(_SAMPLE).subquery()
    inner = some.c[one.name]
    found = connection.execute(
        select(inner, func.count()).where(inner.is_not(None)).group_by(inner).limit(_FEW + 1)
    ).all()
    if len(found) > _FEW or any(len(str(value)) > _LONGEST_VALUE for value, _ in found):
        return ()
    repeats = 1 if _OF_CODES & set(words_of(seen.base)) else _REPEATS
    return tuple(sorted({str(value) for value, count in found if count >= repeats}))


def _below_zero(connection: Connection, seen: Table, one: Column) -> tuple[str, ...]:
    where: ColumnClause[Any] = column(one.name)
    some = select(where).select_from(_from(seen)).limit(_SAMPLE).subquery()
    inner = some.c[one.name]
    found = (
        connection.execute(
            select(inner).where(inner < literal_column("0")).distinct().limit(_FEW + 1)
        )
        .scalars()
        .all()
    )
    return tuple(sorted(set(map(_number, found)))) if len(found) <= _FEW_NUMBERS else ()


def _number(value: Any) -> str:
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _from(seen: Table) -> FromClause:
    schema, _, name = seen.name.rpartition(".")
    return table(name, schema=schema or None)
