"""Many rows at once: the condition on many keys, and inserting what is new."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, select

from engine.dialects import dialect_of
from engine.dialects.dialect import Row


def one_of(
    connection: Connection, column: Column[Any], values: Collection[Any]
) -> ColumnElement[bool]:
    """`column` is one of *values*, with one parameter however many there are.

    A list of parameters would be compiled and planned anew for each length.
    """
    return dialect_of(connection).one_of(column, values)


def append(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert *rows*, each a value for every column of *table* in order. Any conflict raises."""
    if rows:
        dialect_of(connection).append(connection, table, rows)


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
