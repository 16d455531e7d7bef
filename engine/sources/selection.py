"""Selections: what staff ticked on one of the pages from which they send broadcasts.

A selection names rows and filters, and no people: who is behind it is asked of the SIS each time,
so a filter means those that it matches then. Rows of schools that are not the reader's are nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec
from msgspec.structs import replace

from engine.errors import SchoolbellError
from engine.sources.pages import Chosen, Days, Narrowed, Page
from engine.sources.source import SqlSource
from rules.tool_rights import Schools, Tool
from rules.wording.broadcasts import UNITS, UnitKind

PARTS: Final[Mapping[Tool, Sequence[Page]]] = {
    Tool.FAMILIES: (Page.FAMILIES,),
    Tool.STUDENTS: (Page.STUDENTS,),
    Tool.CLASSES: (Page.CLASSES,),
    Tool.CAMPS: (Page.CAMPS,),
    Tool.ENROLLMENTS: (Page.CLASS_ENROLLMENTS, Page.CAMP_ENROLLMENTS),
}
"""The pages from which staff choose, each with the queries of the SIS that its rows are from."""

MOST_FILTERS: Final = 20
_IDS_AT_ONCE: Final = 1_000


Able = Mapping[Page, Collection[str]]
"""The fields by which each query of a page can be narrowed now."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is ticked of the rows of one query.

    All that one of the filters *matching* matches, but for those *unticked*, and the rows *ids*.
    """

    ids: tuple[str, ...] = ()
    matching: tuple[Narrowed, ...] = ()
    unticked: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is ticked."""
        return not (self.ids or self.matching)

    def answerable(self, able: Collection[str]) -> Part:
        """The same without the filters that narrow by another field than these."""
        return replace(
            self, matching=tuple(to for to in self.matching if set(to.asks).issubset(able))
        )


_NOTHING: Final = Part()


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is ticked on *page*, and how it is meant.

    *attending* leaves those alone who attend a chosen camp on one of these days. It is JSON by
    `msgspec.to_builtins`, and comes back by `msgspec.convert(..., Selection)`.
    """

    page: Tool
    parts: dict[Page, Part] = {}
    unit: UnitKind | None = None
    attending: Days | None = None

    def __post_init__(self) -> None:
        if self.page not in PARTS or not set(self.parts) <= set(PARTS[self.page]):
            raise ValueError("no such page to choose from")

    @property
    def is_empty(self) -> bool:
        """Whether nothing is ticked."""
        return all(part.is_empty for part in self.parts.values())

    @property
    def one_for_each(self) -> UnitKind:
        """The unit that is chosen, else the first of the page."""
        units = UNITS[self.page]
        return self.unit if self.unit and self.unit in units else units[0]

    def of(self, part: Page) -> Part:
        """What is ticked of one query's rows."""
        return self.parts.get(part, _NOTHING)

    def ticked(self, part: Page, ids: Collection[str]) -> Selection:
        """The selection with these rows."""
        was = self.of(part)
        return self.with_part(part, replace(
            was, ids=_sorted({*was.ids, *ids}), unticked=_sorted(set(was.unticked).difference(ids))
        ))  # fmt: skip

    def unticked(self, part: Page, ids: Collection[str]) -> Selection:
        """The selection without these rows."""
        was = self.of(part)
        return self.with_part(part, replace(
            was, ids=_sorted(set(was.ids).difference(ids)),
            unticked=_sorted({*was.unticked, *ids}) if was.matching else (),
        ))  # fmt: skip

    def with_all(self, part: Page, to: Narrowed, back: Collection[str]) -> Selection:
        """The selection with all rows that *to* matches; *back* are those of them unticked before.

        Raises SchoolbellError for more than MOST_FILTERS filters.
        """
        was = self.of(part)
        matching = was.matching if to in was.matching else (*was.matching, to)
        if len(matching) > MOST_FILTERS:
            raise SchoolbellError(
                "The selection is made of too many searches.",
                "Clear it, and select all that match one search that is wider.",
            )
        unticked = _sorted(set(was.unticked).difference(back))
        return self.with_part(part, replace(was, matching=matching, unticked=unticked))

    def answerable(self, able: Able) -> Selection:
        """The selection without what the SIS cannot be asked any more.

        Of a filter that it knows only in part, nothing is left: it would match more than before.
        """
        return replace(self, parts={
            page: left
            for page, part in self.parts.items()
            if page in able and not (left := part.answerable(able[page])).is_empty
        })  # fmt: skip

    def cleared(self) -> Selection:
        """The selection without any row."""
        return replace(self, parts={})

    def with_part(self, part: Page, changed: Part) -> Selection:
        """The selection with another part in the place of one."""
        others = {name: one for name, one in self.parts.items() if name != part}
        return replace(self, parts=others if changed.is_empty else {**others, part: changed})


def able_of(source: SqlSource, page: Tool) -> Able:
    """What the SIS can be asked on a page now. Raises as `SisPages.look` does."""
    return {
        part: source.pages.narrows(part) for part in PARTS[page] if part in source.pages.offered
    }


def usable(source: SqlSource, selection: Selection) -> Selection:
    """What of a selection the SIS can be asked now: its definition may have changed meanwhile."""
    has_filters = any(part.matching for part in selection.parts.values())
    if not has_filters and set(selection.parts).issubset(source.pages.offered):
        return selection
    return selection.answerable(able_of(source, selection.page))


def shown_ticked(
    source: SqlSource, selection: Selection, part: Page, ids: Collection[str], schools: Schools
) -> frozenset[str]:
    """Those of these rows that are selected."""
    what = selection.of(part)
    found = set(what.ids).intersection(ids)
    for to in what.matching:
        found |= among(source, part, to, ids, schools)
    return frozenset(found.difference(what.unticked))


def count(source: SqlSource, selection: Selection, schools: Schools) -> int:
    """How many rows of these schools are selected. Raises as `SisPages.look` does."""
    return sum(_count(source, part, what, schools) for part, what in selection.parts.items())


def chosen(source: SqlSource, selection: Selection, schools: Schools) -> Iterator[Chosen]:
    """The students of these schools behind a selection, each with the row by which they are.

    The same student may come for several rows, and never twice for one row and enrollment. Raises
    as `SisPages.look` does.
    """
    for part, what in selection.parts.items():
        known, unticked = set[Chosen](), frozenset(what.unticked)
        for to in (*what.matching, *_filters(what.ids)):
            for one in source.pages.behind(part, to, selection.attending, schools):
                if one.row not in unticked and one not in known:
                    known.add(one)
                    yield one


def _count(source: SqlSource, part: Page, what: Part, schools: Schools) -> int:
    """Of one filter the database counts: nobody need read 100,000 ids to know how many they are."""
    if len(what.matching) == 1 and not what.ids:
        (to,) = what.matching
        out = among(source, part, to, what.unticked, schools)
        return source.pages.how_many(part, to, schools) - len(out)
    found = set[str]()
    for to in (*what.matching, *_filters(what.ids)):
        found |= source.pages.ids(part, to, schools)
    return len(found.difference(what.unticked))


def among(
    source: SqlSource, part: Page, to: Narrowed, ids: Iterable[str], schools: Schools
) -> set[str]:
    """Those of the rows *ids* that a filter matches."""
    found = set[str]()
    for one in _filters(ids):
        found |= source.pages.ids(part, replace(to, id=one.id), schools)
    return found


def _filters(ids: Iterable[str]) -> Iterator[Narrowed]:
    """Filters that match these rows, as many at once as one query is asked for."""
    left = iter(ids)
    while some := tuple(islice(left, _IDS_AT_ONCE)):
        yield Narrowed(id=some)


def _sorted(ids: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(ids))
