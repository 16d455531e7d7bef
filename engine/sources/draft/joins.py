"""Ways from one table to another: along foreign keys, or what looks like one by its name.

Only from the many to the one: a join never makes two rows of one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.sources.draft.schema import Column, Schema, Sort, Table
from engine.sources.draft.words import words_of

_LONGEST: Final = 5  # joins in a row
_SAME_NAME: Final = 4  # points of a column that is named like the other table's key
_NAMELESS: Final = frozenset({"key", "code"})  # what the name of a key ends with


@dataclass(frozen=True, slots=True)
class Edge:
    """A row of *child* names one row of *parent*. *declared*: by a foreign key of the database."""

    child: str
    columns: tuple[str, ...]
    parent: str
    referred: tuple[str, ...]
    declared: bool


Path = tuple[Edge, ...]


class Joins:
    """Every edge of a schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._from: Mapping[str, list[Edge]] = {
            table.name: [*_declared(table, schema), *_guessed(table, schema)]
            for table in schema.tables
        }

    def from_(self, table: str) -> Sequence[Edge]:
        """The edges that begin at a table."""
        return self._from.get(table, ())

    def to(self, table: str) -> Iterator[Edge]:
        """The edges that end at a table."""
        for edges in self._from.values():
            yield from (edge for edge in edges if edge.parent == table)

    def between(self, child: str, parent: str) -> Edge | None:
        """The first edge from one table to another."""
        return next((edge for edge in self.from_(child) if edge.parent == parent), None)

    def path(
        self, start: str, end: Callable[[str], bool], avoid: Collection[str] = ()
    ) -> Path | None:
        """The shortest way from a table to one that is the *end*; empty where it is one itself.

        What a foreign key declares goes before what a name suggests.
        """
        if end(start):
            return ()
        waiting: deque[Path] = deque([()])
        met = {start, *avoid}
        while waiting:
            path = waiting.popleft()
            if len(path) == _LONGEST:
                continue
            here = path[-1].parent if path else start
            for edge in self.from_(here):
                if end(edge.parent) and edge.parent not in avoid:
                    return (*path, edge)
                if edge.parent not in met:
                    met.add(edge.parent)
                    waiting.append((*path, edge))
        return None


def _declared(table: Table, schema: Schema) -> Iterator[Edge]:
    known = {one.name for one in schema.tables}
    for key in table.foreign_keys:
        if key.table in known:
            yield Edge(table.name, key.columns, key.table, key.referred, declared=True)


def _guessed(table: Table, schema: Schema) -> Iterator[Edge]:
    """What no foreign key covers: a column named like the other table, or like its key."""
    alone = {key.columns[0] for key in table.foreign_keys if len(key.columns) == 1}
    covered = {column for key in table.foreign_keys for column in key.columns}
    others = [one for one in schema.tables if one.name != table.name and one.key]
    for column in table.columns:
        if column.name in alone or (column.name,) == table.key:
            continue
        found = [(_closeness(column, one), one) for one in others if _fits(column, one)]
        best = max(found, key=lambda pair: pair[0], default=(0, None))
        enough = _SAME_NAME if column.name in covered else 1
        if best[1] is not None and best[0] >= enough:
            yield Edge(table.name, (column.name,), best[1].name, best[1].key, declared=False)


def _fits(column: Column, other: Table) -> bool:
    return len(other.key) == 1 and _compatible(column.sort, other.by_name[other.key[0]].sort)


def _closeness(column: Column, other: Table) -> int:
    """How surely *column* names a row of *other*; 0 where nothing says so."""
    key = other.key[0]
    stem = tuple(word for word in words_of(column.name) if word not in _NAMELESS)
    whole = tuple(word for word in words_of(column.name) if word != "key")
    named = bool(stem) and words_of(other.base) in (stem, whole)
    same = column.name.lower() == key.lower() and bool(stem)
    related = bool(stem) and stem == tuple(w for w in words_of(key) if w not in _NAMELESS)
    return _SAME_NAME * same + 3 * named + (related and not same)


def _compatible(one: Sort, other: Sort) -> bool:
    return one is other and one in (Sort.NUMBER, Sort.WORDS, Sort.OTHER)
