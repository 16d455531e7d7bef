"""A source: one SIS database together with its definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from engine.database import Database
from engine.errors import BrokenQuery
from engine.ports import Sorted
from engine.sources import facts, pages, queries
from engine.sources.definition import ENTITY_COLUMNS, Definition, DirectoryWatch, Watch
from engine.sources.pages import SisPages
from rules.change import Change, Subject


class Era(NamedTuple):
    """Which database the source is now: some SIS begin a new one each school year.

    *number* counts from 1. What was captured at a position up to *since* is of an earlier one: its
    keys name other records here.
    """

    number: int = 1
    since: int = 0

    def concerns(self, change: Change) -> bool:
        """Whether the change was captured in this database; one without a position was."""
        return not change.position or change.position > self.since

    def record(self, name: str) -> str:
        """A record's name that no record of an earlier database has."""
        return name if self.number == 1 else f"{self.number}:{name}"


class SqlSource:
    """Implements ports.Source by the queries of the definition.

    *era* is asked when changes come, and not before: who only looks at a SIS needs none.
    """

    def __init__(
        self, database: Database, definition: Definition, *, era: Callable[[], Era] = Era
    ) -> None:
        self.database = database
        self.definition = definition
        self._era = era

    def check(self) -> None:
        """Raise BrokenQuery unless every query runs and gives the columns that it must."""
        for broken in self.broken():
            raise broken

    def broken(self) -> Sequence[BrokenQuery]:
        """What is wrong with each query that does not run or lacks a column."""
        return [wrong for asked in self._queries() if (wrong := self._wrong(*asked))]

    @property
    def queries(self) -> Sequence[str]:
        """The name of each query."""
        return [name for name, _, _ in self._queries()]

    @property
    def statements(self) -> Sequence[str]:
        """The SQL of each query."""
        return [query for _, query, _ in self._queries()]

    def _queries(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        """The name of each query, its SQL, and the columns that it must give."""
        yield from facts.needed_columns(self.definition)
        for entity, columns in ENTITY_COLUMNS.items():
            yield f"[directory.{entity}]", self.definition.directory.query(entity), columns
        yield from pages.needed_columns(self.definition)

    def _wrong(self, name: str, query: str, columns: Sequence[str]) -> BrokenQuery | None:
        try:
            queries.check(self.database, name, query, columns)
        except BrokenQuery as error:
            return error
        return None

    @property
    def pages(self) -> SisPages:
        """What staff choose from when they send a broadcast."""
        return SisPages(self.database, self.definition)

    def sort(self, changes: Sequence[Change]) -> Sorted:
        """See ports.Source.sort."""
        of_records, of_directory, unknown = [], [], []
        era = self._era()
        for change in filter(era.concerns, changes):
            match self.definition.watch_named(change.watch):
                case Watch():
                    of_records.append(change)
                case DirectoryWatch():
                    of_directory.append(change)
                case None:
                    unknown.append(change)
        return Sorted(of_records, of_directory, unknown)

    def is_of_directory(self, change: Change) -> bool:
        """Whether this is a change of the directory, and not of a record."""
        return isinstance(self.definition.watch_named(change.watch), DirectoryWatch)

    def find(self, changes: Sequence[Change]) -> Sequence[Subject]:
        """See ports.Source.find."""
        watched = [
            (change, watch)
            for change in changes
            if isinstance(watch := self.definition.watch_named(change.watch), Watch)
        ]
        if not watched:
            return []
        found, era = facts.find(self.database, self.definition, watched), self._era()
        return [one._replace(record=era.record(one.record)) for one in found]
