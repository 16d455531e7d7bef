"""Whether the types of keys agree: what was captured is compared as a type of the query's column.

A key that is text is no number to a query that gives one: 007 finds the row of 7 or none, and a
word makes the query fail, each time that such a record changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from engine.database import Database
from engine.dialects.dialect import ColumnType
from engine.dialects.names import in_text
from engine.errors import SchoolbellError
from engine.sources.definition import Captured, Definition
from engine.sources.lines import Place
from engine.sources.queries import LOOK

# As text these are written otherwise where they are captured than where a query casts them.
_OTHERWISE_AS_TEXT: Final = ("moment", "bytes")


class _Pair(NamedTuple):
    """A column of a watched table, and the column of a query that it is compared with."""

    captured: Captured
    column: str
    place: Place
    query: str
    by: str


def problems(database: Database, definition: Definition) -> Iterator[str]:
    """Each pair of columns that cannot be compared, with both places and types.

    Of a query that does not run nothing is said here.
    """
    of_queries: dict[Place, Mapping[str, ColumnType]] = {}
    for pair in _pairs(definition):
        with suppress(SchoolbellError), database.limited() as connection:
            database.dialect.limit(connection, LOOK)
            if pair.place not in of_queries:
                of_queries[pair.place] = {}
                of_queries[pair.place] = database.dialect.types(connection, in_text(pair.query))
            of_table = database.dialect.column_types(connection, pair.captured.table)
            is_, asked = of_table.get(pair.column), of_queries[pair.place].get(pair.by)
            if is_ and asked and not _agree(is_, asked):
                yield (
                    f"{definition.where_is(pair.captured, 'by')}: {pair.by} of"
                    f" {definition.where(pair.place)} is {asked.name}, and {pair.column} of the"
                    f" table {pair.captured.table} is {is_.name}: they cannot be compared; let the"
                    f" query give CAST({pair.by} AS text), or another column"
                )


def _pairs(definition: Definition) -> Iterator[_Pair]:
    for watch in definition.watch:
        for column, by in zip(watch.key_columns, watch.by_columns, strict=False):
            query = definition.facts[watch.facts].query
            yield _Pair(watch, column, ("facts", watch.facts), query, by)
    for other in definition.directory_watch:
        for by, column in other.pairs:
            query = definition.directory.query(other.refreshes)
            yield _Pair(other, column, ("directory", other.refreshes), query, by)


def _agree(captured: ColumnType, asked: ColumnType) -> bool:
    if asked.sort == "text":
        return captured.sort not in _OTHERWISE_AS_TEXT
    return captured.sort == asked.sort or "" in (captured.sort, asked.sort)
