"""A source: one SIS database together with its definition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from engine.database import Database
from engine.errors import BrokenQuery, ConfigError, SlowQuery, Unprocessable
from engine.ports import Sorted
from engine.sources import directory, facts, pages, queries, schema
from engine.sources.definition import (
    ENTITY_COLUMNS,
    OPTIONAL_COLUMNS,
    Definition,
    DirectoryWatch,
    Watch,
)
from engine.sources.pages import SisPages
from engine.sources.patience import Patience
from engine.sources.rows import is_of_one_row
from engine.sources.unclear import Unclear
from rules.change import Change, ChangeId, Kind, Op, Subject

_NEARLY: Final = 0.85  # `outof` is nearly `out_of`, and `course_no` is not nearly `course`
_ANYWHERE: Final = ZoneInfo("UTC")


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

    @property
    def is_first(self) -> bool:
        """Whether there was no database before: then records have the names that they have."""
        return self.number == 1

    def record(self, name: str) -> str:
        """A record's name that no record of an earlier database has."""
        return name if self.is_first else f"{self.number}:{name}"

    def name_of(self, record: str) -> str:
        """The name that a record of this database has there."""
        return record if self.is_first else record.removeprefix(f"{self.number}:")


def _ignore(_unclear: Unclear) -> None:
    """Who only looks at a SIS has nobody to tell."""


class SqlSource:
    """Implements ports.Source by the queries of the definition.

    *zone* is the district's: a moment that the SIS holds is on the day that it is there. *era* is
    asked when changes come, and not before: who only looks at a SIS needs none. *report* hears of
    conditions that could not be read.
    """

    def __init__(
        self,
        database: Database,
        definition: Definition,
        zone: ZoneInfo = _ANYWHERE,
        *,
        era: Callable[[], Era] = Era,
        report: Callable[[Unclear], None] = _ignore,
    ) -> None:
        self.database = database
        self.definition = definition
        self.zone = zone
        self.patience = Patience()
        self._era = era
        self._report = report

    def check(self) -> None:
        """Raise ConfigError unless every query and every watched table is as it must be."""
        found = self.broken()
        if len(found) == 1:
            raise found[0]
        if found:
            remedies = dict.fromkeys(one.remedy for one in found)
            raise ConfigError(" ".join(one.problem for one in found), " ".join(remedies))
        schema.require_fitting(self.database, self.definition)
        for problem in self._misspelt():
            raise problem

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
        for entity in self.definition.directory.entities:
            query = self.definition.directory.query(entity)
            yield f"[directory.{entity}]", query, ENTITY_COLUMNS[entity]
        yield from pages.needed_columns(self.definition)

    def _given(self) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
        """The name of a query with columns of choice, those that it gives, and those we read."""
        for name, query in self.definition.facts.items():
            place = f"[facts.{name}]"
            given = queries.columns_of(self.database, place, query.query)
            yield place, given, facts.known_columns(self.definition, name)
        for entity in self.definition.directory.entities:
            if entity not in OPTIONAL_COLUMNS:
                continue
            place = f"[directory.{entity}]"
            given = queries.columns_of(
                self.database, place, self.definition.directory.query(entity)
            )
            yield place, given, frozenset({*ENTITY_COLUMNS[entity], *OPTIONAL_COLUMNS[entity]})

    def _misspelt(self) -> Iterator[BrokenQuery]:
        """Columns that need not be there, and whose names nearly are."""
        for name, given, known in self._given():
            for column in sorted(given - known):
                if near := get_close_matches(column.lower(), known - given, n=1, cutoff=_NEARLY):
                    yield BrokenQuery(
                        name,
                        f"The query {self._place(name)} of the source definition gives the column"
                        f" {column}, which nobody reads; did you mean {near[0]}?",
                        "Name it with AS, or leave it out of the SELECT.",
                    )

    def remarks(self, used: Mapping[Kind, Collection[str]]) -> Iterator[str]:
        """What need not be wrong: facts that nobody reads, and words that no facts give.

        *used* are the variables of the texts about each kind.
        """
        for name in self.definition.facts:
            place = f"[facts.{name}]"
            query = self.definition.facts[name].query
            given = queries.columns_of(self.database, place, query)
            where = self._place(place)
            unread = sorted(given - facts.known_columns(self.definition, name))
            if unread:
                yield f"{where} gives {', '.join(unread)}, which no text and no setting uses."
            kinds = {watch.kind for watch in self.definition.watch if watch.facts == name}
            for kind in sorted(kinds):
                if missing := sorted(set(used[kind]) - facts.MADE_BY_US - given):
                    words = ", ".join(missing)
                    yield (
                        f"Texts about {kind} use {words}, which {where} does not give: there they"
                        " say nothing."
                    )

    def _place(self, name: str) -> str:
        """A query's name, and the line on which it stands."""
        return self.definition.where(tuple(name.strip("[]").split(".", 1)))

    def _wrong(self, name: str, query: str, columns: Sequence[str]) -> BrokenQuery | None:
        try:
            queries.check(self.database, name, query, columns)
            if name == "[directory.calendars]":
                self._check_activity(name, query)
        except BrokenQuery as error:
            problem = error.problem.replace(name, self._place(name), 1)
            return BrokenQuery(name, problem, error.remedy)
        return None

    def _check_activity(self, name: str, query: str) -> None:
        """A year is active by a flag or by its days, or by both."""
        if not {"active", "starts", "ends"} & queries.columns_of(self.database, name, query):
            raise BrokenQuery(
                name,
                f"The query {name} of the source definition does not say when a year is active.",
                "Let it give `active`, or `starts` and `ends`, the first and the last day.",
            )

    @cached_property
    def pages(self) -> SisPages:
        """What staff choose from when they send a broadcast."""
        return SisPages(self.database, self.definition)

    def slow(self, changes: Sequence[Change]) -> Sequence[SlowQuery]:
        """The queries that are still too slow for one of *changes*, of those of each watch."""
        self.patience.again()
        slow = []
        for change in {one.watch: one for one in filter(self._era().concerns, changes)}.values():
            try:
                with suppress(Unprocessable):
                    self._ask(change)
            except SlowQuery as error:
                slow.append(error)
            except BrokenQuery:
                continue  # which `broken` tells of
        return slow

    def _ask(self, change: Change) -> None:
        if self.is_of_directory(change):
            scopes = directory.scopes_of(self.definition, [change])
            directory.read(self.database, self.definition, scopes, 0, self.zone, self.patience)
        else:
            self.find([change])

    def sort(self, changes: Sequence[Change]) -> Sorted:
        """See ports.Source.sort."""
        of_records, of_directory, unknown, gone = [], [], [], []
        era = self._era()
        for change in filter(era.concerns, changes):
            match self.definition.watch_named(change.watch):
                case Watch() as watch:
                    of_records.append(change)
                    if change.op is Op.DELETE and watch.withdraws:
                        gone.append(change)
                case DirectoryWatch():
                    of_directory.append(change)
                case None:
                    unknown.append(change)
        return Sorted(of_records, of_directory, unknown, gone)

    def rows_gone(self, changes: Sequence[Change]) -> Mapping[ChangeId, str]:
        """See ports.Source.rows_gone."""
        watched = self._watched(changes)
        if not watched:
            return {}
        found = facts.rows_gone(self.database, self.definition, watched, self.patience)
        era = self._era()
        return {change: era.record(row) for change, row in found.items()}

    def is_of_directory(self, change: Change) -> bool:
        """Whether this is a change of the directory, and not of a record."""
        return isinstance(self.definition.watch_named(change.watch), DirectoryWatch)

    def find(
        self, changes: Sequence[Change], as_now: Collection[ChangeId] = ()
    ) -> Sequence[Subject]:
        """See ports.Source.find."""
        watched = self._watched(changes)
        if not watched:
            return []
        unclear = Unclear(self.definition)
        found = facts.find(
            self.database, self.definition, watched, self.zone, self.patience, unclear, as_now
        )
        self._report(unclear)
        era = self._era()
        if era.is_first:
            return found
        return [
            one._replace(record=era.record(one.record), row=one.row and era.record(one.row))
            for one in found
        ]

    def is_of_one_row(self, change: Change, record: str) -> bool:
        """See ports.Source.is_of_one_row."""
        name = self._era().name_of(record)
        return any(
            is_of_one_row(self.definition, watch, change, name)
            for _, watch in self._watched([change])
        )

    def _watched(self, changes: Sequence[Change]) -> Sequence[tuple[Change, Watch]]:
        return [
            (change, watch)
            for change in changes
            if isinstance(watch := self.definition.watch_named(change.watch), Watch)
        ]
