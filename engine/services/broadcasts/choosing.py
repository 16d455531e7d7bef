"""Choosing whom to write to: rows of the five pages, and what each member of staff ticked there.

What is ticked is kept for the account and the page until it is cleared, or for A_WHILE: it is there
on the next page, after another search, and after lunch. The SIS is asked outside our transactions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from engine.database import Database
from engine.services.broadcasts.selection import (
    PARTS,
    Selection,
    able_of,
    among,
    count,
    shown_ticked,
)
from engine.sources.pages import Look, Mark, Narrowed, Order, Page
from engine.sources.source import SqlSource
from engine.store.staff import selections
from rules.tool_rights import Schools, StaffId, Tool

MOST_VALUES: Final = 300
"""The values that a filter lists; what has more is written."""

_FRESH: Final = 60.0  # seconds
_MOST_KEPT: Final = 256

Values = Mapping[str, Sequence[str]]


def offered(source: SqlSource) -> Collection[Tool]:
    """The pages that this SIS has something for."""
    return [page for page in PARTS if parts(source, page)]


def parts(source: SqlSource, page: Tool) -> Sequence[Page]:
    """The queries of a page that this SIS has."""
    return [part for part in PARTS[page] if part in source.pages.offered]


def kept(database: Database, who: StaffId, page: Tool) -> Selection:
    """What somebody has ticked on a page."""
    with database.read() as connection:
        return _read(page, selections.of(connection, who, page))


def change(
    database: Database,
    who: StaffId,
    page: Tool,
    now: datetime,
    changed: Callable[[Selection], Selection],
) -> Selection:
    """Change what somebody has ticked, whatever else they do at the same time; what it is then."""
    with database.write() as connection:
        before = _read(page, selections.locked(connection, who, page, now))
        after = changed(before)
        if after != before:
            selections.keep(connection, who, page, msgspec.to_builtins(after), now)
    return after


def tick(
    database: Database, source: SqlSource, who: StaffId, page: Tool, part: Page,
    shown: Collection[str], ticked: Collection[str], schools: Schools, now: datetime,
) -> Selection:  # fmt: skip
    """Tick those of the rows *shown* that are *ticked*, and untick the others.

    Only rows that there are at *schools* are ticked; that is asked of what is new alone.
    """
    marked = set(ticked).intersection(shown)
    new = marked.difference(kept(database, who, page).of(part).ids)
    there = source.pages.known(part, new, schools) if new else frozenset()
    able = able_of(source, page)

    def changed(was: Selection) -> Selection:
        was = was.answerable(able)
        still = marked.intersection(was.of(part).ids) | there
        return was.ticked(part, still).unticked(part, set(shown) - marked)

    return change(database, who, page, now, changed)


def select_all(
    database: Database, source: SqlSource, who: StaffId, page: Tool, part: Page, to: Narrowed,
    schools: Schools, now: datetime,
) -> Selection:  # fmt: skip
    """Select all rows that *to* matches, those too that were unticked before.

    Raises SchoolbellError where the selection is made of too many searches.
    """
    out = kept(database, who, page).of(part).unticked
    back = among(source, part, to, out, schools)
    able = able_of(source, page)

    def changed(was: Selection) -> Selection:
        return was.answerable(able).with_all(part, to, back)

    return change(database, who, page, now, changed)


def clear(database: Database, who: StaffId, page: Tool, now: datetime) -> None:
    """Untick everything on a page."""
    change(database, who, page, now, Selection.cleared)


def students_of(
    source: SqlSource, families: Collection[str], schools: Schools
) -> Mapping[str, Sequence[str]]:
    """The names of the students of each family, of those who go to *schools*."""
    if Page.STUDENTS not in source.pages.offered:
        return {}
    members = source.pages.students_of(families)
    everybody = {one for students in members.values() for one in students}
    names = source.pages.names(everybody, schools)
    return {
        family: sorted(names[one] for one in students if one in names)
        for family, students in members.items()
    }


class Seen(NamedTuple):
    """Some rows of a page, as one member of staff sees them.

    *total* rows match. *columns* are those that the rows have, by *places*; *students* are the
    names of those of each family. Rows are *choosable* where somebody may write to their school,
    and *selected* of all rows are ticked, among them the shown rows *ticked*.
    """

    look: Look
    total: int
    columns: Sequence[str]
    places: Mapping[str, int]
    narrows: Collection[str]
    students: Mapping[str, Sequence[str]]
    choosable: Collection[str]
    ticked: Collection[str]
    selected: int


class Wanted(NamedTuple):
    """Which rows of *part* somebody wants to see, and in which order.

    They see those of the schools *seen*, and may write to those of *sends*.
    """

    part: Page
    to: Narrowed
    order: Order
    after: Mark | None
    before: Mark | None
    seen: Schools
    sends: Schools


def see(source: SqlSource, selection: Selection, wanted: Wanted, limit: int) -> Seen:
    """At most *limit* rows of a page, and what is ticked. Raises as `SisPages.look` does."""
    part, sis, seen, sends = wanted.part, source.pages, wanted.seen, wanted.sends
    look = sis.look(
        part, wanted.to, schools=seen, order=wanted.order, after=wanted.after,
        before=wanted.before, limit=limit,
    )  # fmt: skip
    ids = frozenset(row.id for row in look.rows)
    is_chosen = not sends.is_empty
    return Seen(
        look=look,
        total=len(ids) if look.is_all else sis.how_many(part, wanted.to, seen),
        columns=[one for one in sis.shows(part) if one != "name"],
        places={one: place for place, one in enumerate(sis.fields(part))},
        narrows=sis.narrows(part),
        students=students_of(source, ids, seen) if part is Page.FAMILIES else {},
        choosable=ids if sends == seen else sis.known(part, ids, sends),
        ticked=shown_ticked(source, selection, part, ids, sends) if is_chosen else frozenset(),
        selected=count(source, selection, sends) if is_chosen else 0,
    )


class Offers:
    """What the filters of each page offer, asked of the SIS once a minute at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[Page, Schools], tuple[float, Values]] = {}

    def __call__(self, source: SqlSource, part: Page, schools: Schools) -> Values:
        """The values of each column that has at most MOST_VALUES of them at these schools."""
        key, now = (part, schools), time.monotonic()
        with self._lock:
            at, known = self._known.get(key, (0.0, {}))
        if known and now - at < _FRESH:
            return known
        found = source.pages.values(part, MOST_VALUES, schools)
        with self._lock:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[key] = now, found
        return found


def _read(page: Tool, found: selections.Kept | None) -> Selection:
    return msgspec.convert({"page": page, **(found or {})}, Selection)
