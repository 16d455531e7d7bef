"""Ways from one table to another: along foreign keys, or what looks like one by its name.

Only from the many to the one: a join never makes two rows of one.
"""

from __future__ import annotations

from collections import defaultdict, deque
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
        known, named = {one.name for one in schema.tables}, _Named(schema)
        self._from: Mapping[str, list[Edge]] = {
            table.name: [*_declared(table, known), *_guessed(table, named)]
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


def _declared(table: Table, known: Collection[str]) -> Iterator[Edge]:
    for key in table.foreign_keys:
        if key.table in known:
            yield Edge(table.name, key.columns, key.table, key.referred, declared=True)


class _Named:
    """Tables with a key of one column, by what would name a row of them."""

    def __init__(self, schema: Schema) -> None:
        self._by_word: dict[object, list[Table]] = defaultdict(list)
        for one in schema.tables:
            if len(one.key) == 1:
                for name in {one.key[0].lower(), _stem(one.key[0]), words_of(one.base)}:
                    self._by_word[name].append(one)

    def near(self, column: str) -> Iterator[Table]:
        """Those that *column* may name a row of."""
        for name in {column.lower(), _stem(column), _without_key(column)}:
            yield from self._by_word.get(name, ())


def _guessed(table: Table, named: _Named) -> Iterator[Edge]:
    """What no foreign key covers: a column named like the other table, or like its key."""
    alone = {key.columns[0] for key in table.foreign_keys if len(key.columns) == 1}
    covered = {column for key in table.foreign_keys for column in key.columns}
    for column in table.columns:
        if column.name in alone or (column.name,) == table.key:
            continue
        found = [
            (_closeness(column.name, one), one)
            for one in named.near(column.name)
            if one.name != table.name and _compatible(column, one.by_name[one.key[0]])
        ]
        best = max(found, key=lambda pair: pair[0], default=(0, None))
        enough = _SAME_NAME if column.name in covered else 1
        if best[1] is not None and best[0] >= enough:
            yield Edge(table.name, (column.name,), best[1].name, best[1].key, declared=False)


def _closeness(column: str, other: Table) -> int:
    """How surely *column* names a row of *other*; 0 where nothing says so."""
    key, stem = other.key[0], _stem(column)
    if not stem:
        return 0
    named = words_of(other.base) in (stem, _without_key(column))
    same = column.lower() == key.lower()
    related = stem == _stem(key)
    return _SAME_NAME * same + 3 * named + (related and not same)


def _stem(name: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(name) if word not in _NAMELESS)


def _without_key(name: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(name) if word != "key")


def _compatible(one: Column, other: Column) -> bool:
    return one.sort is other.sort and one.sort in (Sort.NUMBER, Sort.WORDS, Sort.OTHER)
