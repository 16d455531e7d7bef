"""Many rows at once: COPY and arrays on PostgreSQL, executemany and JSON on SQLite."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    ColumnElement,
    Connection,
    Table,
    any_,
    bindparam,
    func,
    select,
)

from engine.store.tables import Moment, aware

Row = Sequence[Any]

# An escaped NUL; not an escaped backslash that stands before "u0000".
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def one_of(
    connection: Connection, column: Column[Any], values: Collection[Any]
) -> ColumnElement[bool]:
    """`column` is one of *values*, with one parameter however many there are.

    A list of parameters would be compiled and planned anew for each length.
    """
    if connection.dialect.name == "sqlite":
        keys = func.json_each(msgspec.json.encode(_stored(column, values)).decode())
        return column.in_(select(keys.table_valued("value").c.value))
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))


def append(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert *rows*, each a value for every column of *table* in order. Any conflict raises."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(table.insert(), _as_dicts(table, rows))
        return
    conversions = [
        (index, convert)
        for index, column in enumerate(table.columns)
        if (convert := _conversion(column))
    ]
    driver: Any = connection.connection.driver_connection
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as out:
        for row in rows:
            out.write_row(_converted(row, conversions) if conversions else row)


def append_new(connection: Connection, table: Table, rows: Sequence[Row]) -> list[Row]:
    """Insert those *rows* whose primary key is new, the first of each key, and return them.

    The primary key must be the first columns of *table*. Where another process inserts the same
    key meanwhile, the constraint decides: the transaction fails as Unavailable and is run again.
    """
    if not rows:
        return []
    key = list(table.primary_key.columns)
    known = {
        tuple(found)
        for found in connection.execute(
            select(*key).where(one_of(connection, key[0], {row[0] for row in rows}))
        )
    }
    fresh = {tuple(row[: len(key)]): row for row in reversed(rows)}
    new = [row for row in rows if fresh.get(tuple(row[: len(key)])) is row]
    new = [row for row in new if tuple(row[: len(key)]) not in known]
    append(connection, table, new)
    return new


def _as_dicts(table: Table, rows: Sequence[Row]) -> list[dict[str, Any]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _conversion(column: Column[Any]) -> Callable[[Any], Any] | None:
    """What COPY needs done to a column's values: SQLAlchemy's types do not see them."""
    if isinstance(column.type, JSON):
        return _json
    if isinstance(column.type, Moment):
        return aware
    return None


def _json(value: Any) -> str:
    """JSON that PostgreSQL takes. It cannot hold the NUL that a SQLite source may contain."""
    encoded = msgspec.json.encode(value).decode()
    return _NUL.sub(r"\1\\ufffd", encoded) if r"\u0000" in encoded else encoded


def _converted(row: Row, conversions: Sequence[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    values = list(row)
    for index, convert in conversions:
        if values[index] is not None:
            values[index] = convert(values[index])
    return values


def _stored(column: Column[Any], values: Collection[Any]) -> list[Any]:
    """SQLite keeps a UUID as 32 hex digits; json_each compares what is stored."""
    if column.type.python_type is str and column.type.__visit_name__ == "uuid":
        return [value.replace("-", "") for value in values]
    return list(values)
