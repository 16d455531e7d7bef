"""Display options: which tools a school shows to whom, in all terms or in one of them.

A choice for a term counts before the one for all terms. A record is in its own term, and in those
that hold all days of it, as a semester holds a quarter; a record without a term is in those that
hold its day. Of several, the narrowest that has a choice of its own says it. What nobody chose is
shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from rules.audience import Audience
from rules.change import CalendarId, Kind, SchoolId, TermId
from rules.wording.days import as_day

ALL_TERMS: Final = TermId("")
"""Stands where a choice is for every term."""

_DAY: Final[Mapping[Kind, str]] = {Kind.ATTENDANCE: "date", Kind.RESPONSIVE_SCHEDULE: "day"}


class Term(NamedTuple):
    """A part of a school's year. *starts* and *ends* are its first and last day; None is open.

    It is of every school where *school* is empty, and of any calendar where *calendar* is.
    """

    id: TermId
    school: SchoolId
    name: str
    starts: date | None = None
    ends: date | None = None
    calendar: CalendarId = CalendarId("")

    @property
    def first(self) -> date:
        """Its first day, or the first of all."""
        return self.starts or date.min

    @property
    def last(self) -> date:
        """Its last day, or the last of all."""
        return self.ends or date.max

    @property
    def length(self) -> int:
        """The days between the first and the last."""
        return (self.last - self.first).days

    def holds(self, first: date, last: date, calendar: CalendarId) -> bool:
        """Whether all days from *first* through *last* of a calendar are its own."""
        is_of_it = not self.calendar or not calendar or self.calendar == calendar
        return is_of_it and self.first <= first and last <= self.last


class Where(NamedTuple):
    """Where a record stands: its school and calendar, its *term*, and else its *day*."""

    school: SchoolId
    calendar: CalendarId
    term: TermId
    day: date


Tool = tuple[Kind, Audience]
Own = Mapping[tuple[TermId, Kind, Audience], bool]


class OfTerms(NamedTuple):
    """What a school chose for some of its *terms*: whether a tool is shown."""

    own: Own
    terms: Sequence[Term]

    def deciding(self, where: Where, tool: Tool) -> tuple[TermId, bool] | None:
        """The term whose choice counts for a record, and that choice; None where none has one.

        Of equally narrow ones it is one that hides.
        """
        found = [
            (length, own, term)
            for length, term in self._around(where)
            if (own := self.own.get((term, *tool))) is not None
        ]
        if not found:
            return None
        _, own, term = min(found)
        return term, own

    def without(self, term: TermId) -> OfTerms:
        """The same, where nothing is chosen for one term."""
        return self._replace(own={key: one for key, one in self.own.items() if key[0] != term})

    def _around(self, where: Where) -> Iterator[tuple[int, TermId]]:
        """The terms that a record is in, and how long each is: its own is the narrowest."""
        first = last = where.day
        calendar = where.calendar
        if where.term:
            yield -1, where.term
            its = next((one for one in self.terms if one.id == where.term), None)
            if its is None:
                return
            first, last, calendar = its.first, its.last, its.calendar or calendar
        for one in self.terms:
            if one.id != where.term and one.holds(first, last, calendar):
                yield one.length, one.id


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """What the schools of a district chose.

    *hidden* is what they hide in all terms; *of_terms* has the schools that chose for a term.
    """

    hidden: frozenset[tuple[SchoolId, Kind, Audience]] = frozenset()
    of_terms: Mapping[SchoolId, OfTerms] = field(default_factory=dict)
    # Records of a batch stand at few places: what was found for one is kept.
    _found: dict[tuple[Where, Kind, Audience], TermId | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def hiding(self, where: Where, kind: Kind, audience: Audience) -> TermId | None:
        """The term whose choice hides a tool, or ALL_TERMS; None where the tool is shown."""
        asked = (where, kind, audience)
        if asked not in self._found:
            self._found[asked] = self._hiding(where, kind, audience)
        return self._found[asked]

    def _hiding(self, where: Where, kind: Kind, audience: Audience) -> TermId | None:
        of_terms = self.of_terms.get(where.school)
        decided = of_terms.deciding(where, (kind, audience)) if of_terms else None
        if decided:
            term, is_shown = decided
            return None if is_shown else term
        return ALL_TERMS if (where.school, kind, audience) in self.hidden else None


def day_of(kind: Kind, details: Mapping[str, str], today: date) -> date:
    """The day of a record: what its words say, and today where they say none."""
    said = details.get(_DAY[kind]) if kind in _DAY else None
    return (as_day(said) if said else None) or today
