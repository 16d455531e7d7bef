"""Trying a definition's queries on what the SIS holds: how many rows, how long, by which index."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, literal_column, select, table, text

from engine.database import Database
from engine.dialects import dialect_of
from engine.dialects.dialect import Statement
from engine.dialects.names import in_text
from engine.errors import ConfigError, Unprocessable
from engine.sources import directory as sis
from engine.sources.definition import Definition, Entity, Watch
from engine.sources.directory import key_of
from engine.sources.directory_rows import Arranger, Key
from engine.sources.keys import parts
from engine.sources.queries import asking
from engine.sources.recent import as_changes, recent
from rules.change import Change

_LARGE: Final = 1_000  # rows, from which on it is felt that a table is read wholly


@dataclass(frozen=True, slots=True)
class Listed:
    """One part of the directory: its rows, and the seconds that it took to read them all.

    *problem* is why it could not be read, as problem and remedy; *unread* is what is wrong with
    rows that cannot be read as they stand.
    """

    entity: Entity
    rows: int
    seconds: float
    problem: tuple[str, str] | None = None
    unread: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A query that was narrowed to some keys: its rows, the seconds that it took.

    *whole* are the large tables that it reads from end to end, for want of an index. *by* are the
    columns that it was narrowed by.
    """

    name: str
    by: Sequence[str]
    keys: int
    rows: int
    seconds: float
    whole: Sequence[str]


def directory(database: Database, definition: Definition, zone: ZoneInfo) -> Iterator[Listed]:
    """Read every part of the directory once, as `schoolbell sync` does, and keep nothing."""
    arranger = Arranger(zone)
    try:
        with sis.whole(database, definition, arranger) as parts_:
            for entity, slices in parts_:
                started, met = time.perf_counter(), set[Key]()
                for rows in slices:
                    met |= {key_of(entity, row) for row in rows}
                if entity not in definition.directory.entities:
                    continue
                unread = [str(fault) for fault in arranger.faults if fault.entity == entity]
                yield Listed(entity, len(met), time.perf_counter() - started, unread=unread)
    except (ConfigError, Unprocessable) as error:
        yield Listed(entity, 0, 0.0, (error.problem, error.remedy))


def refreshes(
    database: Database, definition: Definition, last: int, now: datetime
) -> Iterator[Asked]:
    """Ask the directory as recent changes of each watched directory table would make it asked."""
    for watch in definition.directory_watch:
        with database.read() as connection:
            rows = recent(connection, watch, last).rows
        changes = as_changes(definition.name, watch, rows, now)
        for scope in sis.scopes_of(definition, changes):
            name, query = f"[directory.{scope.entity}]", definition.directory.query(scope.entity)
            if scope.by:
                with database.read() as connection, asking(database, name):
                    dialect = dialect_of(connection)
                    statement = dialect.narrowed(in_text(query), scope.by, scope.keys)
                    yield _asked(connection, name, (scope.by,), len(scope.keys), statement)


def asked(
    database: Database, definition: Definition, watch: Watch, changes: Sequence[Change]
) -> Iterator[Asked]:
    """Ask the facts and the labels as *changes* of a watch make them asked."""
    keys = [key for one in changes if (key := parts(one.key, watch.key_columns))]
    wanted = [
        (f"[facts.{watch.facts}]", definition.facts[watch.facts].query, watch.by_columns, keys)
    ]
    if watch.labels:
        values = {(str(one.after[watch.values[0]]),) for one in changes if one.after}
        query = definition.labels[watch.labels].query
        wanted.append((f"[labels.{watch.labels}]", query, ("value",), sorted(values)))
    for name, query, by, of in wanted:
        if of:
            with database.read() as connection, asking(database, name):
                statement = dialect_of(connection).matched(in_text(query), by, of)
                yield _asked(connection, name, by, len(of), statement)


def _asked(
    connection: Connection, name: str, by: Sequence[str], keys: int, statement: Statement
) -> Asked:
    started = time.perf_counter()
    rows = len(connection.execute(text(statement.sql), statement.values).all())
    seconds = time.perf_counter() - started
    read = dialect_of(connection).whole_reads(connection, statement)
    large = [one for one in read if _is_large(connection, one)]
    return Asked(name, by, keys, rows, seconds, large)


def _is_large(connection: Connection, name: str) -> bool:
    schema, _, base = name.rpartition(".")
    whence = table(base, schema=schema or None)
    some = select(literal_column("1")).select_from(whence).limit(_LARGE).subquery()
    return int(connection.execute(select(func.count()).select_from(some)).scalar_one()) >= _LARGE
