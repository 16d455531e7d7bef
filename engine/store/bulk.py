"""Many rows at once, with a handful of parameters: in the way of each kind of database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, FromClause, Insert, Table

from engine.dialects import dialect_of
from engine.dialects.dialect import Row


def one_of(
    connection: Connection, column: ColumnElement[Any], values: Collection[Any]
) -> ColumnElement[bool]:
    """`column` is one of *values*, with one parameter however many there are.

    A list of parameters would be compiled and planned anew for each length.
    """
    return dialect_of(connection).one_of(column, values)


def tuples(
    connection: Connection, columns: Sequence[Column[Any]], rows: Collection[Row]
) -> FromClause:
    """*rows* as a table to join, with the names of *columns*; as many parameters as columns."""
    return dialect_of(connection).tuples(columns, list(rows))


def append(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert *rows*, each a value for every column of *table* in order. Any conflict raises."""
    if rows:
        dialect_of(connection).append(connection, table, rows)


def insert_new(connection: Connection, table: Table) -> Insert:
    """An INSERT that does nothing where the primary key is taken."""
    return dialect_of(connection).insert_new(table)
