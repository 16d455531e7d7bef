"""Asking the SIS: a definition's query, narrowed to some keys with one parameter."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Row, TextClause, bindparam, text
from sqlalchemy.exc import DataError
from sqlalchemy.types import NullType

from engine.database import Database
from engine.dialects import dialect_of
from engine.dialects.dialect import Dialect
from engine.dialects.names import in_text
from engine.errors import (
    BrokenQuery,
    Misconfigured,
    RightMissing,
    SlowQuery,
    StatementRefused,
    StatementTooSlow,
    Unprocessable,
)

Key = tuple[str, ...]

LOOK: Final = 30.0
"""The seconds in which a database must say which columns a query has."""
_SLOW: Final = (
    "See with `schoolbell source try` which table it reads wholly, and whether the SIS holds a lock"
    " on one; `timeout` says how many seconds a query may take."
)


def select_by(
    connection: Connection, query: str, by: str, keys: Collection[str]
) -> Sequence[Row[Any]]:
    """The rows of *query* whose column *by* is one of *keys*, in no order."""
    if not keys:
        return []
    sql, values = dialect_of(connection).narrowed(in_text(query), by, keys)
    try:
        return connection.execute(text(sql), values).all()
    except DataError:  # a word where the column is a number, or a row that the query cannot convert
        one_by_one = sorted(keys)
        if len(one_by_one) == 1:
            return _of_one(connection, query, by, one_by_one[0])
        middle = len(one_by_one) // 2
        halves = one_by_one[:middle], one_by_one[middle:]
        return [row for half in halves for row in select_by(connection, query, by, half)]


def _of_one(connection: Connection, query: str, by: str, key: str) -> Sequence[Row[Any]]:
    """None where no row can have such a key; raises what the rows themselves raise."""
    dialect = dialect_of(connection)
    try:
        sql, values = dialect.narrowed(
            f"SELECT * FROM ({in_text(query)}\n) q WHERE 1 = 0", by, [key]
        )
        connection.execute(text(sql), values).all()
    except DataError:
        return []
    sql, values = dialect.narrowed(in_text(query), by, [key])
    return connection.execute(text(sql), values).all()


def match(
    connection: Connection,
    query: str,
    by: Sequence[str],
    keys: Sequence[Key],
    named: Sequence[str] = (),
) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Each of *keys* with a row of *query* whose columns *by* equal it, in no order.

    With *named* a row has NAME, too: what `names` calls it by those columns.
    """
    if not keys:
        return
    sql, values = dialect_of(connection).matched(in_text(query), by, keys, named)
    result = connection.execute(text(sql), values)
    _, *names = result.keys()
    for number, *row in result.all():
        yield keys[number - 1], dict(zip(names, row, strict=True))


def names(
    connection: Connection, query: str, by: Sequence[str], keys: Sequence[Key]
) -> dict[Key, str]:
    """What rows that had these *keys* are called, whether they are there or gone.

    Without those that no row of *query* can have had.
    """
    if not keys:
        return {}
    sql, values = dialect_of(connection).names(in_text(query), by, keys)
    try:
        return {keys[number - 1]: name for number, name in connection.execute(text(sql), values)}
    except DataError:  # a word where the column is a number
        if len(keys) == 1:
            return {}
    middle = len(keys) // 2
    first, second = keys[:middle], keys[middle:]
    return names(connection, query, by, first) | names(connection, query, by, second)


def narrowed(dialect: Dialect, query: str, by: str = "", keys: Collection[str] = ()) -> TextClause:
    """The same rows as a FROM named `page`, for further conditions; without *by* all rows."""
    if not by:
        return text(f"({in_text(query)}\n) page")
    sql, values = dialect.narrowed(in_text(query), by, keys)
    # Without a type of ours the database takes a value for the column's.
    return text(f"({sql}) page").bindparams(
        *(bindparam(name, one, type_=NullType(), unique=True) for name, one in values.items())
    )


def select_all(connection: Connection, query: str) -> Sequence[Row[Any]]:
    """Every row of *query*."""
    return connection.execute(text(in_text(query))).all()


def stream_all(connection: Connection, query: str, size: int) -> Generator[Sequence[Row[Any]]]:
    """Every row of *query*, at most *size* of them held at once.

    PostgreSQL needs a connection in a transaction for it: see Database.snapshot.
    """
    statement = text(in_text(query)).execution_options(yield_per=size)
    with connection.execute(statement) as result:
        yield from result.partitions(size)


@contextmanager
def asking(database: Database, name: str) -> Iterator[None]:
    """Raise BrokenQuery where the SIS refuses the query of this *name*, whoever may still pass.

    One that is ended because it takes too long is a SlowQuery.
    """
    try:
        with database.translated():
            yield
    except StatementRefused as error:
        raise _broken(name, error) from error
    except StatementTooSlow as error:
        raise SlowQuery(
            name,
            f"The query {name} of the source definition takes longer than it may, and was ended.",
            _SLOW,
        ) from error


@contextmanager
def converting(database: Database, name: str) -> Iterator[None]:
    """Raise Unprocessable where the query of this *name* cannot convert what a row holds.

    The database says it of the whole result. Its words hold the value, so they are not repeated.
    """
    try:
        with database.translated():
            yield
    except database.dialect.driver_error as error:
        raise Unprocessable(
            f"The query {name} of the source definition cannot convert what some row holds"
            f" ({type(error).__name__}).",
            "Let the query give columns as they stand: Schoolbell reads days, flags and numbers"
            " row by row. Convert only what can be converted.",
        ) from error


def columns_of(database: Database, name: str, query: str) -> frozenset[str]:
    """The columns that *query* gives, without reading a row; raises BrokenQuery.

    A column is one only if no other has its name.
    """
    with database.limited() as connection, asking(database, name):
        database.dialect.limit(connection, LOOK)
        nothing = f"SELECT * FROM ({in_text(query)}\n) f WHERE 1 = 0"
        given = list(connection.execute(text(nothing)).keys())
    twice = sorted({one for one in given if given.count(one) > 1})
    if twice:
        raise BrokenQuery(
            name,
            f"The query {name} of the source definition gives {', '.join(twice)} twice.",
            "Leave one out of the SELECT, or name it otherwise with AS.",
        )
    return frozenset(given)


def check(database: Database, name: str, query: str, columns: Collection[str]) -> None:
    """Raise BrokenQuery unless *query* runs and gives at least *columns*."""
    missing = sorted(set(columns) - columns_of(database, name, query))
    if missing:
        raise BrokenQuery(
            name,
            f"The query {name} of the source definition gives no column {', '.join(missing)}.",
            "Add it to the SELECT, or name it with AS.",
        )


def _broken(name: str, error: Misconfigured) -> BrokenQuery:
    return BrokenQuery(
        name,
        f"The query {name} of the source definition does not run: {error.problem}",
        error.remedy
        if isinstance(error, RightMissing)
        else "Mend the query, or point [source] url at the right database.",
    )
