"""Partitions: on PostgreSQL what grows with every change is divided by the time in its ids.

To forget is then to drop a table, at any rate of changes, and what is being written stays
together. What no partition takes, because a clock stood wrong or nobody made one in time, stands
in the one named `rest` and is deleted row by row. SQLite has no partitions: there all is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy
from sqlalchemy import Column, Connection, Table, delete, select, text

from engine.dialects import dialect_of
from engine.store.bulk import one_of
from engine.store.tables import decisions, facts, outcomes
from rules.identity import first_id_at

# Words are kept for days, and to the day; decisions for more than a year.
SPANS: Final[Mapping[Table, timedelta]] = {
    decisions: timedelta(days=7),
    outcomes: timedelta(days=7),
    facts: timedelta(days=1),
}
_AHEAD: Final = 14  # partitions that are made before they are needed
_AT_ONCE: Final = 5_000
_EPOCH: Final = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
_NAMED: Final = re.compile(r"_from_(\d{8})$")
IS_PARTITION: Final = re.compile(r"_(?:rest|from_\d{8})$")


def make(connection: Connection, now: datetime) -> int:
    """Make the partitions of now and of some time ahead, and return how many were missing.

    Where the rest holds rows of such a time already, they stay there and no partition is made.
    """
    made = 0
    for table, span in SPANS.items() if dialect_of(connection).divides else ():
        present = {start for start, _ in _present(connection, table)}
        first = _start(now, span)
        for start in (first + span * number for number in range(_AHEAD)):
            if start not in present and not _rest_holds(connection, table, start, span):
                connection.execute(
                    text(
                        f"CREATE TABLE {table.name}_from_{start:%Y%m%d} PARTITION OF {table.name}"
                        f" FOR VALUES FROM ('{first_id_at(start)}')"
                        f" TO ('{first_id_at(start + span)}')"
                    )
                )
                made += 1
    return made


def forget(connection: Connection, table: Table, before: datetime) -> int:
    """Drop the partitions that hold nothing younger than *before*, and return how many."""
    dropped = 0
    for start, name in _present(connection, table) if dialect_of(connection).divides else ():
        if start + SPANS[table] <= before:
            connection.execute(text(f"DROP TABLE {name}"))
            dropped += 1
    return dropped


def forget_rows(connection: Connection, table: Table, before: datetime) -> int:
    """Delete a slice of what is older than *before* and in no partition; return how many rows."""
    column = _key(table)
    name = f"{table.name}_rest" if dialect_of(connection).divides else table.name
    where = sqlalchemy.table(name, sqlalchemy.column(column.name, column.type))
    old = connection.execute(
        select(where.c[column.name])
        .where(where.c[column.name] < first_id_at(before))
        .order_by(where.c[column.name])
        .limit(_AT_ONCE)
    )
    ids = {str(row[0]) for row in old}
    if not ids:
        return 0
    return connection.execute(delete(table).where(one_of(connection, column, ids))).rowcount


def _key(table: Table) -> Column[str]:
    return table.c.origin_id if table is outcomes else table.c.change_id


def _start(moment: datetime, span: timedelta) -> datetime:
    return _EPOCH + (moment - _EPOCH) // span * span


def _present(connection: Connection, table: Table) -> Iterator[tuple[datetime, str]]:
    """The beginning and the name of each partition but the rest."""
    found = connection.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = CAST(:parent AS regclass)"
        ),
        {"parent": table.name},
    )
    for (name,) in found.all():
        if match := _NAMED.search(name):
            yield datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC), name


def _rest_holds(connection: Connection, table: Table, start: datetime, span: timedelta) -> bool:
    column = _key(table)
    rest = sqlalchemy.table(f"{table.name}_rest", sqlalchemy.column(column.name, column.type))
    held = rest.c[column.name]
    found = connection.execute(
        select(held).where(held >= first_id_at(start), held < first_id_at(start + span)).limit(1)
    )
    return found.first() is not None
